"""The shop's visitors: a thread that sends the traffic into the source topic."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from schemas.errors import SinkError
from schemas.settings import Kafka
from streams.demo.background import Background
from streams.demo.place import TOPIC
from streams.demo.plan import SPEED, Timeline
from streams.topic_sender import TopicSender
from streams.traffic import Clock, Traffic, TrafficRecord, WallClock, pace

#: Good records of the first burst that are kept in a file, to be sent once more by hand.
SAMPLE = 1_000


class Sender(Background):
    """Sends the first hours at once, the rest in its time. `reached`: event time up to which all was sent, ms."""

    def __init__(self, kafka: Kafka, times: Timeline, sample: Path) -> None:
        super().__init__("traffic", self._run)
        self._kafka, self._times, self._sample = kafka, times, sample
        self.traffic = Traffic(times.traffic)
        self.reached = times.start_ms

    def _run(self) -> None:
        try:
            with TopicSender(self._kafka, TOPIC) as sender:
                records = self.traffic.records()
                first = self._burst(records, sender)
                self._live(chain([first], records), sender, WallClock(self._stop))
                sender.flush()
        except SinkError as error:
            if not self._stop.is_set():
                self.error = error

    def _burst(self, records: Iterator[TrafficRecord], sender: TopicSender) -> TrafficRecord:
        """Sends what lies before the live part; returns the first record that does not."""
        sample: list[bytes] = []
        for record in records:
            if record.send_ms >= self._times.live_ms or self._stop.is_set():
                break
            self._send(record, sender)
            if record.bad is None and len(sample) < SAMPLE:
                sample.append(record.data)
        sender.flush()
        if sample:
            self._sample.write_bytes(b"\n".join(sample) + b"\n")
        return record

    def _live(self, records: Iterator[TrafficRecord], sender: TopicSender, clock: Clock) -> None:
        for record in pace(records, SPEED, clock):
            if self._stop.is_set():
                return
            self._send(record, sender)

    def _send(self, record: TrafficRecord, sender: TopicSender) -> None:
        sender.send(record.data, record.key)
        self.reached = record.send_ms
