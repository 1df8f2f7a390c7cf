"""What must not matter: the order of arrival within the lateness, chunk cuts, other units, duplicates. And the sums."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.funnel import Funnel, Mode
from schemas.rows import End, Kind, Row
from streams.engine.match import CompiledFunnel, unit_key
from streams.engine.partition import unpack_meta
from streams.engine.state import UnitState, pack, unpack, unpack_walk
from streams.engine.unit import fold_until
from streams.engine.units import META
from streams.engine.walk import Rows, expire
from tests.unit.engine.both_ways import in_order
from tests.unit.engine.feeding import Run, batch_rows, events, final_rows, funnel, heartbeat, in_cuts, run, stage
from tests.unit.engine.scenarios import Scenario, random_scenario, scenarios


def in_random_cuts(case: Scenario, rng: Random) -> Run:
    return run(case.funnel, *in_cuts(rng, case.log))


def canonical(definition: Funnel, store: Mapping[str, bytes]) -> dict[str, bytes]:
    """The state in the one form that doesn't tell when it was folded."""
    compiled, meta = CompiledFunnel(definition), unpack_meta(store[META])
    horizon = meta.clock.horizon(definition.lateness)
    found = {META: store[META]}
    for key, value in store.items():
        if key == META:
            continue
        unit = unpack(value)
        gap = compiled.gap if key[0] == "~" else 0
        for state in unit.funnels.values():
            if state.count:
                fold_until(compiled, state, sum(hit.ts < horizon for hit in state.hits()), gap, key[1:])
            if state.count:
                base = unpack_walk(state.base)
                expire(compiled, base, horizon, Rows())
                state.wait_for(base, state.hits())
            expire(compiled, state.tip, horizon, Rows())
            state.due = 0
        if unit.funnels:
            found[key] = pack(UnitState(unit.format, unit.offset, 0, unit.quiet, unit.funnels))
    return found


def live(rows: Iterable[Row]) -> list[Row]:
    return [row for row in rows if not row.is_deleted]


def test_any_order_within_the_lateness_gives_the_batch_rows() -> None:
    for case in scenarios("arrival", 2_500):
        made = in_random_cuts(case, Random(len(case.log)))
        assert made.final() == batch_rows(case.funnel, case.events, case.horizon), case
        assert "late" not in made.counts(), case


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_rows_equal_batch_where_hypothesis_looks(rng: Random) -> None:
    case = random_scenario(rng)
    assert in_random_cuts(case, rng).final() == batch_rows(case.funnel, case.events, case.horizon)


def test_chunk_cuts_change_neither_rows_nor_revisions_nor_state() -> None:
    for number, case in enumerate(scenarios("cuts", 800)):
        whole = run(case.funnel, case.log)
        cut, single = in_random_cuts(case, Random(number)), run(case.funnel, *([one] for one in case.log))
        for other in (cut, single):
            assert in_order(other.rows) == in_order(whole.rows), case
            assert in_order(other.withdrawn) == in_order(whole.withdrawn), case
            assert canonical(case.funnel, other.store) == canonical(case.funnel, whole.store), case
            assert other.counts() == whole.counts(), case
            assert +other.partition.units.open == +whole.partition.units.open, case


def test_the_interleaving_of_units_changes_nothing() -> None:
    for case in scenarios("interleaving", 500):
        rows: list[Row] = []
        for key in {unit_key(case.funnel.unit, one) for one in case.events}:
            own = [one for one in case.events if unit_key(case.funnel.unit, one) == key]
            rows += run(case.funnel, own, case.log[-1:]).final()
        alike = in_random_cuts(case, Random(7)).final()
        assert sorted(rows, key=repr) == sorted(alike, key=repr), case


def test_duplicates_change_no_row_and_are_counted() -> None:
    for number, case in enumerate(scenarios("duplicates", 800)):
        rng = Random(number)
        once = {one.event_id: one for one in sorted(case.events, key=lambda one: -one.ts)}
        single = run(case.funnel, sorted(once.values(), key=lambda one: one.ts), case.log[-1:])
        twice = in_random_cuts(case, rng)
        assert twice.final() == single.final(), case
        counts = twice.counts()
        assert counts["read"] == len(case.events), case
        assert counts.get("duplicate", 0) == len(case.events) - len(once), case
        assert counts["read"] == sum(counts.values()) - counts["read"], case
        for name in ("matched", "ignored", "bot"):
            assert counts.get(name) == single.counts().get(name), case


def test_every_attempt_ends_once_and_reached_never_falls() -> None:
    for case in scenarios("sums", 1_500):
        made = in_random_cuts(case, Random(3))
        made.feed([heartbeat(case.horizon + 1_000)])
        entered, onward, dropped = Counter[int](), Counter[int](), Counter[int]()
        attempts: dict[str, list[Row]] = {}
        for row in made.final():
            if row.attempt > 0:
                attempts.setdefault(row.attempt_id, []).append(row)
        for rows in attempts.values():
            (end,) = [row for row in rows if row.kind == Kind.END]
            levels = [row.stage for row in rows if row.kind == Kind.ENTER]
            entered.update(levels)
            (onward if end.outcome == End.CONVERTED else dropped).update([max(levels)])
            assert end.reached == sum(1 << level for level in levels), case
            assert all(row.event_time <= end.event_time for row in rows), case
            if not any(one.exclude for one in case.funnel.stages) and case.funnel.mode is not Mode.STRICT:
                masks = [row.reached for row in sorted(rows, key=lambda row: (row.event_time, row.reached))]
                assert all(one & ~later == 0 for one, later in pairwise(masks)), case
        for level in range(len(case.funnel.stages)):
            assert entered[level] >= onward[level] + dropped[level], case
        assert entered[0] == len(attempts) == sum(onward.values()) + sum(dropped.values())


def test_rows_minus_withdrawn_equal_the_final_rows_for_every_counter() -> None:
    corrected = 0
    for case in scenarios("counters", 1_200):
        made = in_random_cuts(case, Random(5))
        final = made.final()

        def counted(rows: Iterable[Row]) -> Counter[tuple[object, ...]]:
            return Counter((r.kind, r.stage, r.from_stage, r.direction, r.outcome, r.value, r.entry_dims) for r in rows)

        counters = counted(live(made.rows))
        counters.subtract(counted(made.withdrawn))
        assert +counters == counted(final), case
        assert min(counters.values(), default=0) >= 0, case
        started = sum(row.kind == Kind.ENTER and row.stage == 0 for row in final)
        ended = sum(row.kind == Kind.END for row in final)
        assert made.partition.units.open["f"] == started - ended, case
        corrected += bool(made.withdrawn)
    assert corrected >= 200  # the rule was put to the test


def test_nothing_is_left_once_all_has_expired() -> None:
    for number, case in enumerate(scenarios("leaks", 1_000)):
        made = in_random_cuts(case, Random(number))
        made.feed([heartbeat(case.horizon + 10_000)]).chunk()
        made.chunk()
        assert set(made.store) == {META}, case
        assert len(made.partition.wakes) == 0, case
        assert made.partition.units.open["f"] == 0, case
        assert made.partition.units.changed == {}, case
        assert made.partition.units.finished == {}, case


def test_the_sink_sees_each_corrected_row_once_per_record() -> None:
    # b@26 shows that x@30 excludes nothing, and in the same record the horizon passes the attempt's deadline.
    definition = funnel(stage("A"), stage("B", exclude=("x",)), stage("C"), window=24, lateness=20)
    made = Run(definition)
    part = made.partition
    part.event_from(0, "s/0", 0, 40, events("a@10")[0])
    part.event_from(1, "s/0", 1, 40, events("x@30")[0])
    part.event_from(2, "s/0", 2, 60, events("b@26")[0])
    made.chunk()
    ends = [row for row in made.rows if row.kind == Kind.END]
    assert [(row.revision, row.is_deleted, row.outcome, row.event_time) for row in ends] == [
        (1, 0, "excluded", 30),
        (2, 0, "window_timeout", 34),
    ]
    assert [row.outcome for row in made.withdrawn] == ["excluded"]
    assert len(final_rows(made.rows)) == 3
