"""What is to be expected, on its way: learned in the sink (or by `seed`), kept in a compacted topic, read by every worker.

A worker reads all of it before its first chunk: what was learned last holds, whether ClickHouse is up or not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence

from schemas.errors import SinkError
from schemas.expectation.baselines import Baselines
from schemas.expectation.history import Names, Needed
from schemas.expectation.learned import LearnedStep, pack, unpack
from schemas.funnel import Funnel
from schemas.settings import Kafka, Settings
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.expectation import Learner
from sinks.kafka import BatchWriter
from streams.whole_topic import WholeTopic

log = logging.getLogger("funnelwatch.baselines")

#: Seconds that a start waits for the topic.
PATIENCE = 20.0
#: Seconds between two looks whether it is time to learn.
LOOK = 1.0


class BaselineTopic:
    """What the topic holds, in `baselines`. Following `topic` keeps it up to date."""

    def __init__(self, kafka: Kafka, topic: str, baselines: Baselines) -> None:
        self.topic = WholeTopic(kafka, topic, lambda record: self.take(record.value), log)
        self._baselines = baselines

    def take(self, value: bytes | None) -> None:
        """One record. One of another format, or of a step that is no longer there, is passed over."""
        packed = unpack(value) if value else None
        if packed is not None:
            self._baselines.learn(packed.learned, packed.zone, packed.learned_at)

    async def until_known(self) -> None:
        """Waits until what was learned before is read, a bounded time: without it, counting goes on, and nothing is expected yet."""
        try:
            await asyncio.wait_for(self.topic.caught_up.wait(), PATIENCE)
        except TimeoutError:
            log.warning("what is expected could not be read within %.0f s: nothing is until it can", PATIENCE)


def learner(settings: Settings, funnels: Sequence[Funnel]) -> Learner:
    """The learner that the settings ask for."""
    expectation, labels = settings.expectation, settings.labels
    return Learner(
        funnels, expectation.step, settings.site.timezone,
        Names({listed.dimension: listed.values for listed in labels.values}, labels.max_values),
        Needed(expectation.minimum_history, expectation.minimum_conversions), labels.crosses,
    )  # fmt: skip


def learn(learner: Learner, client: Client, now: int) -> list[LearnedStep]:
    """Counts what has come, and learns from all of it. Raises SinkError."""
    learner.count_all(client)
    return list(learner.learn_all(client, now))


class Learning:
    """The sink's part: learns anew from time to time. `tables_there`: whether the tables have been made."""

    def __init__(
        self, settings: Settings, funnels: Sequence[Funnel], topic: str, tables_there: Callable[[], bool]
    ) -> None:
        self._settings, self._topic, self._tables_there = settings, topic, tables_there
        self._learner, self._writer = learner(settings, funnels), BatchWriter(settings.kafka)

    async def go_on(self, stopped: Callable[[], bool]) -> None:
        """Learns at once and then as often as the settings say, until `stopped`; faults are said and tried again next time."""
        await self._writer.start()
        due = time.monotonic()
        try:
            while not stopped():
                if self._tables_there() and time.monotonic() >= due:
                    await self._learn()
                    due = time.monotonic() + self._settings.expectation.refresh / 1000
                await asyncio.sleep(LOOK)
        finally:
            await self._writer.stop()

    async def _learn(self) -> None:
        try:
            learned = await asyncio.to_thread(self._ask)
            await publish(self._writer, self._topic, learned, self._settings.site.timezone)
        except SinkError as error:
            log.warning("what is expected could not be learned anew, what was learned last holds: %s", error)
        else:
            ready = sum(step.ready for step in learned)
            log.info(
                "learned what is expected of %d steps; %d more have too little history", ready, len(learned) - ready
            )

    def _ask(self) -> list[LearnedStep]:
        client = connect(self._settings.clickhouse)
        try:
            return learn(self._learner, client, int(time.time() * 1000))
        finally:
            client.close()


async def publish(writer: BatchWriter, topic: str, learned: Sequence[LearnedStep], zone: str) -> None:
    """Makes what was learned known to all workers."""
    now = int(time.time() * 1000)
    known = [(step.step.encode(), pack(step, zone, now)) for step in learned]
    await writer.write(topic, 0, known)
