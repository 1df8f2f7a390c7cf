"""One source topic: decoding its records, and re-keying its events for the logs that it does not feed directly."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import msgspec
from faust.types import TP

from schemas.dead_letter import DeadLetter
from schemas.decode import Decode
from schemas.errors import InvalidEvent
from schemas.event import HEARTBEAT, Event
from schemas.funnel import Unit
from schemas.privacy.protect import Protect
from schemas.reasons import Reason
from sinks.kafka import BatchWriter, KeyValue
from streams.engine.clock import NEVER
from streams.engine.match import ID_OF, unit_key
from streams.registry import SchemaRegistry
from streams.stream import log
from streams.stream.chunks import Chunk, Record, Records
from streams.stream.forget import read_forget
from streams.stream.letters import dead_letter, encode_letter
from streams.stream.log import LogRecord

Decoded = list[Event | None]
Rekeyed = list[list[list[KeyValue]]]


class SourceClock(msgspec.Struct):
    """What one source partition has shown since this worker reads it. `heard`: monotonic seconds of its last record."""

    watermark: int = NEVER
    floor: int = NEVER
    heard: float = 0.0
    idle: bool = False


class InternalLog(msgspec.Struct, frozen=True):
    """Where the events of a kind of unit are re-keyed to."""

    topic: str
    unit: Unit
    partitions: int


class Letters(msgspec.Struct, frozen=True):
    """Where refused records go, and what is done to them before."""

    topic: str
    partitions: int
    protect: Callable[[DeadLetter], DeadLetter]


class Source:
    """Decodes one topic. `logs`: the internal logs that its events go to; `keyed_by`: the unit whose id each key must be; `protect`:
    what is done to each event before anybody else sees it."""

    def __init__(
        self, topic: str, decode: Decode, keyed_by: Unit | None, logs: Sequence[InternalLog], writer: BatchWriter,
        letters: Letters, protect: Protect | None = None, registry: SchemaRegistry | None = None,
    ) -> None:  # fmt: skip
        self.registry = registry
        self.topic, self.keyed_by, self.logs = topic, keyed_by, tuple(logs)
        self._decode, self._writer, self._letters, self._protect = decode, writer, letters, protect
        self.clocks: dict[int, SourceClock] = {}

    async def learn(self, chunk: Chunk, go_on: Callable[[], bool]) -> bool:
        """Has the schemas of framed records at hand, which may take as long as the registry is down; False: `go_on` ended that."""
        if self.registry is None:
            return True
        return await self.registry.learn((record.value for record in chunk.records), self.topic, go_on)

    def decode(self, chunk: Chunk, record: Record, letters: list[DeadLetter]) -> Event | None:
        """A record's event, protected; None if it is refused: its letter is then added."""
        keyed_by, value = self.keyed_by, record.value or b""
        try:
            event = self._decode(value, record.timestamp)
            if keyed_by is not None:
                own = ID_OF[keyed_by](event)
                if (own is None or own.encode() != record.key) and event.event != HEARTBEAT:
                    raise wrong_key(record.key)
        except InvalidEvent as error:
            order = read_forget(record.value)  # in JSON, whatever the source's format
            if order is None:
                letters.append(self._letters.protect(dead_letter(chunk, record, error.reason, error.detail)))
            return order
        if self._protect is not None:
            self._protect(event, value)
        return event

    async def bury(self, partition: int, letters: Sequence[DeadLetter]) -> Counter[Reason]:
        """Writes the dead letters, each under its place, so that it can be taken out; returns their number by reason."""
        number = partition % self._letters.partitions
        records = ((letter.id.encode(), encode_letter(letter)) for letter in letters)
        await self._writer.write(self._letters.topic, number, records)
        return Counter(Reason(letter.reason) for letter in letters)

    def rekey(self, chunk: Chunk, records: Records, events: Decoded, out: Rekeyed) -> None:
        """Packs each event for the log partition of its unit."""
        clock = self.clocks.setdefault(chunk.partition, SourceClock())
        clock.heard, clock.idle = time.monotonic(), False
        name = f"{self.topic}:{chunk.partition}"
        for got, event in zip(records, events, strict=True):
            offset = got.offset
            if event is None:
                record = log.encode(LogRecord(log.INVALID, name, offset))
                for target, parts in zip(self.logs, out, strict=True):
                    parts[chunk.partition % target.partitions].append((None, record))
            elif event.event == HEARTBEAT:
                ts = min(event.ts, got.timestamp)
                clock.watermark, clock.floor = max(clock.watermark, ts), max(clock.floor, ts)
            else:
                if not event.bot:
                    # One visitor's clock that is an hour ahead must not make everybody else late.
                    clock.watermark = max(clock.watermark, min(event.ts, got.timestamp))
                record = log.encode_event(name, offset, clock.watermark, clock.floor, event)
                for target, parts in zip(self.logs, out, strict=True):
                    key = unit_key(target.unit, event) or name
                    parts[log.partition_of(key, target.partitions)].append((key.encode(), record))

    async def send(self, chunk: Chunk, out: Rekeyed) -> None:
        """Sends what a chunk was re-keyed to, and its partition's clock to all partitions of the logs."""
        clock = self.clocks.setdefault(chunk.partition, SourceClock())
        name = f"{self.topic}:{chunk.partition}"
        mark = log.encode(LogRecord(log.MARK, name, chunk.offset, clock.watermark, clock.floor))
        await asyncio.gather(*(
            self._writer.write(target.topic, number, [*records, (None, mark)], chunk.timestamp)
            for target, parts in zip(self.logs, out, strict=True)
            for number, records in enumerate(parts)
        ))  # fmt: skip

    def nothing_rekeyed(self) -> Rekeyed:
        """Of each log, of each of its partitions: no records yet."""
        return [[[] for _ in range(target.partitions)] for target in self.logs]

    def keep(self, partitions: set[int]) -> None:
        """Watches the silence of these partitions, those that this worker has, and of no others."""
        now = time.monotonic()
        self.clocks = {number: self.clocks.get(number) or SourceClock(heard=now) for number in partitions}

    async def declare_idle(self, idle_after: float, unread: Callable[[TP], Awaitable[bool]]) -> None:
        """Tells the logs which of this worker's partitions have been silent for `idle_after` seconds. `unread`: whether one of them holds
        records that this worker has not come to yet, which is no silence."""
        now = time.monotonic()
        for partition, clock in list(self.clocks.items()):
            if clock.idle or now - clock.heard < idle_after or await unread(TP(self.topic, partition)):
                continue
            clock.idle = True
            record = log.encode(LogRecord(log.IDLE, f"{self.topic}:{partition}"))
            for target in self.logs:
                for number in range(target.partitions):
                    if clock.idle:  # else it woke meanwhile, and has said so
                        await self._writer.write(target.topic, number, [(None, record)])


def wrong_key(key: bytes | None) -> InvalidEvent:
    """A record whose key is not its unit's id is refused: it could lie on another partition than the unit's others."""
    shown = "none" if key is None else repr(key[:64].decode(errors="replace"))
    return InvalidEvent(Reason.KEY_MISMATCH, f"the record's key is {shown}, not the id that keyed_by names")
