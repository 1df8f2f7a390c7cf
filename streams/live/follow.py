"""Reads the topic of the live page into the history, while somebody looks."""

from __future__ import annotations

import asyncio
import logging
import time

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.live import decode
from schemas.settings import Kafka
from schemas.topics import live
from sinks.kafka import client_options
from streams.live.history import History

log = logging.getLogger("funnelwatch.live")

#: Seconds before a connection that failed is tried again; ms that a fetch waits for records; records at a time: between
#: them the worker works on.
PAUSE, WAIT, MOST = 2.0, 500, 50


def wall_clock() -> int:
    """Milliseconds UTC."""
    return time.time_ns() // 1_000_000


class TopicReader:
    """Goes on where it stopped when somebody looks again. `caught_up`: all that was there is read; `problem`: why not."""

    def __init__(self, kafka: Kafka) -> None:
        self._kafka = kafka
        self._place = TopicPartition(live(kafka.topic_prefix), 0)
        self._position = 0
        self._refused = 0
        self.history = History()
        self.caught_up = asyncio.Event()
        self.problem = ""

    async def keep_reading(self) -> None:
        """Until it is cancelled."""
        try:
            while True:
                try:
                    await self._read()
                except (KafkaError, OSError) as error:
                    self.problem = f"Kafka does not answer ({type(error).__name__})"
                    self.caught_up.set()  # what is known is shown, with the problem
                    log.warning("the live page can't read %s: %r", self._place.topic, error)
                await asyncio.sleep(PAUSE)
        finally:
            self.caught_up.clear()

    async def _read(self) -> None:
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=WAIT,
            **client_options(self._kafka),
        )
        try:
            await consumer.start()
            consumer.assign([self._place])
            consumer.seek(self._place, self._position)
            end = (await consumer.end_offsets([self._place]))[self._place]
            while True:
                found = await consumer.getmany(self._place, timeout_ms=WAIT, max_records=MOST)
                self._take([(record.key, record.value) for record in found.get(self._place, ())])
                self._position = await consumer.position(self._place)
                self.history.age(wall_clock())
                self.problem = ""
                if self._position >= end:
                    self.caught_up.set()
        finally:
            await consumer.stop()

    def _take(self, records: list[tuple[bytes | None, bytes | None]]) -> None:
        newest = dict(records)  # of each key the last one counts, in the order in which the keys first came
        for value in newest.values():
            if value is None:
                continue
            try:
                self.history.take(decode(value))
            except msgspec.DecodeError as error:  # of a version that writes otherwise
                self._refused += 1
                if self._refused == 1:
                    log.warning("a record on %s is no count of a worker of this version: %s", self._place.topic, error)
