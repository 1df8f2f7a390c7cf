"""A compacted topic of one partition, followed by every worker: all of it, outside of any group, from the beginning at each start."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.settings import Kafka
from sinks.kafka import client_options

#: Seconds until the next try after a fault, and ms that a fetch waits.
PAUSE, WAIT = 5.0, 1_000


class WholeTopic:
    """`take`: gets each record (`key`, `value`). `caught_up`: set once all that was there at the start is taken. `log`: is told of faults."""

    def __init__(self, kafka: Kafka, topic: str, take: Callable[[Any], None], log: logging.Logger) -> None:
        self._kafka, self._topic, self._take, self._log = kafka, topic, take, log
        self.caught_up = asyncio.Event()

    async def follow(self, stopped: Callable[[], bool]) -> None:
        """Reads until `stopped`; faults are said and tried again."""
        while not stopped():
            try:
                await self._read(stopped)
            except (KafkaError, OSError) as error:
                self._log.warning("%s can't be read (%s); trying again in %.0f s", self._topic, error, PAUSE)
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
            end = (await consumer.end_offsets([place]))[place]
            while not stopped():
                if await consumer.position(place) >= end:
                    self.caught_up.set()
                for record in (await consumer.getmany(place, timeout_ms=WAIT)).get(place, ()):
                    self._take(record)
        finally:
            await consumer.stop()
