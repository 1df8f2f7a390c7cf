"""One kind of unit followed through its log: the engine's partitions, and the effects of each chunk in their order."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec

from schemas.event import Event
from schemas.funnel import Unit
from sinks.kafka import BatchWriter
from streams.engine.match import CompiledFunnel
from streams.engine.partition import LATEST, Partition, Result
from streams.engine.usual import Readable
from streams.stream import log
from streams.stream.chunks import SLICE_RECORDS, WIDE_SLICE_RECORDS, Chunk, Record, Records
from streams.stream.effects import Effects
from streams.stream.table import StateTable
from streams.topics import partitions_changed

LOG = logging.getLogger("funnelwatch.state")


class Outputs(msgspec.Struct, frozen=True):
    """The topics that a log's chunks are written to. `partitions`: of transitions and drop-offs."""

    transitions: str
    drop_offs: str
    state: str
    partitions: int


class UnitLog:
    """All funnels of one kind of unit. `topic`: the log that feeds it, a source keyed by the unit or an internal topic.

    `sources`: the source partitions ("topic:partition") that feed an internal log; empty for a source read directly, of which
    `readable` says how its records may be read without decoding them.
    """

    def __init__(
        self, topic: str, unit: Unit, funnels: Sequence[CompiledFunnel], table: StateTable, writer: BatchWriter,
        outputs: Outputs, sources: Iterable[str] = (), readable: Readable | None = None,
    ) -> None:  # fmt: skip
        self.topic, self.unit, self.funnels, self.outputs = topic, unit, tuple(funnels), outputs
        self._table, self._writer, self._sources = table, writer, list(sources)
        self._readable = readable
        self._dimensions = {funnel.version: tuple(funnel.definition.dimensions) for funnel in funnels}
        self.partitions: dict[int, Partition] = {}
        self.on_build: Callable[[UnitLog, int], None] = lambda _log, _number: None
        table.on_change = self.forget

    def forget(self, number: int) -> None:
        """The partition's state was recovered or revoked: what was built on it is stale."""
        self.partitions.pop(number, None)

    def units(self) -> int:
        """Units that state is kept of."""
        return sum(len(part) for part in self._table.parts.values())

    def partition(self, number: int) -> Partition:
        """The engine's partition, built from the recovered state at its first chunk. Raises ConfigError for one that was added to the
        topic since this worker started."""
        partition = self.partitions.get(number)
        if partition is None:
            begun = self._table.partitions
            if begun is not None and number >= begun:
                raise partitions_changed(self.topic, self.unit, number + 1, begun)
            partition = Partition(self.topic, number, self.unit, self.funnels, self._table.part(number), self._readable)
            partition.clock.expect(self._sources)
            self.partitions[number] = partition
            self.on_build(self, number)
        return partition

    def begin(self, number: int) -> Effects:
        """Of a chunk of this partition, before its first record."""
        return Effects(self.partition(number), self._dimensions)

    def follow_events(self, effects: Effects, records: Records, events: Iterable[Event | None]) -> None:
        """Some records of a source that feeds this log directly, and their events, None for refused ones."""
        partition = effects.partition
        for record, event in zip(records, events, strict=True):
            follow_event(partition, record, event)
        effects.add(partition.rows())

    async def follow_source(
        self, effects: Effects, chunk: Chunk, decode: Callable[[Record], Event | None]
    ) -> list[int]:
        """All records of a source that feeds nothing else: only what is unusual about them is decoded. A sample of how long after its
        time (ms) Kafka got an event."""
        partition, lags = effects.partition, list[int]()
        async for records in chunk.slices(slice_size(partition)):
            partition.seen = LATEST
            for record in partition.unusual(records):
                follow_event(partition, record, decode(record))
            effects.add(partition.rows())
            if partition.seen != LATEST:
                lags.append(records[-1].timestamp - partition.seen)
        return lags

    def follow_records(self, effects: Effects, records: Records) -> None:
        """Some records of the internal log."""
        partition = effects.partition
        for got in records:
            record = log.decode(got.value or b"")
            if record.kind == log.EVENT and record.event is not None:
                partition.event_from(got.offset, record.source, record.offset, record.watermark, record.event)
            elif record.kind == log.INVALID:
                partition.invalid_from(got.offset, record.source, record.offset)
            elif record.kind == log.TICK:
                partition.tick(got.offset, record.watermark)
            else:
                partition.clock_from(
                    got.offset, record.source, record.watermark, record.floor, idle=record.kind == log.IDLE
                )
        effects.add(partition.rows())

    async def write(self, effects: Effects, timestamp: int, still_ours: Callable[[], Awaitable[bool]]) -> Result | None:
        """Makes the effects of a chunk durable: transitions and drop-offs, then state. None: the partition was revoked in
        between, and nothing of the state was written.

        `timestamp`: ms, when Kafka got the chunk's last record; it travels with the rows, so that their latency can be seen.
        """
        partition, writer, outputs = effects.partition, self._writer, self.outputs
        result = partition.finish()
        effects.end(result)
        output = partition.number % outputs.partitions
        await asyncio.gather(  # in one request
            writer.write(outputs.transitions, output, effects.records(result.progress), timestamp),
            writer.write(outputs.drop_offs, output, effects.drop_offs),
        )
        if not await still_ours():
            self.forget(partition.number)
            return None
        await self.write_state(partition.number, result.state)
        partition.keep(result)
        return result

    async def write_state(self, number: int, state: Mapping[str, bytes | None]) -> None:
        """Writes state to its topic. Where something stands in between that this worker did not write (a former owner's, which was
        under way for long), what it may have overwritten is written again."""
        written = self._table.written.get(number)
        last = await self._writer.write(self.outputs.state, number, state.items())
        if last is not None and written is not None and last > written + len(state):
            LOG.warning(
                "%s, partition %s: a former owner wrote late; its state is written anew", self.outputs.state, number
            )
            whole: dict[str, bytes | None] = {**self._table.part(number), **state}
            last = await self._writer.write(self.outputs.state, number, whole.items())
        if last is not None:
            self._table.wrote(number, last)


def slice_size(partition: Partition) -> int:
    """How many records of a source that feeds this partition directly are worked on at a time."""
    return SLICE_RECORDS if partition.reading is None else WIDE_SLICE_RECORDS


def follow_event(partition: Partition, record: Record, event: Event | None) -> None:
    """A record and its event, None if it was refused."""
    if event is None:
        partition.invalid(record.offset)
    else:
        partition.event(record.offset, event, record.timestamp)
