"""Partitions that are fed, and what comes out of them: shared by the engine's tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from random import Random
from typing import Any

import msgspec

from schemas.event import HEARTBEAT, Event
from schemas.funnel import Funnel, Stage, Unit
from schemas.rows import Row
from streams.engine.batch import walk_unit
from streams.engine.match import CompiledFunnel, unit_key
from streams.engine.partition import Partition, Result, unpack_meta
from streams.engine.units import META


def stage(name: str, *events: str, **options: Any) -> Stage:
    """A stage that its own lower-case name fits, or `events`."""
    return Stage(name, events or (name.lower(),), **options)


def funnel(*stages: Stage, **options: Any) -> Funnel:
    """A funnel of visitors, window 100 ms, lateness 10 ms, unless said otherwise."""
    plain = {"name": "f", "version": "0123456789ab", "unit": Unit.VISITOR, "window": 100, "lateness": 10}
    return Funnel(stages=stages, **{**plain, **options})


def event(name: str, ts: int, event_id: str = "", visitor: str | None = "v", **fields: Any) -> Event:
    """An event of visitor `v`; its id is name@ts unless given."""
    return Event(event=name, ts=ts, event_id=event_id or f"{name}@{ts}", visitor_id=visitor, **fields)


def events(text: str, visitor: str | None = "v", **fields: Any) -> list[Event]:
    """`a@0 b@5/e1`: name, time, and an id if it is not to be name@time."""
    found = []
    for word in text.split():
        name, _, rest = word.partition("@")
        ts, _, event_id = rest.partition("/")
        found.append(event(name, int(ts), event_id, visitor, **fields))
    return found


def heartbeat(ts: int) -> Event:
    return Event(event=HEARTBEAT, ts=ts, event_id="")


def new_partition(funnels: Sequence[Funnel], store: MutableMapping[str, bytes]) -> Partition:
    return Partition("log", 0, funnels[0].unit, [CompiledFunnel(definition) for definition in funnels], store)


def put(store: MutableMapping[str, bytes], changes: Iterable[tuple[str, bytes | None]]) -> None:
    """Makes these changes of the state durable."""
    for key, value in changes:
        if value is None:
            store.pop(key, None)
        else:
            store[key] = value


class Run:
    """One partition without faults: its records get rising offsets, its rows and its state are kept."""

    def __init__(self, *funnels: Funnel, store: dict[str, bytes] | None = None, offset: int = 0) -> None:
        self.store: dict[str, bytes] = {} if store is None else store
        self.partition = new_partition(funnels, self.store)
        self.offset = offset
        self.rows: list[Row] = []
        self.withdrawn: list[Row] = []

    def next_offset(self) -> int:
        self.offset += 1
        return self.offset - 1

    def feed(self, seen: Iterable[Event]) -> Run:
        for one in seen:
            self.partition.event(self.next_offset(), one)
        return self

    def chunk(self) -> Result:
        """Ends a chunk. A result gives the rows of usual events last; here they stand in the order of their records."""
        result = self.partition.finish()
        self.rows += sorted(result.rows, key=lambda row: row.revision)
        self.withdrawn += result.withdrawn
        self.partition.keep(result)
        return result

    def counts(self, index: int = 0) -> dict[str, int]:
        """What became of the records in the funnel of that index, at the end of a chunk; outcomes with 0 left out."""
        progress = self.chunk().progress[index]
        names = ("read", "matched", "ignored", "duplicate", "late", "invalid", "bot")
        return {name: getattr(progress, name) for name in names if getattr(progress, name)}

    def final(self) -> list[Row]:
        self.chunk()
        return final_rows(self.rows)


def run(definition: Funnel, *chunks: Sequence[Event]) -> Run:
    """A run over these chunks."""
    made = Run(definition)
    for seen in chunks:
        made.feed(seen).chunk()
    return made


def key_of(row: Row) -> tuple[str, str, str, str, str]:
    return row.funnel, row.version, row.attempt_id, row.kind, row.item


def plain(rows: Iterable[Row]) -> list[Row]:
    """The rows in a fixed order, without their revision."""
    return sorted((msgspec.structs.replace(row, revision=0) for row in rows), key=key_of)


def final_rows(rows: Iterable[Row]) -> list[Row]:
    """What a ReplacingMergeTree keeps. Fails where two rows of one key and one revision differ."""
    best: dict[tuple[str, str, str, str, str], Row] = {}
    seen: dict[tuple[object, int], Row] = {}
    for row in rows:
        key = key_of(row)
        known = seen.setdefault((key, row.revision), row)
        assert known == row, f"equal revision, other contents: {known} {row}"
        if key not in best or row.revision > best[key].revision:
            best[key] = row
    return plain(row for row in best.values() if not row.is_deleted)


def batch_rows(definition: Funnel, seen: Iterable[Event], horizon: int) -> list[Row]:
    """The same by the batch engine, which sorts first: the oracle of the streaming one."""
    units: dict[str, list[Event]] = {}
    for one in seen:
        key = unit_key(definition.unit, one)
        if key is not None and not one.bot and one.event != HEARTBEAT:
            units.setdefault(key, []).append(one)
    return plain(row for own in units.values() for row in walk_unit(definition, own, horizon))


def in_cuts(rng: Random, seen: Sequence[Event], longest: int = 6) -> list[Sequence[Event]]:
    """The log in random chunks."""
    chunks, start = [], 0
    while start < len(seen):
        length = rng.randint(1, longest)
        chunks.append(seen[start : start + length])
        start += length
    return chunks


def delayed(rng: Random, seen: Sequence[Event], delay: int) -> list[Event]:
    """An order of arrival in which nothing comes more than `delay` ms after its time, as the watermark tells time."""
    return sorted(seen, key=lambda one: (one.ts + rng.randint(0, delay), rng.random()))


def meta_offset(store: Mapping[str, bytes]) -> int:
    """The offset up to which a store vouches for all records."""
    return unpack_meta(store[META]).offset if META in store else -1
