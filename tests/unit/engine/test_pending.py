"""Bounds: what a unit keeps, and how many steps its events cost."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.event import Event
from streams.engine import partition as partition_module
from streams.engine import unit as unit_module
from streams.engine import usual as usual_module
from streams.engine.state import FunnelState, unpack, unpack_walk
from streams.engine.unit import FOLD, PENDING
from streams.engine.units import META
from streams.engine.walk import KIND_END, step
from tests.unit.engine.feeding import Run, batch_rows, event, events, funnel, heartbeat, run, stage

LONG = funnel(stage("A"), stage("B"), stage("C"), window=10_000, lateness=10_000)


def state_of(made: Run, key: str = "=v") -> FunnelState:
    state = unpack(made.store[key]).funnels[made.partition.funnels[0].tag]
    assert state.count == len(state.hits())
    return state


def visits(count: int, step: int = 1, start: int = 0) -> list[Event]:
    return [event("ab"[i % 2], start + i * step) for i in range(count)]


class Steps:
    """Counts the steps of all walks. Of runs that begin after it, all are taken: the compiled part, which takes none, is left out."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(usual_module, "COMPILED", False)
        self.count = 0

        def counted(*args: Any) -> None:
            self.count += 1
            step(*args)

        monkeypatch.setattr(unit_module, "step", counted)

    def since(self) -> int:
        """How many since this was last asked."""
        count, self.count = self.count, 0
        return count


def test_an_event_in_order_is_one_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    made = Run(LONG).feed(visits(400))
    made.chunk()
    assert steps.count == 400


def test_settled_events_cost_one_more_step_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    made = Run(funnel(stage("A"), stage("B"), stage("C"), window=10_000, lateness=60))
    for i in range(1_000):
        made.feed(visits(1, start=i)).chunk()
    assert 1_000 < steps.count <= 2_000
    assert state_of(made).count <= 60 + FOLD


def test_a_silent_unit_is_settled_without_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    made = Run(LONG).feed(visits(100))
    assert steps.since() == 100
    made.feed([heartbeat(30_000)]).chunk()
    made.chunk()
    assert steps.since() == 0
    assert list(made.store) == ["!"]


def test_an_event_out_of_order_costs_its_pending_events(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = Steps(monkeypatch)
    made = Run(LONG).feed(visits(100, step=2))
    assert steps.since() == 100
    made.feed([event("c", 51)])
    assert steps.since() == 201  # once without it, once with it
    made.feed([event("c", 51)])
    assert steps.since() == 0  # a duplicate costs none


def test_waking_does_not_touch_units_that_are_not_due() -> None:
    made = Run(funnel(stage("A"), stage("B"), window=100, lateness=10))
    made.feed(event("a", i, visitor=f"v{i}") for i in range(200)).chunk()
    # Watermark 199: deadlines up to 88 have passed, and are settled once each.
    assert [row.unit_id for row in made.rows if row.kind == KIND_END] == [f"v{i}" for i in range(89)]
    result = made.feed([event("z", 115, visitor="w")]).chunk()
    assert (list(result.state), result.settled) == ([META], {})


def test_settled_events_are_folded_while_others_wait() -> None:
    made = Run(funnel(stage("A"), stage("B"), stage("C"), window=10_000, lateness=60))
    made.feed(visits(200)).chunk()
    state = state_of(made)
    assert [hit.ts for hit in state.hits()] == list(range(138, 200))  # with the last one, at horizon 138
    assert unpack_walk(state.base).attempt is not None
    assert state.newest == 199
    assert state.floor is None


def test_few_settled_events_are_left_until_folding_pays() -> None:
    made = Run(funnel(stage("A"), stage("B"), stage("C"), window=10_000, lateness=20))
    made.feed(visits(47)).chunk()
    assert [hit.ts for hit in state_of(made).hits()] == list(range(47))
    assert unpack_walk(state_of(made).base).attempt is None
    made.feed(visits(1, start=47)).chunk()  # FOLD and half of it again
    assert [hit.ts for hit in state_of(made).hits()] == list(range(26, 48))  # horizon 26
    assert unpack_walk(state_of(made).base).attempt is not None


def test_pending_events_are_bounded_and_older_ones_late() -> None:
    made = Run(LONG).feed(visits(PENDING))
    made.chunk()
    assert state_of(made).count == PENDING
    assert "late" not in made.counts()
    made.feed(visits(1, start=PENDING)).chunk()
    state = state_of(made)
    assert [hit.ts for hit in state.hits()] == list(range(PENDING // 2, PENDING + 1))
    assert state.floor == PENDING // 2 - 1
    made.feed([event("c", PENDING // 2 - 1), event("c", PENDING // 2)])
    assert made.counts() == {"read": PENDING + 3, "matched": PENDING + 2, "late": 1}
    made.feed(visits(3_000, start=PENDING + 1)).chunk()
    assert state_of(made).count <= PENDING
    assert len(made.store["=v"]) < 30_000


def test_rows_of_a_unit_beyond_the_bound_are_still_right_in_order() -> None:
    log = [*visits(1_500), event("c", 1_600), *visits(20, start=1_700), heartbeat(1_720)]
    assert run(LONG, log).final() == batch_rows(LONG, log, 1_720)


def test_a_unit_that_outgrew_its_bound_is_forgotten_in_the_end() -> None:
    made = Run(LONG).feed(visits(600))
    made.chunk()
    made.feed([heartbeat(30_000)]).chunk()
    made.chunk()
    assert list(made.store) == ["!"]


@pytest.mark.parametrize("cut", [50, 500, 590])
def test_the_bound_does_not_depend_on_the_cut_into_chunks(cut: int) -> None:
    # 600 pending events, of which 100 are settled: folding them in time or too late must be the same.
    definition = funnel(stage("A"), stage("B"), stage("C"), window=10_000, lateness=500)
    log = [*visits(600), event("c", 150), event("c", 320)]
    whole, parts = run(definition, log), run(definition, log[:cut], log[cut:])
    assert whole.counts() == parts.counts() == {"read": 602, "matched": 602}
    assert whole.rows == parts.rows
    assert whole.final() == batch_rows(definition, log, 0)


def test_a_copy_of_a_settled_event_is_judged_alike_however_the_log_is_cut() -> None:
    # Lateness 3, watermark 15: b@10 is settled, whether or not a chunk's end has folded it.
    definition = funnel(stage("A"), stage("B"), stage("C"), lateness=3)
    log = [*events("a@0 b@10/e1"), *events("a@15", visitor="w"), *events("b@14/e1 a@16")]
    whole, parts = run(definition, log), run(definition, log[:3], log[3:])
    assert whole.counts() == parts.counts()
    assert whole.rows == parts.rows


def test_a_copy_of_a_pending_event_is_a_duplicate_and_the_earlier_counts() -> None:
    made = run(funnel(stage("A"), stage("B")), events("a@5/e1 b@12/e2"), events("a@4/e1 b@13/e2 a@5/e1"))
    assert made.counts() == {"read": 5, "matched": 2, "duplicate": 3}
    assert [(row.kind, row.event_time) for row in made.final()] == [("end", 12), ("enter", 4), ("enter", 12)]


def test_of_two_copies_at_one_instant_the_lower_stage_counts_then_the_lower_bytes() -> None:
    definition = funnel(stage("A"), stage("B"), dimensions=("channel",))
    for log in ("a@5/e b@5/e", "b@5/e a@5/e"):
        assert [row.to_stage for row in run(definition, events(log)).final()] == ["A"]
    low, high = events("a@5/e", channel="p"), events("a@5/e", channel="q")
    for copies in ([*low, *high], [*high, *low]):
        assert [row.dims for row in run(definition, copies).final()] == [("p",)]


def test_repeats_of_events_that_nobody_looks_at_are_recognised_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partition_module, "RECENT", 3)
    made = Run(funnel(stage("A")))
    made.feed(events("z@1/1 z@1/2 z@1/3 z@1/4 z@1/1"))
    assert made.counts() == {"read": 5, "ignored": 4, "duplicate": 1}
    made.feed(events("z@1/5 z@1/6 z@1/1"))  # two generations later
    assert made.counts() == {"read": 8, "ignored": 7, "duplicate": 1}


def test_a_late_event_leaves_no_state() -> None:
    made = Run(funnel(stage("A"))).feed([*events("z@500", visitor="w"), *events("a@489"), *events("z@489")])
    made.chunk()
    assert made.counts() == {"read": 3, "ignored": 2, "late": 1}
    assert list(made.store) == ["!"]


def test_an_event_at_the_horizon_is_not_late() -> None:
    made = Run(funnel(stage("A"))).feed([*events("z@500", visitor="w"), *events("a@490")])
    assert made.counts() == {"read": 2, "matched": 1, "ignored": 1}
