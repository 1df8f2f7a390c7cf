"""A unit that is forgotten: its state goes at once, nothing more is told of it, and no recovery brings it back."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.decode import DecodeOptions, decoder
from schemas.event import FORGET
from schemas.funnel import Funnel, Mode, Stage, Unit
from streams.engine.match import CompiledFunnel
from streams.engine.partition import Partition
from streams.engine.units import META
from streams.stream.forget import forget_record, read_forget

T = 1_767_571_200_000
MINUTE = 60_000
DECODE = decoder(DecodeOptions())


def funnel(mode: Mode) -> Funnel:
    stages = tuple(Stage(name=name, events=(name,)) for name in ("view", "cart", "buy"))
    return Funnel(name="shop", version="1", unit=Unit.SESSION, window=60 * MINUTE, mode=mode, stages=stages)


def partition(mode: Mode, store: dict[str, bytes]) -> Partition:
    return Partition("log", 0, Unit.SESSION, [CompiledFunnel(funnel(mode), lambda *_: None)], store)


def event(name: str, at: int, **ids: Any) -> Any:
    return DECODE(msgspec.json.encode({"event": name, "event_id": f"{name}{at}", "timestamp": T + at} | ids), T + at)


def order(unit_id: str) -> Any:
    found = read_forget(forget_record(unit_id, 946_684_800_000)[1])
    assert found is not None
    return found


def finish(part: Partition) -> Any:
    result = part.finish()
    part.keep(result)
    return result


@pytest.mark.parametrize("mode", [Mode.ORDERED, Mode.STRICT])
@pytest.mark.parametrize("ids", [{"session_id": "s1"}, {"visitor_id": "s1"}], ids=["session", "gap session"])
@pytest.mark.parametrize("same_chunk", [False, True], ids=["a later chunk", "the same chunk"])
def test_open_state_is_dropped_at_once(mode: Mode, ids: dict[str, str], same_chunk: bool) -> None:
    store: dict[str, bytes] = {}
    part = partition(mode, store)
    part.event(0, event("view", 0, **ids))
    part.event(1, event("view", 0, session_id="other"))
    if not same_chunk:
        finish(part)
        assert part.units.open["shop"] == 2
    part.event(2, order("s1"))
    result = finish(part)
    key = ("=" if "session_id" in ids else "~") + "s1"
    assert result.state[key] is None
    assert set(store) == {META, "=other"}
    assert part.units.open["shop"] == 1
    assert b"s1" not in b"".join(store.values())
    part.event(3, event("cart", MINUTE, **ids))  # what comes later is new: no attempt is open
    part.event(4, event("cart", MINUTE, session_id="other"))
    rows = finish(part).rows
    assert [(row.unit_id, row.kind) for row in rows if row.kind == "enter"] == [("other", "enter")]
    part.event(5, event("x", 300 * MINUTE, session_id="later"))
    assert [row.unit_id for row in finish(part).rows if row.kind == "end"] == ["other"]
    counted = part.tally.read
    assert counted == 5  # the order is no event


def test_a_recovered_partition_knows_nothing_of_it() -> None:
    store: dict[str, bytes] = {}
    part = partition(Mode.ORDERED, store)
    part.event(0, event("view", 0, session_id="s1"))
    finish(part)
    part.event(1, order("s1"))
    finish(part)
    again = partition(Mode.ORDERED, dict(store))
    assert again.units.open["shop"] == 0
    again.event(0, event("view", 0, session_id="s1"))  # read again after a crash
    again.event(1, order("s1"))
    assert finish(again).rows == []


def test_an_event_after_the_order_begins_anew() -> None:
    store: dict[str, bytes] = {}
    part = partition(Mode.ORDERED, store)
    part.event(0, event("view", 0, session_id="s1"))
    part.event(1, order("s1"))
    part.event(2, event("view", MINUTE, session_id="s1"))
    finish(part)
    assert set(store) == {META, "=s1"}
    assert part.units.open["shop"] == 1


def test_the_order_moves_no_time_and_can_be_read_beside_any_format() -> None:
    part = partition(Mode.ORDERED, {})
    part.event(0, event("view", 0, session_id="s1"))
    before = part.clock.watermark
    part.event(1, order("nobody"))
    assert part.clock.watermark == before
    assert read_forget(b'{"event":"$forget","timestamp":1}') is None
    assert read_forget(b"plain") is None
    assert read_forget(None) is None
    key, value = forget_record('quote"d', 5)
    found = read_forget(value)
    assert found is not None
    assert (key, found.event, found.session_id, found.visitor_id) == (b'quote"d', FORGET, 'quote"d', 'quote"d')
