"""Attempts, what they count, and what is learned of them, held against the worker's own counters and against counting by hand."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions import parse_funnels
from schemas.event import Event
from schemas.expectation.history import Needed
from schemas.expectation.steps import steps
from schemas.expectation.week import QUARTER, Week
from schemas.funnel import Funnel
from schemas.metrics import STAGE_CONVERSIONS, STAGE_ENTERED
from sinks.prometheus.counters import FunnelCounters, Tally
from sinks.prometheus.labels import LabelPolicy, Segment
from streams.backtest.attempts import Attempt, Reached, conversions, from_rows, stays
from streams.backtest.learning import Learner, Stay
from streams.engine.batch import walk_unit

MINUTE, DAY = 60_000, 86_400_000
WHOLE = Segment("all", "all")


def funnel(mode: str) -> Funnel:
    optional = {} if mode == "unordered" else {"optional": True}
    stages = [{"name": "a", "events": "a"}, {"name": "b", "events": "b", **optional},
              {"name": "c", "events": ["c", "b"]}, {"name": "d", "events": "d"}]  # fmt: skip
    table = {"name": "f", "unit": "session", "window": "1h", "mode": mode, "dimensions": ["channel"], "stages": stages}
    return parse_funnels({"funnels": [table]}, "test")[0]


@pytest.mark.parametrize("mode", ["ordered", "strict", "unordered"])
def test_entries_and_conversions_are_those_of_the_workers_counters(mode: str) -> None:
    definition, rng = funnel(mode), random.Random(5)
    rows, found = [], []
    for unit in range(300):
        events = [
            Event(
                event_id=f"{unit}-{number}", event=rng.choice("abcd"), ts=rng.randrange(3 * 3_600_000),
                session_id=f"s{unit}", channel=rng.choice(["paid", "email"]),
            )
            for number in range(rng.randrange(12))
        ]  # fmt: skip
        own = walk_unit(definition, events)
        rows += own
        found += list(from_rows(own))
    counters = FunnelCounters([definition], LabelPolicy(), "site")
    counters.count(Tally(rows))
    for level, name in enumerate(definition.levels):
        entered = sum(each.level == level for attempt in found for each in attempt.reached)
        converted = sum(level in levels for attempt in found for _, levels in conversions(definition, attempt))
        assert entered == counters.net(STAGE_ENTERED, "f", name, segment=WHOLE)
        assert converted == counters.net(STAGE_CONVERSIONS, "f", name, segment=WHOLE)
        if level < len(definition.levels) - 1:
            stayed = [done for attempt in found for at, _, done in stays(definition, attempt) if at == level]
            assert len(stayed) == entered
            assert sum(done is not None for done in stayed) == converted
    assert len(found) > 100


def test_money_and_breakdown_go_along() -> None:
    attempt = Attempt(("paid",), (Reached(1, 0), Reached(5, 2), Reached(9, 3, 7)))
    assert list(conversions(funnel("ordered"), attempt)) == [
        (Reached(1, 0), ()), (Reached(5, 2), (0,)), (Reached(9, 3, 7), (2,)),
    ]  # fmt: skip
    assert list(stays(funnel("ordered"), attempt)) == [(0, 1, 5), (2, 5, 9)]


STAYS = st.lists(
    st.tuples(st.integers(0, 40 * DAY), st.one_of(st.none(), st.integers(0, 3_000_000)), st.sampled_from("xy")), max_size=60
)  # fmt: skip


@given(STAYS, st.integers(1, 40 * DAY))
def test_what_is_known_at_a_moment_is_counted_from_what_lay_before(
    given_stays: list[tuple[int, int | None, str]], now: int
) -> None:
    found = [
        Stay(at, None if late is None else at + late, (WHOLE, ("channel", value))) for at, late, value in given_stays
    ]
    (step, *_) = steps(funnel("ordered"), MINUTE)
    week, needed = Week("Europe/Berlin"), Needed(7 * DAY, 100)
    learned = Learner(step, MINUTE, week, found).known_at(now, needed)
    until = now - 3_600_000
    counted = [
        stay
        for stay in found
        if until - 28 * DAY <= stay.at // QUARTER * QUARTER and stay.at // QUARTER * QUARTER + QUARTER <= until
    ]
    assert (learned is None) == (not counted)
    if learned is not None:
        assert learned.whole.entered == len(counted)
        in_time = [stay for stay in counted if stay.converted and stay.converted // MINUTE - stay.at // MINUTE < 60]
        assert learned.whole.converted == len(in_time)
        assert all(stay.converted is not None and stay.converted <= now for stay in in_time)
        before = [stay for stay in found if stay.at < now]
        assert Learner(step, MINUTE, week, before).known_at(now, needed) == learned
