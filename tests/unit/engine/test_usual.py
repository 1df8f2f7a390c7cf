"""The compiled way and the general way are one: the same rows, counts and counters, and states equal byte for byte."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

import pytest

from benchmarks.workloads import dense
from schemas.decode import DecodeOptions, Format, decoder
from schemas.event import HEARTBEAT, Event
from schemas.funnel import Condition, Funnel, Mode, Unit
from streams.engine.match import CompiledFunnel, no_rates
from streams.engine.partition import Partition
from streams.engine.unit import FOLD
from tests.unit.engine.both_ways import Both, in_cents, needs_compiled
from tests.unit.engine.feeding import delayed, event, events, funnel, heartbeat, in_cuts, stage
from tests.unit.engine.scenarios import random_event, random_funnel, scenarios

pytestmark = needs_compiled
A_TO_D = (stage("A"), stage("B"), stage("C"), stage("D"))


def test_random_funnels_of_every_mode() -> None:
    taken = 0
    for number, case in enumerate(scenarios("usual", 400)):
        rng = Random(number)
        both = Both(case.funnel, convert=rng.choice((no_rates, in_cents)))
        for seen in in_cuts(rng, case.log):
            both.feed(seen).chunk()
            if rng.random() < 0.1:
                both.restart()
        both.feed([heartbeat(case.horizon + 10_000)]).chunk().chunk()
        both.compare_counters()
        taken += both.quick.taken
    assert taken >= 25  # nearly all of these funnels have something unusual


def test_several_funnels_over_the_same_units() -> None:
    taken = 0
    for number in range(200):
        rng = Random(f"usual side by side {number}")
        unit = rng.choice((Unit.SESSION, Unit.VISITOR))
        funnels = [plain_funnel(rng, unit, name, letters) for name, letters in (("f", "ab"), ("g", "cde"))]
        if rng.random() < 0.3:
            funnels.append(random_funnel(rng, unit, "h"))
        both = Both(*funnels)
        seen = [random_event(rng, index, rng.choice((10, 40, 100))) for index in range(rng.randint(1, 40))]
        for chunk in in_cuts(rng, delayed(rng, seen, rng.choice((0, 10)))):
            both.feed(chunk).chunk()
        both.feed([heartbeat(500)]).chunk()
        both.compare_counters()
        taken += both.quick.taken
    assert taken > 200


def test_funnels_that_share_their_events() -> None:
    """An event moves its unit in several funnels at once: in some it has been, in others it begins, in yet others it has no part."""
    taken = read = 0
    for number in range(50):
        rng = Random(f"shared {number}")
        letters = ["".join(sorted(rng.sample("abcde", rng.randint(2, 4)))) for _ in range(rng.choice((3, 5, 9, 17)))]
        both = Both(*(plain_funnel(rng, Unit.VISITOR, f"f{place}", chosen) for place, chosen in enumerate(letters)))
        walks = (walk_of(rng, "abcde", visitor, rng.randint(0, 9), 12) for visitor in rng.sample(IDS[:8], 4))
        seen = sorted((one for walk in walks for one in walk), key=lambda one: one.ts)
        for chunk in in_cuts(rng, seen):
            both.feed(chunk).chunk()
            if rng.random() < 0.1:
                both.restart()
        both.feed([heartbeat(500)]).chunk()
        both.compare_counters()
        taken, read = taken + both.quick.taken, read + len(seen)
    assert taken > read // 4


def test_the_end_in_the_only_funnel_begins_another() -> None:
    """There is more to do for the unit then than to forget it."""
    short = funnel(stage("A"), stage("B"), name="short", version=f"{1:012x}", window=20, lateness=0)
    both = Both(short, funnel(stage("B"), stage("C"), name="long", version=f"{2:012x}", window=1_000, lateness=0))
    both.feed([event("a", 0), event("b", 1)]).chunk()
    both.feed([event("a", 100, visitor="w"), event("c", 101)]).chunk()
    assert both.quick.taken == 4
    both.feed([heartbeat(5_000)]).chunk().chunk()
    both.compare_counters()


def plain_funnel(rng: Random, unit: Unit, name: str, letters: str) -> Funnel:
    """Nothing that the compiled way leaves to the general one, but for a stage that is optional or asks for something now and then."""
    stages = [
        stage(
            letter.upper(),
            value=rng.choice((None, "revenue")),
            optional=0 < index < len(letters) - 1 and rng.random() < 0.3,
            where=(Condition("channel", "eq", ("p",)),) if rng.random() < 0.05 else (),
        )
        for index, letter in enumerate(letters)
    ]
    return funnel(
        *stages, name=name, version=f"{rng.getrandbits(48):012x}", unit=unit, window=rng.choice((20, 60, 1 << 33)),
        lateness=rng.choice((0, 5, 30)), dimensions=rng.choice(((), ("channel",), ("channel", "device", "properties.n"))),
    )  # fmt: skip


def test_more_breakdowns_than_are_remembered() -> None:
    """Each has a place among 1,024, where others take its turn."""
    rng = Random(9)
    both = Both(funnel(*A_TO_D, unit=Unit.VISITOR, window=60_000, lateness=5, dimensions=("channel", "device")))
    seen = [
        event(name, offset, visitor=f"v{offset // 2}", channel=f"c{rng.randrange(60)}", device=f"d{rng.randrange(60)}")
        for offset, name in enumerate("ab" * 3_000)
    ]
    for start in range(0, len(seen), 1_500):
        both.feed(seen[start : start + 1_500]).chunk()
    both.feed([heartbeat(500_000)]).chunk()
    both.compare_counters()
    assert both.quick.taken == 6_000


def test_a_sparse_history_in_one_chunk() -> None:
    """Every minute has groups of its own, more of them than there are places: late ones begin others of the same."""
    rng = Random(10)
    both = Both(funnel(*A_TO_D, unit=Unit.VISITOR, window=3_600_000, lateness=1_800_000, dimensions=("channel",)))
    seen = [
        event(
            rng.choice("ab"),
            minute * 60_000 - rng.choice((0, 0, 1_500_000)),
            visitor=f"v{rng.randrange(40)}",
            event_id=str(place),
        )
        for place, minute in enumerate(sorted(rng.randrange(700) for _ in range(3_000)))
    ]
    both.feed(seen).feed([heartbeat(80_000_000)]).chunk()
    both.compare_counters()
    assert both.quick.taken > 1_000


def test_like_rows_of_many_funnels_are_one_group_each() -> None:
    """They are found by what they are, not looked for among all: fifty funnels of four stages have four hundred groups at once."""
    many = [
        funnel(*A_TO_D, name=f"f{n}", version=f"{n:012x}", unit=Unit.VISITOR, window=60_000, lateness=5)
        for n in range(50)
    ]
    both = Both(*many)
    seen = [
        event(name, 10 * place, visitor=f"v{place % 20}")
        for place, name in enumerate(c for c in "abcd" for _ in range(20))
    ]
    both.feed(seen)
    assert sorted(len(each.dims) for each in both.quick.chunk().alike) == [20] * 50 * 5  # four entries and one end each
    assert both.quick.taken == len(seen)


#: Lengths at which msgpack changes the form of a text, and ids that are no ASCII.
IDS = ("v", 'quo"te', "w" * 31, "x" * 32, "ü" * 16, "日" * 85, "y" * 255, "z" * 256, "🛒" * 64, "long" * 20_000)
CHANNELS = (None, "", "p", 'a "b"', "a\\b", "a\nb", "q" * 31, "r" * 32, "é" * 128, "s" * 300)
#: Where the numbers of a state change their width, and before the epoch.
STARTS = (0, -40, -200, -40_000, -(1 << 33), 100, 65_500, (1 << 32) - 60, 1_748_822_400_000, 1 << 45)
AMOUNTS = (None, 0, 5, -3, 1 << 31, 1 << 40, (1 << 63) - 1, -(1 << 40))
ORDERS = (None, "o1", "o2", "o" * 40, "bestellung-№" * 60)


def walk_of(rng: Random, names: Sequence[str], visitor: str, start: int, longest: int) -> Iterator[Event]:
    """A visitor who mostly goes on, stays now and then, goes back, jumps, repeats an event, begins again."""
    ts, place = start, 0
    tag = rng.choice(("", "e" * 31, "e" * 250, "ß" * 20, "e" * 70_000 if rng.random() < 0.02 else ""))
    for number in range(rng.randint(1, len(names) + 6)):
        name = names[min(place, len(names) - 1)]
        yield Event(
            event=name, ts=ts, event_id=f"{tag}{visitor[:3]}{number}", visitor_id=visitor,
            channel=rng.choice(CHANNELS), device=rng.choice((None, "mobile")),
            properties=rng.choice((None, {"n": 7}, {"n": "x" * 40})), revenue=rng.choice(AMOUNTS),
            currency=rng.choice((None, "EUR", "USD")), order_id=rng.choice(ORDERS), consent=rng.choice((None, None, True, False)),
        )  # fmt: skip
        ts += rng.choice((0, 1, 1, rng.randint(0, longest)))
        place = max(0, place + rng.choice((1, 1, 1, 1, 1, 1, 0, -1, 2)))
        if place >= len(names) and rng.random() < 0.5:
            place = 0


@pytest.mark.parametrize("stages", [2, 3, 5, 17, 20])
def test_walks_through_plain_funnels(stages: int) -> None:
    taken = read = ends = written = unwritten = 0
    for number in range(400 // stages):
        rng = Random(f"walks {stages} {number}")
        names = [f"s{index}" for index in range(stages)]
        window, skipped = rng.choice((30, 300, 70_000, (1 << 32) + 5, 1 << 40)), rng.choice((0, 0, 0.3, 0.8))
        definition = funnel(
            *(
                stage(name, value=rng.choice((None, None, "revenue", "properties.n")), optional=name in names[1:-1] and rng.random() < skipped)
                for name in names
            ), window=window,
            lateness=rng.choice((0, 3, 40, 100_000)), dimensions=rng.choice(((), ("channel",), ("channel", "device", "properties.n"))),
        )  # fmt: skip
        start = rng.choice(STARTS)
        longest = rng.choice((3, window // stages, window + 3))
        seen = [
            one
            for visitor in rng.sample(IDS, 4)
            for one in walk_of(rng, names, visitor, start + rng.randint(0, 9), longest)
        ]
        seen = sorted(seen, key=lambda one: one.ts) if rng.random() < 0.7 else delayed(rng, seen, 20)
        both = Both(definition, convert=rng.choice((no_rates, in_cents)))
        source = rng.choice((None, "s/0"))
        for chunk in in_cuts(rng, seen, 12):
            both.feed(chunk, source).chunk()
            if rng.random() < 0.1:
                both.restart()
        if source is None:
            both.feed([heartbeat(start + 3 * window)]).chunk()
        both.compare_counters()
        taken, read, ends = taken + both.quick.taken, read + both.read, ends + both.ends
        written, unwritten = written + both.quick.written, unwritten + both.quick.unwritten
    assert taken > read // 8
    assert ends > 20
    assert written > 0
    assert unwritten > 0 or stages > 5  # what must be escaped in JSON


@pytest.mark.parametrize("before", range(FOLD - 4, FOLD + 3))
def test_where_pending_events_are_folded(before: int) -> None:
    both = Both(funnel(*A_TO_D, window=1_000, lateness=20))
    both.feed(event("a", number) for number in range(before)).chunk()
    for number, name in enumerate("bcd"):
        both.feed([event(name, before + number)]).chunk()
    assert both.quick.taken == min(before + 3, FOLD)  # what needs no folding


@pytest.mark.parametrize("waiting", range(FOLD - 1, FOLD + 4))
def test_where_they_are_folded_because_another_funnel_is_due(waiting: int) -> None:
    other = funnel(stage("K"), stage("L"), name="g", version="000000000002", window=30, lateness=0)
    both = Both(funnel(*A_TO_D, window=1_000, lateness=20), other)
    both.feed([event("k", 0)]).chunk()
    both.feed(event("a", number) for number in range(waiting)).chunk().feed([event("z", 100)]).chunk()
    both.feed([event("b", 101), event("c", 102), event("d", 200), heartbeat(3_000)]).chunk()
    assert both.ends == 2


@pytest.mark.parametrize("gap", [9, 10, 11])
def test_at_the_horizon(gap: int) -> None:
    both = Both(funnel(*A_TO_D))
    both.feed(events("a@0")).feed(events("z@11 d@11", visitor="w"))
    both.feed([event("b", 0, "same time"), event("b", 1, "b"), event("b", 11 + gap)]).chunk()
    both.feed([event("c", 1 + gap), event("c", 11 + gap, "copy"), event("c", 12 + gap, "c")]).chunk()


@pytest.mark.parametrize("last", [99, 100, 101, 102, 111])
def test_at_the_end_of_the_window(last: int) -> None:
    both = Both(funnel(*A_TO_D)).feed([event("a", 0), event("b", 99), event("c", last), event("d", last, "d")]).chunk()
    both.feed([event("d", last + 1), heartbeat(500)]).chunk().chunk()


#: The last number of each width, and the next one.
WIDTHS = [(1 << bits) + step for bits in (7, 8, 16, 32, 40) for step in (-1, 0)]
BELOW_ZERO = [-(1 << bits) - step for bits in (5, 7, 15, 31, 40) for step in (0, 1)]


@pytest.mark.parametrize("number", WIDTHS + BELOW_ZERO)
def test_numbers_of_every_width(number: int) -> None:
    both = Both(funnel(*A_TO_D, window=1 << 41, lateness=3))
    both.feed([event("a", number), event("b", number + 1)]).chunk()  # as a time
    both.feed([event("c", number + 2), event("d", number + 3)]).chunk()
    if number > 0:
        later = (
            Both(funnel(*A_TO_D, window=number, lateness=0)).feed(events("a@0")).chunk()
        )  # as a window, and a duration
        later.feed([event("b", number)]).chunk()
        assert later.quick.taken == 2
    assert both.quick.taken == 4


def test_one_id_within_another_and_copies() -> None:
    both = Both(funnel(*A_TO_D))
    both.feed(
        [event("a", 0, "12"), event("b", 1, "2"), event("c", 2, "12"), event("c", 3, "3"), event("d", 4, "3")]
    ).chunk()
    assert both.quick.partition.progress(both.quick.partition.funnels[0]).duplicate == 2


def test_a_heartbeat_is_no_event_even_where_everything_fits() -> None:
    beat = Event(event=HEARTBEAT, ts=50, event_id="beat", visitor_id="v")
    both = Both(funnel(stage("A", "*"), stage("B", "nothing"))).feed([beat, *events("x@60")]).chunk()
    assert both.quick.partition.clock.floor == 50
    assert both.quick.partition.progress(both.quick.partition.funnels[0]).read == 1


def test_bots_and_events_without_the_unit_are_left_out() -> None:
    both = Both(funnel(*A_TO_D))
    both.feed(
        [event("a", 0), event("b", 1, bot=True), event("b", 2, visitor=None), event("a", 3, visitor=None)]
    ).chunk()
    both.feed([event("b", 4, visitor=None, user_id="v"), heartbeat(500)]).chunk().chunk()
    progress = both.quick.partition.progress(both.quick.partition.funnels[0])
    assert (progress.read, progress.matched, progress.bot, progress.ignored) == (5, 2, 1, 2)


def test_money_with_and_without_an_order() -> None:
    shop = funnel(stage("A", value="revenue"), stage("B", value="revenue"), stage("C", value="revenue"))
    for orders in (("o", "o", "o"), (None, "p", "o"), ("o", None, "o"), (None, None, "o"), ("x" * 900, "o", "x" * 900)):
        both = Both(shop, convert=in_cents)
        for revenue, visitor in ((5, "v"), (None, "w"), (0, "x"), ((1 << 63) - 1, "y")):
            for at, (name, order) in enumerate(zip("abc", orders, strict=True)):
                both.feed(
                    [event(name, at, f"{name}{visitor}", visitor, revenue=revenue, currency="EUR", order_id=order)]
                )
            both.chunk()
        both.feed([heartbeat(900)]).chunk().chunk()
        both.compare_counters()


def test_most_events_of_a_plain_workload_are_done_the_compiled_way() -> None:
    workload = dense(30_000)
    definition = funnel(
        *(stage(name, name) for name in workload.walks[0].stages[:-1]),
        stage(workload.walks[0].stages[-1], workload.walks[0].stages[-1], value="revenue"),
        unit=Unit.SESSION, window=600_000, lateness=60_000, dimensions=workload.dimensions,
    )  # fmt: skip
    decode = decoder(DecodeOptions(format=Format.AUTO))
    seen = [decode(value, 1 << 42) for _, value in workload.records(0)]
    both = Both(definition)
    for start in range(0, len(seen), 250):
        both.feed(seen[start : start + 250]).chunk()
    both.compare_counters()
    assert both.quick.taken > 0.99 * both.read > 1_000
    assert both.ends >= 10


def test_what_is_not_usual_is_left_to_the_general_way() -> None:
    def open_to(definition: Funnel) -> dict[str, bool]:
        names = Partition("log", 0, definition.unit, [CompiledFunnel(definition)], {}).usual
        return {name: bool(names[name]) for name in "abcx"}

    every = dict.fromkeys("abc", True) | {"x": False}
    assert open_to(funnel(*A_TO_D[:3])) == every
    assert open_to(funnel(*A_TO_D[:3], mode=Mode.STRICT)) == dict.fromkeys("abcx", False)
    assert open_to(funnel(*A_TO_D[:3], mode=Mode.UNORDERED)) == dict.fromkeys("abcx", False)
    assert open_to(funnel(stage("A"), stage("B"), stage("C", within=5))) == dict.fromkeys("abcx", False)
    assert open_to(funnel(stage("A"))) == dict.fromkeys("abcx", False)
    assert open_to(funnel(stage("A"), stage("B", optional=True), stage("C"))) == every
    assert open_to(funnel(stage("A"), stage("B", "b", "a"), stage("C"))) == every | {"a": False}
    assert open_to(funnel(stage("A"), stage("B", exclude=("x", "a")), stage("C"))) == every | {"a": False}
    assert open_to(funnel(stage("A"), stage("B"), stage("C"), refunds=("c",))) == every | {"c": False}
    where = (Condition("channel", "eq", ("p",)),)
    assert open_to(funnel(stage("A"), stage("B", where=where), stage("C"))) == every | {"b": False}
