"""How far behind this worker is, asked of the brokers: what the last fetch told of a partition's end grows old while a chunk is long or
the worker waits, which is when the lag is looked at."""

from __future__ import annotations

import asyncio
import logging

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from faust.types import TP

from schemas.settings import Kafka
from sinks.kafka import client_options
from streams.stream.follow import Follower

log = logging.getLogger("funnelwatch.lag")

#: Seconds between two looks.
LOOK = 2.0


class LagWatch:
    """Keeps the lag of the assigned partitions true. It has a connection of its own: Faust's is busy when it matters."""

    def __init__(self, kafka: Kafka, follower: Follower) -> None:
        self._kafka, self._follower = kafka, follower
        self._consumer: AIOKafkaConsumer | None = None

    async def watch(self) -> None:
        """Looks until the app stops. While no broker answers, the lag stays as it was last known."""
        while not self._follower.app.should_stop:
            await asyncio.sleep(LOOK)
            try:
                await self.look()
            except (KafkaError, OSError) as error:
                log.debug("the ends of the partitions are not known: %r", error)

    async def look(self) -> None:
        """Asks once. Raises KafkaError or OSError."""
        follower = self._follower
        followed = follower.sources.keys() | follower.logs.keys()
        mine = [tp for tp in follower.app.consumer.assignment() if tp.topic in followed]
        if not mine:
            return
        if self._consumer is None:
            consumer = AIOKafkaConsumer(**client_options(self._kafka))
            try:
                await consumer.start()
            except BaseException:
                await consumer.stop()
                raise
            self._consumer = consumer
        ends = await self._consumer.end_offsets(mine)
        still_mine = follower.app.consumer.assignment()
        for place, end in ends.items():
            tp = TP(place.topic, place.partition)
            if tp in still_mine:
                follower.show_lag(tp, end)

    async def stop(self) -> None:
        """Disconnects."""
        if self._consumer is not None:
            await self._consumer.stop()
            self._consumer = None
