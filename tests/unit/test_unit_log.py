"""A chunk of a source that feeds one log alone, from its records to the effects of it."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest
from faust.types import TP

from schemas.decode import DecodeOptions, decoder
from schemas.errors import InvalidEvent
from schemas.event import Event
from schemas.funnel import Unit
from streams.engine.match import CompiledFunnel
from streams.engine.usual import Readable
from streams.stream import chunks
from streams.stream.chunks import WIDE_SLICE_RECORDS, Chunk
from streams.stream.effects import Effects
from streams.stream.unit_log import Outputs, UnitLog
from tests.unit.engine.feeding import funnel, stage

T0 = 1_748_822_400_000
OPTIONS = DecodeOptions(earliest=T0 - 1_000_000)


class Got(NamedTuple):
    offset: int
    timestamp: int
    key: bytes
    value: bytes


def unit_log(readable: Readable | None) -> UnitLog:
    table: Any = SimpleNamespace(part=lambda _number: store, parts={}, on_change=None, partitions=1)
    store: dict[str, bytes] = {}
    plan = CompiledFunnel(funnel(stage("A"), stage("B"), window=60_000, lateness=1_000))
    return UnitLog("clicks", Unit.VISITOR, [plan], table, table, Outputs("t", "d", "s", 1), readable=readable)


def decode(got: Any) -> Event | None:
    try:
        return decoder(OPTIONS)(got.value, got.timestamp)
    except InvalidEvent:
        return None


def followed(logged: UnitLog, effects: Effects, chunk: Chunk) -> list[int]:
    return asyncio.run(logged.follow_source(effects, chunk, decode))


def click(place: int, ts: int, *, later: int) -> Got:
    value = json.dumps({"event": "a", "event_id": f"e{place}", "timestamp": ts, "visitor_id": f"v{place}"})
    return Got(place, ts + later, b"v%d" % place, value.encode())


@pytest.mark.parametrize("readable", [None, Readable(OPTIONS)])
def test_a_slice_without_an_event_says_nothing_of_the_lag(readable: Readable | None) -> None:
    """What it held was nothing, or of the slice before: a lag of 0 was shown where garbage came."""
    logged = unit_log(readable)
    garbage = [Got(place, T0, b"k", b"no event") for place in range(WIDE_SLICE_RECORDS)]
    effects = logged.begin(0)
    assert followed(logged, effects, Chunk(TP("clicks", 0), garbage, 0)) == []
    good = [click(WIDE_SLICE_RECORDS + place, T0 + place, later=700) for place in range(3)]
    assert followed(logged, effects, Chunk(TP("clicks", 0), good, None)) == [700]
    more = [Got(3_000 + place, T0 + 9_000, b"k", b"no event") for place in range(5)]
    assert followed(logged, effects, Chunk(TP("clicks", 0), more, None)) == []
    assert (effects.partition.tally.read, effects.partition.tally.invalid) == (
        WIDE_SLICE_RECORDS + 8,
        WIDE_SLICE_RECORDS + 5,
    )


def test_a_chunk_does_not_hold_the_worker_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for metrics waits for a few slices, not for a chunk of records that are decoded one by one."""
    monkeypatch.setattr(chunks, "TURN", 0.0)
    logged = unit_log(Readable(OPTIONS))
    effects = logged.begin(0)
    seen = list[int]()

    async def both() -> None:
        following = asyncio.ensure_future(logged.follow_source(effects, Chunk(TP("clicks", 0), many, 0), decode))
        while not following.done():
            seen.append(effects.partition.tally.read)
            await asyncio.sleep(0)

    many = [click(place, T0 + place, later=700) for place in range(3 * WIDE_SLICE_RECORDS)]
    asyncio.run(both())
    assert (
        set(seen) >= {WIDE_SLICE_RECORDS, 2 * WIDE_SLICE_RECORDS} if effects.partition.reading else len(set(seen)) > 10
    )
    assert effects.partition.tally.read == 3 * WIDE_SLICE_RECORDS
