"""Several funnels over one log: each with its own window, lateness and mode, and versions that come and go."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Any

import msgspec

from schemas.event import Event
from schemas.funnel import Funnel, Mode, Unit
from schemas.rows import Row
from streams.engine.state import unpack
from streams.engine.units import META
from tests.unit.engine.feeding import (
    Run,
    batch_rows,
    delayed,
    event,
    events,
    final_rows,
    funnel,
    heartbeat,
    in_cuts,
    plain,
    stage,
)
from tests.unit.engine.scenarios import random_event, random_funnel

A_B = (stage("A"), stage("B"))


def rows_of(rows: Sequence[Row], definition: Funnel) -> list[Row]:
    return [row for row in rows if (row.funnel, row.version) == (definition.name, definition.version)]


def test_funnels_of_one_log_do_not_touch_each_other() -> None:
    for number in range(500):
        rng = Random(f"side by side {number}")
        unit = rng.choice((Unit.SESSION, Unit.SESSION, Unit.VISITOR))
        funnels = [random_funnel(rng, unit, name) for name in ("f", "g", "h")[: rng.randint(2, 3)]]
        seen = [random_event(rng, index, rng.choice((10, 40, 100))) for index in range(rng.randint(1, 25))]
        log = delayed(rng, seen, min(one.lateness for one in funnels))
        horizon = max((one.ts for one in log if not one.bot), default=0) + rng.choice((0, 30))
        made = Run(*funnels)
        for chunk in in_cuts(rng, [*log, heartbeat(horizon)]):
            made.feed(chunk).chunk()
        final = made.final()
        for index, definition in enumerate(funnels):
            assert rows_of(final, definition) == batch_rows(definition, log, horizon), (number, definition, log)
            counts = made.counts(index)
            assert "late" not in counts
            assert counts.pop("read") == sum(counts.values()) == len(log)


def test_each_funnel_has_its_own_lateness_window_and_mode() -> None:
    short = funnel(*A_B, name="short", version="000000000001", window=20, lateness=5)
    long = funnel(*A_B, name="long", version="000000000002", window=50, lateness=60)
    strict = funnel(*A_B, name="strict", version="000000000003", window=50, lateness=60, mode=Mode.STRICT)
    made = Run(short, long, strict).feed(events("a@0 z@3 c@60"))
    made.feed(events("b@40"))
    final = made.feed([heartbeat(200)]).final()
    assert [(r.to_stage, r.outcome, r.event_time) for r in rows_of(final, short) if r.kind == "end"] == [
        ("A", "window_timeout", 20)
    ]
    assert [(r.to_stage, r.outcome, r.event_time) for r in rows_of(final, long) if r.kind == "end"] == [
        ("B", "converted", 40)
    ]
    assert [(r.to_stage, r.outcome, r.event_time) for r in rows_of(final, strict) if r.kind == "end"] == [
        ("A", "broken", 3)
    ]
    assert made.counts(0) == {"read": 4, "matched": 1, "ignored": 2, "late": 1}
    assert made.counts(1) == made.counts(2) == {"read": 4, "matched": 2, "ignored": 2}


def test_sessions_with_ids_and_without_live_side_by_side() -> None:
    definition = funnel(*A_B, unit=Unit.SESSION, window=100, lateness=0, session_gap=10)
    made = Run(definition).feed([
        event("a", 0, session_id="s"), event("a", 1), event("z", 8), event("b", 18), event("a", 29),
        event("b", 60, session_id="s"),
    ])  # fmt: skip
    final = made.feed([heartbeat(61)]).final()
    assert sorted((r.unit_id, r.session_start, r.outcome, r.event_time) for r in final if r.kind == "end") == [
        ("s", 0, "converted", 60), ("v", 1, "converted", 18), ("v", 29, "session_end", 39),
    ]  # fmt: skip


def test_a_late_event_that_bridges_two_sessions_takes_the_later_attempt_back() -> None:
    definition = funnel(*A_B, unit=Unit.SESSION, window=100, lateness=30, session_gap=10)
    made = Run(definition).feed(events("a@0 a@18 $heartbeat@11"))
    made.chunk()
    assert [(r.kind, r.session_start, r.attempt, r.event_time) for r in made.rows] == [
        ("enter", 0, 1, 0), ("end", 0, 1, 10), ("enter", 18, 2, 18),
    ]  # fmt: skip
    made = Run(definition).feed(events("a@0 a@18"))
    made.chunk()
    made.feed(events("z@9")).chunk()
    assert [(r.kind, r.attempt, r.event_time, r.is_deleted) for r in made.rows[3:]] == [
        ("end", 1, 10, 1),
        ("enter", 2, 18, 1),
    ]
    assert plain(made.withdrawn) == plain(made.rows[1:3])
    assert [(r.kind, r.event_time) for r in made.feed([heartbeat(29)]).final()] == [("end", 28), ("enter", 0)]


def test_funnels_of_equal_definition_but_other_names_are_two_funnels() -> None:
    # A definition's version says nothing of the funnel's name.
    one, other = funnel(*A_B, name="one"), funnel(*A_B, name="other")
    made = Run(one, other).feed(events("a@0 b@5 z@6"))
    final = made.final()
    assert rows_of(final, one) == batch_rows(one, events("a@0 b@5"), 5)
    assert rows_of(final, other) == batch_rows(other, events("a@0 b@5"), 5)
    assert made.counts(0) == made.counts(1) == {"read": 3, "matched": 2, "ignored": 1}


def test_two_versions_of_one_funnel_run_side_by_side() -> None:
    old = funnel(*A_B, version="000000000001")
    new = funnel(*A_B, stage("C"), version="000000000002")
    final = Run(old, new).feed(events("a@0 b@5 c@9")).final()
    assert [row.to_stage for row in rows_of(final, old) if row.kind == "end"] == ["B"]
    assert [row.to_stage for row in rows_of(final, new) if row.kind == "end"] == ["C"]
    assert len({row.attempt_id for row in final if row.kind == "end"}) == 2


def test_the_state_of_an_unknown_version_is_kept_until_it_is_due() -> None:
    old = funnel(*A_B, version="000000000001", window=100, lateness=0)
    new = funnel(*A_B, version="000000000002", window=500, lateness=0)
    made = Run(old).feed(events("a@0"))
    made.chunk()
    changed = Run(new, store=made.store, offset=made.offset).feed(events("a@50"))
    changed.chunk()
    assert len(unpack(made.store["=v"]).funnels) == 2
    # Back to the old version before it is due: its attempt goes on.
    back = Run(old, store=dict(made.store), offset=changed.offset).feed(events("b@60"))
    assert [row.outcome for row in back.final() if row.kind == "end"] == ["converted"]
    # Beyond that it is dropped, and writes nothing.
    changed.feed(events("z@100", visitor="w")).chunk()
    assert len(unpack(made.store["=v"]).funnels) == 2
    changed.feed(events("z@101", visitor="w")).chunk()
    assert len(unpack(made.store["=v"]).funnels) == 1
    assert {row.version for row in changed.rows} == {new.version}
    changed.feed([heartbeat(2_000)]).chunk()
    changed.chunk()
    assert set(made.store) == {META}


def test_an_unknown_version_outlives_the_waking_of_its_unit() -> None:
    old = funnel(*A_B, version="000000000001", window=100, lateness=0)
    new = funnel(*A_B, version="000000000002", window=10, lateness=0)
    made = Run(old).feed(events("a@0"))
    made.chunk()
    changed = Run(new, store=made.store, offset=made.offset).feed(events("a@50 z@75"))
    changed.chunk()
    back = Run(old, store=made.store, offset=changed.offset).feed(events("b@80"))
    assert [(row.event_time, row.outcome) for row in back.final() if row.kind == "end"] == [(80, "converted")]


def test_a_unit_that_wakes_often_leaves_no_stale_entries_in_the_calendar() -> None:
    slow = funnel(*A_B, name="slow", version="000000000001", window=100, lateness=10)
    quick = funnel(stage("C"), stage("D"), name="quick", version="000000000002", window=5, lateness=10)
    made = Run(slow, quick).feed(events("a@0 c@1 a@90")).feed(events("z@115", visitor="w"))
    made.chunk()
    assert made.partition.wakes.near == [(-200, "=v")]
    assert len(made.partition.wakes) == 1


def test_open_attempts_of_an_unknown_version_are_not_counted_as_open() -> None:
    made = Run(funnel(*A_B, version="000000000001")).feed(events("a@0"))
    made.chunk()
    assert +Run(funnel(*A_B, version="000000000002"), store=made.store).partition.units.open == {}


def test_the_counts_of_a_new_version_begin_with_it_and_sum_up() -> None:
    old, new = funnel(*A_B, version="000000000001"), funnel(*A_B, version="000000000002")
    made = Run(old).feed(events("a@0 z@1 z@1 b@2 b@3/x"))
    made.feed([event("a", 4, bot=True)])
    made.partition.invalid(made.next_offset())
    made.chunk()
    counts = {"read": 7, "matched": 3, "ignored": 1, "duplicate": 1, "invalid": 1, "bot": 1}
    assert made.counts() == counts
    both = Run(old, new, store=made.store, offset=made.offset)
    assert both.counts(1) == {}
    both.feed(events("a@5 y@6 y@6")).partition.invalid(both.next_offset())
    both.chunk()
    both = Run(old, new, store=made.store, offset=both.offset)  # and they are durable
    assert both.counts(0) == {"read": 11, "matched": 4, "ignored": 2, "duplicate": 2, "invalid": 2, "bot": 1}
    assert both.counts(1) == {"read": 4, "matched": 1, "ignored": 1, "duplicate": 1, "invalid": 1}


def test_an_event_that_one_funnel_takes_is_a_duplicate_for_all() -> None:
    first = funnel(*A_B, name="first", version="000000000001")
    second = funnel(stage("C"), name="second", version="000000000002")
    made = Run(first, second).feed(events("a@0 a@0 c@1 c@1 b@2"))
    assert made.counts(0) == {"read": 5, "matched": 2, "ignored": 1, "duplicate": 2}
    assert made.counts(1) == {"read": 5, "matched": 1, "ignored": 2, "duplicate": 2}


def test_units_are_found_by_their_ids_in_order() -> None:
    def ids(unit: Unit, **fields: Any) -> list[str]:
        one = Event(event="a", ts=0, event_id="e", **fields)
        return [row.unit_id for row in Run(funnel(stage("A"), unit=unit)).feed([one]).final() if row.kind == "enter"]

    every: dict[str, Any] = {"session_id": "s", "visitor_id": "v", "user_id": "u", "account_id": "c"}
    assert [ids(unit, **every) for unit in (Unit.SESSION, Unit.VISITOR, Unit.ACCOUNT)] == [["s"], ["v"], ["c"]]
    user: dict[str, Any] = {"user_id": "u"}
    assert [ids(unit, **user) for unit in (Unit.SESSION, Unit.VISITOR, Unit.ACCOUNT)] == [["u"], ["u"], ["u"]]
    assert ids(Unit.SESSION, visitor_id="v", user_id="u") == ["v"]
    assert [ids(unit, session_id="s") for unit in (Unit.VISITOR, Unit.ACCOUNT)] == [[], []]
    assert ids(Unit.SESSION, account_id="c") == []


def test_an_event_without_the_unit_is_ignored() -> None:
    made = Run(funnel(*A_B, mode=Mode.STRICT)).feed([event("a", 0, visitor=None), event("z", 0, visitor=None)])
    assert made.counts() == {"read": 2, "ignored": 2}
    assert final_rows(made.rows) == []


def test_progress_says_how_far_the_log_was_followed() -> None:
    (progress,) = Run(funnel(*A_B)).feed(events("a@5 b@70")).chunk().progress
    shown = msgspec.structs.asdict(progress)
    assert {name: shown[name] for name in ("funnel", "version", "log", "partition", "revision", "watermark", "horizon")} == {
        "funnel": "f", "version": "0123456789ab", "log": "log", "partition": 0, "revision": 1, "watermark": 70, "horizon": 60,
    }  # fmt: skip
