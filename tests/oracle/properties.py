"""What must hold for any way of evaluating a funnel, batch or streaming: functions of `evaluate`, without pytest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from random import Random

import msgspec

from schemas.funnel import Funnel, Mode
from schemas.rows import End, Kind, Row
from tests.oracle.generate import Case, random_case, shuffled, with_duplicates
from tests.oracle.judge import Evaluate, by_attempt, lines_of_case, rows_of, verdict
from tests.oracle.reference import awaited, in_order

SEED = 20_240_611


def seeded(kind: object) -> Random:
    """Random numbers that are the same in every run, and others for each kind of test."""
    return Random(f"{SEED} {kind}")


def seeded_cases(count: int, kind: str) -> Iterator[Case]:
    """`count` random cases, the same in every run; `kind` names the test, so that each has its own."""
    rng = seeded(kind)
    return (random_case(rng) for _ in range(count))


def without_revision(rows: Iterable[Row]) -> list[Row]:
    """The rows in a fixed order, without the one field that tells when they were written."""
    plain = [msgspec.structs.replace(row, revision=0) for row in rows]
    return sorted(plain, key=lambda row: (row.attempt_id, row.kind, row.item))


def equal_rows(evaluate: Evaluate, case: Case, other: Case) -> str:
    """Empty if both cases give the same rows, else a text that shows both."""
    one, two = without_revision(rows_of(evaluate, case)), without_revision(rows_of(evaluate, other))
    if one == two:
        return ""
    arrivals = [f"arrival: {' '.join(f'{e.name}@{e.ts}/{e.event_id}' for e in c.events)}" for c in (case, other)]
    first = [f"only the first: {row}" for row in one if row not in two]
    second = [f"only the second: {row}" for row in two if row not in one]
    return "\n".join([*lines_of_case(case), *arrivals, *first, *second])


def check_reference(evaluate: Evaluate, cases: Iterable[Case]) -> None:
    """Attempts, entries, ends and moves are the reference's."""
    for case in cases:
        problem = verdict(evaluate, case)
        assert not problem, problem


def check_duplicates(evaluate: Evaluate, cases: Iterable[Case]) -> None:
    """Further records of an event change no row, whenever they arrive."""
    rng = seeded("copies")
    for case in cases:
        once = in_order(case.funnel, case.events)
        horizon = case.horizon + 10  # the copies may be later than all events
        single = msgspec.structs.replace(case, events=tuple(once), horizon=horizon)
        copied = msgspec.structs.replace(single, events=shuffled(rng, with_duplicates(rng, once, share=0.5)))
        problem = equal_rows(evaluate, single, copied)
        assert not problem, problem


def check_arrival(evaluate: Evaluate, cases: Iterable[Case], orders: int = 4) -> None:
    """The order of arrival changes no row: as it came, forwards, backwards, and at random."""
    rng = seeded("orders")
    for case in cases:
        ascending = tuple(sorted(case.events, key=lambda event: (event.ts, event.event_id)))
        arrivals = [ascending, ascending[::-1], *(shuffled(rng, case.events) for _ in range(orders - 2))]
        for events in arrivals:
            problem = equal_rows(evaluate, case, msgspec.structs.replace(case, events=events))
            assert not problem, problem


def rows_problem(funnel: Funnel, rows: Sequence[Row]) -> str:
    """The first rule that one unit's final rows break on their own, without a reference; empty if none."""
    attempts = sorted(by_attempt(rows).values(), key=lambda group: (group[0].entry_time, group[0].attempt))
    for group in attempts:
        problem = attempt_problem(group)
        if problem:
            return f"{problem}: {group}"
    for group, following in pairwise(attempts):
        ends = [row.event_time for row in group if row.kind == Kind.END]
        if not ends or ends[0] > following[0].entry_time:
            return f"the next attempt began before this one ended: {group} {following}"
    return sums_problem(funnel, attempts)


def attempt_problem(group: Sequence[Row]) -> str:
    """What is wrong with one attempt's rows."""
    ends = [row for row in group if row.kind == Kind.END]
    reached = sum(1 << row.stage for row in group if row.kind == Kind.ENTER)
    if len(ends) > 1:
        return "an attempt ended twice"
    if any(row.event_time > end.event_time for row in group for end in ends):
        return "something happened after the end"
    if any(end.reached != reached for end in ends):
        return f"the end's reached is not the levels entered ({reached:b})"
    if any(not row.reached >> row.stage & 1 for row in group if row.kind == Kind.ENTER):
        return "an entered level is missing in reached"
    masks = sorted((row.event_time, row.reached) for row in group)
    if any(earlier & ~later for (t, earlier), (u, later) in pairwise(masks) if t < u):
        return "reached fell"
    return ""


def sums_problem(funnel: Funnel, attempts: Iterable[Sequence[Row]]) -> str:
    """entered >= converted + dropped at every level; at the last one entered = converted."""
    entered, onward, dropped = Counter[int](), Counter[int](), Counter[int]()
    last = len(funnel.levels) - 1
    for group in attempts:
        own = {row.stage for row in group if row.kind == Kind.ENTER}
        entered.update(own)
        onward.update(level for level in own if level < last and next_required(funnel, level) in own)
        dropped.update(row.stage for row in group if row.kind == Kind.END and row.outcome != End.CONVERTED)
        onward.update(row.stage for row in group if row.kind == Kind.END and row.outcome == End.CONVERTED)
    for level in range(last + 1):
        if entered[level] < onward[level] + dropped[level]:
            return f"level {level}: entered {entered[level]}, converted {onward[level]}, dropped {dropped[level]}"
    return "" if entered[last] == onward[last] else f"{entered[last]} entered the last level, {onward[last]} converted"


def next_required(funnel: Funnel, level: int) -> int:
    return level + 1 if funnel.mode is Mode.UNORDERED else awaited(funnel, level)[-1]


def check_rows(evaluate: Evaluate, cases: Iterable[Case]) -> None:
    """Each attempt ends at most once, reached never falls, attempts don't overlap, and the sums fit."""
    for case in cases:
        problem = rows_problem(case.funnel, rows_of(evaluate, case))
        assert not problem, "\n".join([*lines_of_case(case), problem])
