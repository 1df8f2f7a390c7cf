"""What `Lane.move` is given may be anything: states cut short or damaged, long values, arguments of another type."""

from __future__ import annotations

import shutil
import tracemalloc
from collections import Counter
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from random import Random
from typing import Any

import pytest

from schemas.transitions import unpack_rows
from streams.engine import usual as usual_module
from streams.engine.state import pack, unpack
from streams.engine.usual import NO_MONEY, Usual
from tests.unit.engine.both_ways import Both, needs_compiled
from tests.unit.engine.feeding import event, funnel, stage

pytestmark = needs_compiled

DIMS, MONEY = pack(("p",)), pack((5, "EUR", None, "o1"))
SAID: tuple[Any, ...] = (7, 12, "e9", "v", DIMS, MONEY, True, 0)


def plans_and_states() -> tuple[dict[str, Usual], list[bytes]]:
    """The plans of the events a to d, and states of many shapes: every stage, converted, alone or beside another funnel."""
    both, states = shapes()
    return {name: both.quick.partition.usual[name][0] for name in "abcd"}, states


def shapes() -> tuple[Both, list[bytes]]:
    """A partition that has met the events a to d of one funnel and k of another, and all the states that its units have had."""
    shop = funnel(stage("A"), stage("B"), stage("C", value="revenue"), stage("D"), dimensions=("channel",))
    side = funnel(stage("K"), stage("L"), name="g", version="000000000002")
    both = Both(shop, side)
    states = []
    for name in ("k", "a", "b", "c", "d"):
        fields: dict[str, Any] = {"channel": "p", "revenue": 5, "currency": "EUR", "order_id": "o1"}
        for visitor in ("v", "w"):
            if name != "k" or visitor == "w":
                both.feed([event(name, both.offset, f"{name}{visitor}", visitor, **fields)])
        both.chunk()
        states += [both.quick.store[key] for key in ("=v", "=w") if key in both.quick.store]
    return both, states


def lane_of() -> Any:
    lane = usual_module.lane()
    assert lane is not None
    return lane


def one_move(
    usual: Usual, offset: int, ts: int, event_id: str, unit_id: str, dims: bytes, money: bytes, consent: bool | None,
    horizon: int,
) -> tuple[Any, ...]:  # fmt: skip
    """What `Lane.move` is given to move the unit v by such an event."""
    return ((usual.plan, dims, money),), "=v", offset, ts, event_id, unit_id, consent, horizon, horizon


class Made:
    """What a move has made of a unit."""

    def __init__(self, usual: Usual, state: bytes | None, *said: Any) -> None:
        self.changed: dict[str, bytes] = {}
        lane = lane_of()
        lane.begin({} if state is None else {"=v": state}, self.changed, set(), {})
        self.due = lane.move(*one_move(usual, *said))
        packed, *_ = lane.rows()
        self.rows = unpack_rows(packed) if self.due is not None else []
        assert bool(packed) == bool(self.changed) == (self.due is not None)


def done_by(usual: Usual, state: bytes | None, *said: Any) -> int:
    """Whether it was done, as `done` has it."""
    return done(state, *one_move(usual, *said))


def done(state: bytes | None, *move: Any) -> int:
    """Whether it was done; fails where something was changed and it was not. What it makes of a damaged state may be no row."""
    lane, changed = lane_of(), dict[str, bytes]()
    lane.begin({} if state is None else {"=v": state}, changed, set(), {})
    due = lane.move(*move)
    (packed, *_), (stayed, groups) = lane.rows(), lane.groups()
    assert bool(packed) == bool(groups)
    assert bool(groups or stayed) == bool(changed) == (due is not None)
    return due is not None


def test_no_damaged_state_brings_it_down() -> None:
    plans, states = plans_and_states()
    assert sorted(plans) == ["a", "b", "c", "d"]
    assert len(states) == 9
    taken: Counter[str] = Counter()
    for name, usual in plans.items():
        said = 100, *SAID[1:5], MONEY if name == "c" else NO_MONEY, True, 0
        for state in states:
            taken[name] += done_by(usual, state, *said)
            for length in range(len(state)):
                assert done_by(usual, state[:length], *said) == 0
            for place in range(len(state)):
                for value in range(0, 256, 1 if place < 60 else 3):
                    damaged = bytearray(state)
                    damaged[place] = value
                    done_by(usual, bytes(damaged), *said)
    # Unharmed, each does what it should: all but the first begins nothing.
    assert taken == {"a": 9, "b": 6, "c": 6, "d": 6}


def test_nor_does_any_other_bytes() -> None:
    plans, states = plans_and_states()
    rng = Random(11)
    for number in range(20_000):
        state = bytearray(rng.choice(states))
        for _ in range(rng.randint(1, 8)):
            start = rng.randrange(len(state))
            state[start : start + rng.randint(0, 9)] = rng.randbytes(rng.randint(0, 9)) + rng.choice(
                (
                    b"",
                    b"\xdf\xff\xff\xff\xff",
                    b"\xdb\xff\xff\xff\xff",
                    b"\xc6\x00\x00\xff\xff",
                    b"\xdd\x7f\xff\xff\xff",
                )
            )
            state = state or bytearray(b"\x94")
        usual = plans["abcd"[number % 4]]
        done_by(
            usual,
            bytes(state),
            100 + number,
            *SAID[1:4],
            rng.randbytes(rng.randint(0, 9)),
            rng.randbytes(rng.randint(0, 9)),
            None,
            0,
        )


def settled_by(endings: Any, state: bytes, due: int) -> int:
    """Whether the unit was settled when it was due; fails where something was changed and it was not."""
    lane, changed, near = lane_of(), dict[str, bytes](), [(-due, "=v")]
    lane.begin({"=v": state}, changed, set(), {})
    again = lane.settle(endings, near, 500, 1_000, 0, 100_000)
    (packed, dropped, drop_offs), (_, groups) = lane.rows(), lane.groups()
    assert rows_in(packed) == rows_in(dropped) + len(drop_offs)
    assert packed.endswith(dropped[5:])
    assert bool(packed) == bool(groups)
    if near:
        assert (packed, changed, again) == (b"", {}, [])
    return not near


def rows_in(block: bytes) -> int:
    """By the head of the array: what was made of damaged states may be no rows."""
    assert block[:1] in (b"", b"\xdd")
    return int.from_bytes(block[1:5], "big")


def test_nor_does_one_that_is_moved_in_several_funnels() -> None:
    """By both funnels at once, in either order: one of them known or new, before or behind the other."""
    both, states = shapes()
    plans = {name: both.quick.partition.usual[name][0].plan for name in "abcdk"}
    rng, taken = Random(12), 0
    for number in range(20_000):
        state = bytearray(rng.choice(states))
        if number % 4:
            state[rng.randrange(len(state))] = rng.randrange(256)
        if number % 8 == 0:
            del state[rng.randrange(len(state)) :]
        moves = [(plans["abcd"[number % 3]], DIMS, NO_MONEY), (plans["k"], pack(()), NO_MONEY)]
        rng.shuffle(moves)
        taken += done(bytes(state), tuple(moves), "=v", 100, 7, "e9" * (number % 50), "v", True, 0, 0)
    assert taken > 2_000


def test_nor_does_one_whose_unit_is_due() -> None:
    both, states = shapes()
    endings = both.quick.partition.units.endings
    assert len(endings) == 2
    rng = Random(12)
    for state in states:
        due = unpack(state).wake
        assert due < 1_000
        assert settled_by(endings, state, due)
        for length in range(len(state)):
            settled_by(endings, state[:length], due)
        for place in range(len(state)):
            for value in range(0, 256, 1 if place < 60 else 3):
                damaged = bytearray(state)
                damaged[place] = value
                settled_by(endings, bytes(damaged), due)
        for _ in range(2_000):
            damaged = bytearray(state)
            place = rng.randrange(5, len(state))
            damaged[place : place + rng.randint(0, 9)] = rng.choice(
                (rng.randbytes(9), b"\xdf\xff\xff\xff\xff", b"\xc6\x00\x00\xff\xff", b"")
            )
            settled_by(endings, bytes(damaged), due)


def test_long_values_fit() -> None:
    """Rooms are made for one event and used for the next: each must be large enough by itself."""
    for size in (0, 1, 100, 1_000, 5_000, 70_000):
        for order in (0, size, 2 * size):
            both = Both(
                funnel(
                    stage("A", value="revenue"), stage("B", value="revenue"), stage("C"), dimensions=("properties.n",)
                )
            )
            for at, name in enumerate("abc"):
                both.feed([
                    event(name, at, "e" * size + name, "v" * size + "v", revenue=5, order_id="o" * order or None, currency="c" * 3,
                          properties={"n": "d" * (size % 256)}),
                ])  # fmt: skip
            both.chunk()
            assert both.quick.taken >= 2


@pytest.fixture
def with_rooms_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A copy of the compiled part whose memory has not grown yet."""
    from streams.engine import _usual

    assert _usual.__file__ is not None
    copied = shutil.copy(_usual.__file__, tmp_path)
    spec = spec_from_file_location("_usual", copied)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(usual_module, "_usual", module)


@pytest.mark.usefixtures("with_rooms_of_its_own")
@pytest.mark.parametrize("long", ["event_id", "unit_id", "dims", "order"])
@pytest.mark.parametrize("name,place", [("a", None), ("a", 0), ("c", 3), ("d", 5)])
def test_what_is_written_fits_as_it_grows_little_by_little(long: str, name: str, place: int | None) -> None:
    plans, states = plans_and_states()
    usual, state = plans[name], states[place] if place is not None else None
    for power in range(30):
        text = "o" * int(300 * 1.2**power)
        event_id, unit_id = text if long == "event_id" else "e", text if long == "unit_id" else "v"
        dims = (text,) if long == "dims" else ("p",)
        money = NO_MONEY if name == "d" else pack((5, "EUR", None, text if long == "order" else ""))
        made = Made(usual, state, 100, 12, event_id, unit_id, pack(dims), money, None, 0)
        (funnel_state,) = [one for one in unpack(made.changed["=v"]).funnels.values() if one.newest == 12]
        hit = funnel_state.hits()[-1]
        assert (hit.event_id, hit.dims) == (event_id, dims)
        row = made.rows[0]
        assert (row.event_id, row.unit_id, row.dims) == (event_id, unit_id, dims)
        assert row.order_id == (text if long == "order" and name != "d" else "")


def arguments(usual: Usual) -> list[Any]:
    return [((usual.plan, DIMS, MONEY),), "=v", 7, 12, "e9", "v", True, 0, 0]


@pytest.mark.parametrize("place", range(9))
def test_arguments_of_another_type_are_refused(place: int) -> None:
    plans, states = plans_and_states()
    for name in "ab":
        lane = lane_of()
        lane.begin({"=v": states[1]}, {}, set(), {})
        for wrong in (3.5, object(), ["x"], "text" if place not in (1, 4, 5) else b"bytes"):
            said = arguments(plans[name])
            said[place] = wrong
            if place == 1 and not isinstance(wrong, list):
                continue  # any key that can be one
            with pytest.raises(TypeError):
                lane.move(*said)


def test_so_are_too_few_or_too_many() -> None:
    plans, _ = plans_and_states()
    usual = plans["a"]
    lane = lane_of()
    lane.begin({}, {}, set(), {})
    for few in ((), SAID[:5], (*arguments(usual), 1)):
        with pytest.raises(TypeError, match="9 arguments"):
            lane.move(*few)
    for funnel_says in ((), (usual.plan,), (usual.plan, DIMS), (DIMS, DIMS, MONEY), (usual.plan, "", MONEY, 1)):
        with pytest.raises(TypeError):
            lane.move((funnel_says,), *arguments(usual)[1:])
    with pytest.raises(TypeError):
        lane.move((DIMS,), *arguments(usual)[1:])
    for none_or_too_many in ((), ((usual.plan, DIMS, MONEY),) * 65):
        assert lane.move(none_or_too_many, *arguments(usual)[1:]) is None
    for place, wrong, error in ((2, 1 << 64, OverflowError), (4, "\ud800", UnicodeEncodeError)):
        said = arguments(usual)
        said[place] = wrong
        with pytest.raises(error):
            lane.move(*said)
    plan = type(usual.plan)
    with pytest.raises(TypeError):
        plan(0)
    with pytest.raises(TypeError, match="keywords"):
        plan(level=0)
    stores: list[list[Any]] = [[{}, {}, set()], [[], {}, set(), {}], [{}, {}, {}, {}]]
    for wrong_ones in stores:
        with pytest.raises(TypeError):
            lane.begin(*wrong_ones)


def test_what_it_refuses_is_left_as_it_was() -> None:
    plans, states = plans_and_states()
    kept = [bytes(bytearray(state)) for state in states]
    for state in states:
        offset = unpack(state).offset
        assert not done_by(plans["b"], state, offset, *SAID[1:])  # done already
    assert states == kept


def test_a_partition_that_is_gone_leaves_no_memory() -> None:
    plans, _ = plans_and_states()
    long = "v" * 10_000

    def one() -> None:
        assert Made(plans["a"], None, 7, 12, "e", long, pack((long,)), NO_MONEY, None, 0).due

    one()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(50):
        one()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert grown < 20_000
