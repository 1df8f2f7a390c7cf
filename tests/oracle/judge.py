"""Rows read back as a `Walk`, and a verdict that a reader can act on: the smallest failing events, and both results."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from difflib import ndiff

import msgspec

from schemas.event import Event
from schemas.funnel import Funnel, Unit
from schemas.rows import Kind, Row
from tests.oracle.generate import Case
from tests.oracle.reference import Attempt, Ending, Entered, Move, OracleEvent, Walk, in_order, walk

#: What is judged: funnel, one unit's events as they arrive, horizon (ms; None = the newest event) -> final rows.
Evaluate = Callable[[Funnel, Sequence[Event], int | None], list[Row]]

BASE = 1_700_000_000_000  # added to the small times of the cases, so that the engine sees times of this century


class MalformedRowsError(Exception):
    """Rows that contradict each other."""


def to_event(funnel: Funnel, event: OracleEvent, *, gap_session: bool = False) -> Event:
    """The event as the engine takes it, with the ids that make it one of the unit's."""
    session = "s1" if funnel.unit is Unit.SESSION and not gap_session else None
    account = "a1" if funnel.unit is Unit.ACCOUNT else None
    return Event(
        event=event.name,
        ts=BASE + event.ts,
        event_id=event.event_id,
        session_id=session,
        account_id=account,
        visitor_id="v1",
    )


def rows_of(evaluate: Evaluate, case: Case) -> list[Row]:
    events = [to_event(case.funnel, event, gap_session=case.gap_session) for event in case.events]
    return evaluate(case.funnel, events, BASE + case.horizon)


def demand(holds: bool, what: str, *rows: Row) -> None:
    if not holds:
        raise MalformedRowsError(f"{what}: {list(rows)}")


def by_attempt(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """The rows of each attempt; moves from nowhere belong to none."""
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        if not (row.kind == Kind.MOVE and row.from_stage == "") and row.kind != Kind.REFUND:
            grouped.setdefault(row.attempt_id, []).append(row)
    return grouped


def entered_of(funnel: Funnel, row: Row) -> Entered:
    demand(row.item == row.to_stage == funnel.levels[row.stage], "an enter row's item, to_stage and stage differ", row)
    return Entered(row.stage, row.item, row.event_time - BASE, row.event_id, row.from_stage, row.duration)


def ending_of(funnel: Funnel, row: Row) -> Ending:
    demand(row.item == "" and row.to_stage == funnel.levels[row.stage], "an end row's to_stage and stage differ", row)
    return Ending(row.outcome, row.event_time - BASE, row.stage, row.duration)


def move_of(funnel: Funnel, row: Row) -> Move:
    demand(row.to_stage == funnel.levels[row.stage], "a move row's to_stage and stage differ", row)
    return Move(row.event_time - BASE, row.item, row.from_stage, row.to_stage, row.direction)


def in_time_order(moves: Iterable[Move]) -> tuple[Move, ...]:
    return tuple(sorted(moves, key=lambda move: (move.time, move.event_id)))


def attempt_of(funnel: Funnel, rows: Sequence[Row], *, gap_session: bool) -> Attempt:
    """One attempt out of its rows, which must agree on all that they share."""
    enters = sorted((entered_of(funnel, row) for row in rows if row.kind == Kind.ENTER), key=lambda e: e.level)
    ends = [ending_of(funnel, row) for row in rows if row.kind == Kind.END]
    moves = [move_of(funnel, row) for row in rows if row.kind == Kind.MOVE]
    shared = {(row.entry_time, row.session_start, row.attempt, row.recovered, row.unit_id) for row in rows}
    demand(len(shared) == 1, "rows of one attempt differ in entry, session, number or unit", *rows)
    demand(bool(enters) and enters[0].level == 0, "an attempt without an entry", *rows)
    demand(len(ends) <= 1, "an attempt that ended twice", *rows)
    first, entry = rows[0], enters[0]
    demand(first.entry_time - BASE == entry.time, "entry_time is not the entry's time", *rows)
    return Attempt(
        entry_id=entry.event_id,
        entry_time=entry.time,
        session_start=first.session_start - BASE if gap_session else -1,
        number=first.attempt,
        recovered=first.recovered,
        entered=tuple(enters),
        moves=in_time_order(moves),
        end=ends[0] if ends else None,
    )


def walk_of(funnel: Funnel, rows: Sequence[Row], *, gap_session: bool = False) -> Walk:
    """The reference's form of one unit's final rows. MalformedRowsError if they contradict each other."""
    keys = [(row.attempt_id, row.kind, row.item) for row in rows]
    demand(len(set(keys)) == len(keys), "two rows of one key", *rows)
    demand(not any(row.is_deleted for row in rows), "a deleted row among the final ones", *rows)
    attempts = [attempt_of(funnel, group, gap_session=gap_session) for group in by_attempt(rows).values()]
    outside = [move_of(funnel, row) for row in rows if row.kind == Kind.MOVE and row.from_stage == ""]
    return Walk(tuple(sorted(attempts, key=lambda a: (a.entry_time, a.number))), in_time_order(outside))


def lines_of(found: Walk) -> list[str]:
    """A walk as text, one fact a line: equal texts are equal walks."""
    lines: list[str] = []
    for a in found.attempts:
        lines.append(
            f"attempt {a.number} by {a.entry_id}@{a.entry_time} session {a.session_start} recovered {a.recovered}"
        )
        lines += [
            f"  enter {e.level} {e.name!r} by {e.event_id}@{e.time} from {e.from_stage!r} after {e.duration}"
            for e in a.entered
        ]
        lines += [f"  {line}" for line in map(line_of_move, in_time_order(a.moves))]
        lines.append(
            f"  end {a.end.outcome}@{a.end.time} stage {a.end.stage} after {a.end.duration}" if a.end else "  open"
        )
    return lines + [f"outside {line}" for line in map(line_of_move, in_time_order(found.outside))]


def line_of_move(move: Move) -> str:
    return f"move {move.direction} by {move.event_id}@{move.time} {move.from_stage!r} -> {move.to_stage!r}"


def lines_of_case(case: Case) -> list[str]:
    """Funnel and events as a reader of a failure needs them, events in the order that counts."""
    f = case.funnel
    gap = f" session_gap {f.session_gap}" if case.gap_session else ""
    head = f"{f.mode.value} funnel, unit {f.unit.value}, window {f.window}{gap}, horizon {case.horizon}"
    stages = [
        f"  {stage.name}: {' '.join(stage.events)}"
        + (" optional" if stage.optional else "")
        + (f" within {stage.within}" if stage.within is not None else "")
        + (f" exclude {' '.join(stage.exclude)}" if stage.exclude else "")
        for stage in f.stages
    ]
    ordered = [f"  {event.name}@{event.ts} {event.event_id}" for event in in_order(f, case.events)]
    copies = len(case.events) - len(ordered)
    return [head, *stages, f"events ({copies} duplicates left out):", *ordered]


def expected(case: Case) -> list[str]:
    return lines_of(walk(case.funnel, case.events, case.horizon, case.gap_session))


def found(evaluate: Evaluate, case: Case) -> list[str]:
    """What the judged engine says, or how it failed."""
    try:
        return lines_of(walk_of(case.funnel, rows_of(evaluate, case), gap_session=case.gap_session))
    except Exception as error:  # noqa: BLE001 - any failure of the judged code is a finding to be shown with its case
        return [f"{type(error).__name__}: {error}"]


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """A failing case of which no single event can be left out."""
    for i in range(len(case.events)):
        fewer = msgspec.structs.replace(case, events=case.events[:i] + case.events[i + 1 :])
        if fewer.events and fails(fewer):
            return smallest(fewer, fails)
    return case


def verdict(evaluate: Evaluate, case: Case) -> str:
    """Empty if the engine's rows say what the reference says, else the smallest such case and the difference."""
    if found(evaluate, case) == expected(case):
        return ""
    case = smallest(case, lambda fewer: found(evaluate, fewer) != expected(fewer))
    difference = list(ndiff(expected(case), found(evaluate, case)))
    return "\n".join([*lines_of_case(case), "- the reference, + the engine:", *difference])
