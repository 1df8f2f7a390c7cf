"""The reference in the shape of an engine: its walk as rows, so that the judge itself can be put to the test."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.event import Event
from schemas.funnel import Funnel, Unit
from schemas.rows import Kind, Row
from tests.oracle.judge import BASE
from tests.oracle.reference import Attempt, Ending, Entered, Move, OracleEvent, walk


def evaluate(funnel: Funnel, events: Sequence[Event], horizon: int | None) -> list[Row]:
    """`Evaluate` by the reference."""
    gap_session = funnel.unit is Unit.SESSION and all(event.session_id is None for event in events)
    seen = [OracleEvent(event.ts - BASE, event.event, event.event_id) for event in events]
    result = walk(funnel, seen, None if horizon is None else horizon - BASE, gap_session)
    rows = [row for attempt in result.attempts for row in rows_of_attempt(funnel, attempt)]
    nowhere = Attempt("", 0, -1, 0, False, (), (), None)
    return rows + [row_of_move(funnel, nowhere, move) for move in result.outside]


def rows_of_attempt(funnel: Funnel, attempt: Attempt) -> list[Row]:
    rows = [row_of_entered(funnel, attempt, entered) for entered in attempt.entered]
    rows += [row_of_move(funnel, attempt, move) for move in attempt.moves]
    return rows + ([row_of_end(funnel, attempt, attempt.end)] if attempt.end else [])


def row_of_entered(funnel: Funnel, attempt: Attempt, e: Entered) -> Row:
    return row(funnel, attempt, Kind.ENTER, e.name, e.time, e.event_id, e.from_stage, e.level, duration=e.duration)


def row_of_move(funnel: Funnel, attempt: Attempt, m: Move) -> Row:
    level = funnel.levels.index(m.to_stage)
    return row(funnel, attempt, Kind.MOVE, m.event_id, m.time, m.event_id, m.from_stage, level, direction=m.direction)


def row_of_end(funnel: Funnel, attempt: Attempt, e: Ending) -> Row:
    return row(funnel, attempt, Kind.END, "", e.time, "", "", e.stage, outcome=e.outcome, duration=e.duration)


def row(
    funnel: Funnel,
    attempt: Attempt,
    kind: Kind,
    item: str,
    time: int,
    event_id: str,
    from_stage: str,
    level: int,
    *,
    direction: str = "",
    outcome: str = "",
    duration: int = -1,
) -> Row:
    return Row(
        funnel=funnel.name,
        version=funnel.version,
        attempt_id=f"attempt by {attempt.entry_id}",
        kind=kind.value,
        item=item,
        revision=0,
        is_deleted=0,
        unit_id="v1",
        session_start=BASE + attempt.session_start,
        attempt=attempt.number,
        recovered=attempt.recovered,
        entry_time=BASE + attempt.entry_time,
        event_time=BASE + time,
        event_id=event_id,
        from_stage=from_stage,
        to_stage=funnel.levels[level],
        stage=level,
        reached=sum(1 << entered.level for entered in attempt.entered if entered.time <= time),
        direction=direction,
        outcome=outcome,
        duration=duration,
        entry_dims=(),
        dims=(),
        value=None,
        currency="",
        value_reporting=None,
        order_id="",
        consent=False,
    )
