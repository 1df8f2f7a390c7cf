"""The annotations topic as a worker reads it: all of it, outside of any group, from the beginning at each start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.annotation import Annotation, newest, unpack
from schemas.settings import Kafka
from sinks.kafka import client_options

log = logging.getLogger("funnelwatch.annotations")

#: Seconds until the next try after a fault, and ms that a fetch waits.
PAUSE, WAIT = 5.0, 1_000


class Annotations:
    """What the topic holds, by name. `follow` keeps it up to date; nothing else depends on it."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._kafka, self._topic = kafka, topic
        self._known: dict[bytes, Annotation] = {}

    def newest(self) -> list[Annotation]:
        """Those to be shown."""
        return newest(self._known.values())

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One record; without a value it takes its name back. One that is no annotation is passed over."""
        name = key or b""
        if value is None:
            self._known.pop(name, None)
            return
        try:
            self._known[name] = unpack(value)
        except msgspec.DecodeError as error:
            log.warning("%s holds a record that is no annotation: %s", self._topic, error)

    async def follow(self, stopped: Callable[[], bool]) -> None:
        """Reads until `stopped`; faults are said and tried again."""
        while not stopped():
            try:
                await self._read(stopped)
            except (KafkaError, OSError) as error:
                log.warning("annotations can't be read (%s); trying again in %.0f s", error, PAUSE)
                await asyncio.sleep(PAUSE)

    async def _read(self, stopped: Callable[[], bool]) -> None:
        place = TopicPartition(self._topic, 0)
        consumer = AIOKafkaConsumer(
            enable_auto_commit=False, auto_offset_reset="earliest", **client_options(self._kafka)
        )
        try:
            await consumer.start()
            consumer.assign([place])
            await consumer.seek_to_beginning(place)
            while not stopped():
                for record in (await consumer.getmany(place, timeout_ms=WAIT)).get(place, ()):
                    self.take(record.key, record.value)
        finally:
            await consumer.stop()
