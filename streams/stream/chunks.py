"""Chunks: one Faust event carries all records of one fetch of one partition. Per event, Faust costs 65 µs; per chunk, too."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, Protocol

from faust.serializers.schemas import Schema
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

#: Records that are worked on at a time. What they become fits into the processor's cache until it is packed; a whole chunk at
#: a time costs twice as much. What is done in C is packed as it is made: there, more at a time have more in common for the counters.
SLICE_RECORDS, WIDE_SLICE_RECORDS = 400, 2_000
#: Seconds that a chunk may hold the worker up at a time, if none of its slices takes longer.
TURN = 0.05


class Record(Protocol):
    """A record as it was fetched. `timestamp`: ms, when Kafka got it (or as its producer set it)."""

    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...


Records = Sequence[Any]  # of Record


class Chunk:
    """Records of one partition, in order; to Faust it looks like the last of them.

    `follows`: the offset after the last record that was handed out before (or the offset sought): a chunk that follows on more than
    was worked on shows that one went missing. None: not known (no committed offset yet).
    """

    __slots__ = (
        "checksum", "follows", "headers", "key", "offset", "partition", "records", "serialized_key_size",
        "serialized_value_size", "timestamp", "timestamp_type", "topic",
    )  # fmt: skip

    def __init__(self, tp: TP, records: Records, follows: int | None) -> None:
        last = records[-1]
        self.topic, self.partition, self.offset = tp.topic, tp.partition, last.offset
        self.timestamp, self.timestamp_type = last.timestamp, 0
        self.key, self.headers, self.checksum = None, (), None
        self.serialized_key_size = self.serialized_value_size = 0
        self.records, self.follows = records, follows

    @property
    def value(self) -> Chunk:
        """What reaches the agent: the chunk itself."""
        return self

    async def slices(self, size: int = SLICE_RECORDS) -> AsyncIterator[Records]:
        """The records, so many at a time; others have their turn between two of them, so that a chunk of unusual records does not hold up
        whoever asks for metrics."""
        since = time.monotonic()
        for start in range(0, len(self.records), size):
            if time.monotonic() - since >= TURN:
                await asyncio.sleep(0)
                since = time.monotonic()
            yield self.records[start : start + size]


class ChunkScheduler(DefaultSchedulingStrategy):
    """Makes a chunk of what was fetched of a partition, and knows what it follows on."""

    def __init__(self) -> None:
        self._positions: dict[TP, int | None] = {}

    def sought(self, tp: TP, offset: int | None) -> None:
        """The consumer will read this partition from here on."""
        self._positions[tp] = offset

    def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
        """All chunks of a fetch, partitions in turn."""
        chunks: dict[TP, list[Any]] = {}
        for tp, fetched in records.items():
            if fetched:
                chunks[tp] = [Chunk(tp, fetched, self._positions.get(tp))]
                self._positions[tp] = fetched[-1].offset + 1
        return super().iterate(chunks)


class ChunkSchema(Schema[Any, Any]):
    """Hands the chunk to the agent as it is: decoding is the agent's, so that a bad record can't stop a partition."""

    def loads_key(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002 - Faust names it
        return message.key

    def loads_value(self, app: Any, message: Any, **_: Any) -> Any:  # noqa: ARG002
        return message.value
