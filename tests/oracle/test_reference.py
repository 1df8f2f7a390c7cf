"""The judge before the judgement: the reference against examples and ClickHouse, the checks against forged rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from textwrap import dedent

import msgspec
import pytest

from schemas.event import Event
from schemas.funnel import Funnel, Mode, Stage, Unit
from schemas.rows import Kind, Row
from tests.oracle import reference_rows
from tests.oracle.compare import compare_ordered, compare_strict
from tests.oracle.generate import CELLS, STRICT_CELLS
from tests.oracle.judge import lines_of
from tests.oracle.properties import check_arrival, check_duplicates, check_reference, check_rows, seeded_cases
from tests.oracle.reference import OracleEvent, walk


def funnel(*stages: Stage, window: int = 24, mode: Mode = Mode.ORDERED, gap: int = 10) -> Funnel:
    return Funnel("f", "0123456789ab", Unit.SESSION, stages, window=window, mode=mode, session_gap=gap)


def stage(name: str, within: int | None = None, exclude: str = "", *, optional: bool = False) -> Stage:
    return Stage(name, (f"*{name}*",), optional=optional, within=within, exclude=(exclude,) if exclude else ())


def events(text: str) -> list[OracleEvent]:
    """`a@0 bc@3`: names and times; ids e0, e1, … in this order."""
    pairs = (word.split("@") for word in text.split())
    return [OracleEvent(int(ts), name, f"e{i}") for i, (name, ts) in enumerate(pairs)]


ABC = (stage("a"), stage("b"), stage("c"))

EXAMPLES = {
    "a newer first stage starts a newer chain": (
        funnel(stage("a"), stage("b")),
        "a@0 a@20 b@30",
        """
        attempt 1 by e0@0 session -1 recovered False
          enter 0 'a' by e0@0 from '' after -1
          enter 1 'b' by e2@30 from 'a' after 10
          end converted@30 stage 1 after 30
        """,
    ),
    "an event of several stages advances the old chain and starts a new one": (
        funnel(*ABC, window=8),
        "a@1 ab@9 b@11 c@15",
        """
        attempt 1 by e0@1 session -1 recovered False
          enter 0 'a' by e0@1 from '' after -1
          enter 1 'b' by e1@9 from 'a' after 8
          enter 2 'c' by e3@15 from 'b' after 4
          end converted@15 stage 2 after 14
        """,
    ),
    "the window is inclusive, and passes strictly": (
        funnel(*ABC, window=8),
        "a@0 b@8 a@9 z@18",
        """
        attempt 1 by e0@0 session -1 recovered False
          enter 0 'a' by e0@0 from '' after -1
          enter 1 'b' by e1@8 from 'a' after 8
          end window_timeout@8 stage 1 after 8
        attempt 2 by e2@9 session -1 recovered True
          enter 0 'a' by e2@9 from '' after -1
          end window_timeout@17 stage 0 after 8
        """,
    ),
    "within counts from the chain's step before": (
        funnel(stage("a"), stage("b", within=3), stage("c")),
        "a@0 b@4",
        """
        attempt 1 by e0@0 session -1 recovered False
          enter 0 'a' by e0@0 from '' after -1
          end step_timeout@3 stage 0 after 3
        outside move skip by e1@4 '' -> 'b'
        """,
    ),
    "back, skip and forward are edges; a repeat is none": (
        funnel(*ABC, stage("d")),
        "a@0 b@1 a@2 d@3 b@4 b@5 a@6 b@7 c@8",
        """
        attempt 1 by e0@0 session -1 recovered False
          enter 0 'a' by e0@0 from '' after -1
          enter 1 'b' by e1@1 from 'a' after 1
          enter 2 'c' by e8@8 from 'b' after 1
          move back by e2@2 'b' -> 'a'
          move skip by e3@3 'a' -> 'd'
          move back by e4@4 'd' -> 'b'
          move back by e6@6 'b' -> 'a'
          move forward by e7@7 'a' -> 'b'
          open
        """,
    ),
    "an optional stage may be skipped, and entered afterwards": (
        funnel(stage("a"), stage("b", optional=True), stage("c"), stage("d")),
        "a@0 c@1 b@2",
        """
        attempt 1 by e0@0 session -1 recovered False
          enter 0 'a' by e0@0 from '' after -1
          enter 1 'b' by e2@2 from 'c' after 2
          enter 2 'c' by e1@1 from 'a' after 1
          open
        """,
    ),
    "an awaited stage's exclude ends the attempt and has no other effect": (
        funnel(stage("a"), stage("b", exclude="ax")),
        "a@0 ax@1 a@2",
        """
        attempt 1 by e0@0 session -1 recovered False
          enter 0 'a' by e0@0 from '' after -1
          end excluded@1 stage 0 after 1
        attempt 2 by e2@2 session -1 recovered True
          enter 0 'a' by e2@2 from '' after -1
          open
        """,
    ),
    "strict breaks on what fits nothing and on what comes too early, not on repeats": (
        funnel(*ABC, mode=Mode.STRICT),
        "a@0 a@1 b@2 z@3 c@4 a@5 c@6",
        """
        attempt 1 by e0@0 session -1 recovered False
          enter 0 'a' by e0@0 from '' after -1
          enter 1 'b' by e2@2 from 'a' after 1
          end broken@3 stage 1 after 3
        attempt 2 by e5@5 session -1 recovered True
          enter 0 'a' by e5@5 from '' after -1
          end broken@6 stage 0 after 1
        outside move skip by e4@4 '' -> 'c'
        """,
    ),
    "unordered counts the stages within the window": (
        funnel(*ABC, window=10, mode=Mode.UNORDERED),
        "b@0 a@8 c@11 b@12",
        """
        attempt 1 by e0@0 session -1 recovered False
          enter 0 '1 of 3' by e0@0 from '' after -1
          enter 1 '2 of 3' by e1@8 from '1 of 3' after 8
          enter 2 '3 of 3' by e3@12 from '2 of 3' after 1
          end converted@12 stage 2 after 12
        """,
    ),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_worked_by_hand(name: str) -> None:
    definition, text, expected = EXAMPLES[name]
    assert lines_of(walk(definition, events(text)[::-1])) == dedent(expected).strip().splitlines()


def test_gap_sessions_end_by_silence_and_every_event_extends_them() -> None:
    definition = funnel(stage("a"), stage("b"), gap=5)
    assert lines_of(walk(definition, events("z@0 a@1 z@6 z@11 b@17 a@18"), horizon=23, gap_session=True)) == [
        "attempt 1 by e1@1 session 0 recovered False",
        "  enter 0 'a' by e1@1 from '' after -1",
        "  end session_end@16 stage 0 after 15",
        "attempt 2 by e5@18 session 17 recovered True",
        "  enter 0 'a' by e5@18 from '' after -1",
        "  open",
        "outside move skip by e4@17 '' -> 'b'",
    ]


def test_the_reference_equals_clickhouse_window_funnel() -> None:
    compared = compare_ordered(reference_rows.evaluate, CELLS, units=500)
    assert [c.mismatches[:1] for c in compared if c.mismatches] == []
    # The exception is real: ties of events that fit several stages are counted otherwise.
    assert sum(c.tied_mismatches for c in compared) > 0


def test_the_reference_equals_clickhouse_strict_order_up_to_the_first_end() -> None:
    compared = compare_strict(reference_rows.evaluate, STRICT_CELLS, units=200)
    assert [c.mismatches[:1] for c in compared if c.mismatches] == []


def test_the_reference_keeps_its_own_rules() -> None:
    check_rows(reference_rows.evaluate, seeded_cases(1_000, "rows"))
    check_arrival(reference_rows.evaluate, seeded_cases(300, "arrival"))
    check_duplicates(reference_rows.evaluate, seeded_cases(300, "duplicates"))


def test_random_cases_meet_every_outcome_often() -> None:
    walks = [walk(c.funnel, c.events, c.horizon, c.gap_session) for c in seeded_cases(4_000, "reference")]
    attempts = [attempt for found in walks for attempt in found.attempts]
    outcomes = [attempt.end.outcome if attempt.end else "open" for attempt in attempts]
    every = ("open", "converted", "window_timeout", "step_timeout", "session_end", "excluded", "broken")
    assert {outcome: outcomes.count(outcome) >= 50 for outcome in every} == dict.fromkeys(every, True)
    directions = [move.direction for attempt in attempts for move in attempt.moves]
    assert min(directions.count(direction) for direction in ("forward", "back", "skip")) >= 50
    assert sum(attempt.recovered for attempt in attempts) >= 50
    assert sum(len(found.outside) for found in walks) >= 50


def forge_later_end(row: Row) -> Row:
    return msgspec.structs.replace(row, event_time=row.event_time + 1) if row.kind == Kind.END else row


def forge_duration(row: Row) -> Row:
    return msgspec.structs.replace(row, duration=row.duration + 1) if row.kind == Kind.ENTER and row.stage > 1 else row


def forge_direction(row: Row) -> Row:
    return msgspec.structs.replace(row, direction="skip") if row.direction == "forward" else row


def forge_number(row: Row) -> Row:
    return msgspec.structs.replace(row, attempt=1)


def forge_fallen_reach(row: Row) -> Row:
    return msgspec.structs.replace(row, reached=1 << row.stage)


@pytest.mark.parametrize("forge", [forge_later_end, forge_duration, forge_direction, forge_number])
def test_the_reference_check_finds_forged_rows(forge: Callable[[Row], Row]) -> None:
    def forged(definition: Funnel, seen: Sequence[Event], horizon: int | None) -> list[Row]:
        return [forge(row) for row in reference_rows.evaluate(definition, seen, horizon)]

    with pytest.raises(AssertionError, match="- the reference, \\+ the engine"):
        check_reference(forged, seeded_cases(400, "reference"))


def test_the_rules_find_a_reach_that_falls() -> None:
    def forged(definition: Funnel, seen: Sequence[Event], horizon: int | None) -> list[Row]:
        return [forge_fallen_reach(row) for row in reference_rows.evaluate(definition, seen, horizon)]

    with pytest.raises(AssertionError, match="reached"):
        check_rows(forged, seeded_cases(400, "rows"))


def test_the_rules_find_rows_that_depend_on_arrival() -> None:
    def forged(definition: Funnel, seen: Sequence[Event], horizon: int | None) -> list[Row]:
        return reference_rows.evaluate(definition, seen[1:] or seen, horizon)

    with pytest.raises(AssertionError, match="arrival"):
        check_arrival(forged, seeded_cases(100, "arrival"))


def test_window_funnel_finds_a_window_that_is_one_millisecond_too_long() -> None:
    def forged(definition: Funnel, seen: Sequence[Event], horizon: int | None) -> list[Row]:
        longer = msgspec.structs.replace(definition, window=definition.window + 1)
        return reference_rows.evaluate(longer, seen, horizon)

    compared = compare_ordered(forged, CELLS, units=300)
    assert sum(len(c.mismatches) for c in compared) >= 20
