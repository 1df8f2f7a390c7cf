"""One kind of unit followed through its log: the engine's partitions, and the effects of each chunk in their order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from schemas.event import Event
from schemas.funnel import Unit
from schemas.progress import PROGRESS_KEY
from sinks.kafka import BatchWriter, KeyValue
from streams.engine.match import CompiledFunnel
from streams.engine.partition import Partition, Result
from streams.stream import log
from streams.stream.chunks import Chunk
from streams.stream.letters import drop_off, encode_json
from streams.stream.table import StateTable

encode = msgspec.msgpack.Encoder().encode


class Outputs(msgspec.Struct, frozen=True):
    """The topics that a log's chunks are written to. `partitions`: of transitions and drop-offs."""

    transitions: str
    drop_offs: str
    state: str
    partitions: int


class UnitLog:
    """All funnels of one kind of unit. `topic`: the log that feeds it, a source keyed by the unit or an internal topic.

    `sources`: the source partitions ("topic:partition") that feed an internal log; empty for a source read directly.
    """

    def __init__(
        self, topic: str, unit: Unit, funnels: Sequence[CompiledFunnel], table: StateTable, writer: BatchWriter,
        outputs: Outputs, sources: Iterable[str] = (),
    ) -> None:  # fmt: skip
        self.topic, self.unit, self.funnels, self.outputs = topic, unit, tuple(funnels), outputs
        self._table, self._writer, self._sources = table, writer, list(sources)
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
        """The engine's partition, built from the recovered state at its first chunk."""
        partition = self.partitions.get(number)
        if partition is None:
            partition = Partition(self.topic, number, self.unit, self.funnels, self._table.part(number))
            partition.clock.expect(self._sources)
            self.partitions[number] = partition
            self.on_build(self, number)
        return partition

    def follow_events(self, chunk: Chunk, events: Iterable[Event | None]) -> Result:
        """A chunk of a source that feeds this log directly: the events of its records, None for refused ones."""
        partition = self.partition(chunk.partition)
        for record, event in zip(chunk.records, events, strict=True):
            if event is None:
                partition.invalid(record.offset)
            else:
                partition.event(record.offset, event, record.timestamp)
        return partition.finish()

    def follow_records(self, number: int, records: Iterable[tuple[int, bytes]]) -> Result:
        """A chunk of the internal log: offsets with encoded LogRecords."""
        partition = self.partition(number)
        for offset, value in records:
            record = log.decode(value)
            if record.kind == log.EVENT and record.event is not None:
                partition.event_from(offset, record.source, record.offset, record.watermark, record.event)
            elif record.kind == log.INVALID:
                partition.invalid_from(offset, record.source, record.offset)
            elif record.kind == log.TICK:
                partition.tick(offset, record.watermark)
            else:
                partition.clock_from(
                    offset, record.source, record.watermark, record.floor, idle=record.kind == log.IDLE
                )
        return partition.finish()

    async def write(self, number: int, result: Result, timestamp: int, still_ours: Callable[[], bool]) -> bool:
        """Makes the effects of a chunk durable: transitions and drop-offs, then state. False: the partition was revoked in
        between, and nothing of the state was written.

        `timestamp`: ms, when Kafka got the chunk's last record; it travels with the rows, so that their latency can be seen.
        """
        output = number % self.outputs.partitions
        await self._writer.write(self.outputs.transitions, output, self._transitions(result), timestamp)
        await self._writer.write(self.outputs.drop_offs, output, self._drop_offs(result))
        if not still_ours():
            self.forget(number)
            return False
        last = await self._writer.write(
            self.outputs.state, number, ((key.encode(), value) for key, value in result.state.items())
        )
        part = self._table.part(number)
        for key, value in result.state.items():
            if value is None:
                part.pop(key, None)
            else:
                part[key] = value
        if last is not None:
            self._table.wrote(number, last)
        return True

    def _transitions(self, result: Result) -> Iterable[KeyValue]:
        for row in result.rows:
            yield row.attempt_id.encode(), encode(row)
        for progress in result.progress:
            yield PROGRESS_KEY, encode(progress)

    def _drop_offs(self, result: Result) -> Iterable[KeyValue]:
        for row in result.rows:
            dropped = drop_off(row, self._dimensions[row.version])
            if dropped is not None:
                yield row.attempt_id.encode(), encode_json(dropped)
