"""An engine's levels beside ClickHouse's, for many random units of plain funnels."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec

from schemas.rows import End, Kind, Row
from tests.oracle.generate import Case, Cell, is_mixed_tie, plain_events, plain_funnel, shuffled, with_duplicates
from tests.oracle.judge import BASE, Evaluate, by_attempt, lines_of_case, rows_of
from tests.oracle.properties import seeded
from tests.oracle.reference import OracleEvent, in_order
from tests.oracle.window_funnel import Question, levels

#: One unit's case -> the level found, and the events (each once) that `windowFunnel` is to be asked about.
Answer = Callable[[Case], tuple[int, Sequence[OracleEvent]]]


class Comparison(msgspec.Struct, frozen=True):
    """How a cell compared.

    `tied`: units with a tie that `windowFunnel` may count otherwise; `mismatches`: a text for each outside them.
    """

    units: int
    tied: int
    tied_mismatches: int
    mismatches: tuple[str, ...]


def reached_of(rows: Iterable[Row]) -> int:
    """The number of the deepest level that any attempt entered, from 1; 0 for none."""
    return max((row.stage + 1 for row in rows if row.kind == Kind.ENTER), default=0)


def first_attempt(rows: Sequence[Row]) -> list[Row]:
    groups = by_attempt(rows).values()
    return min(groups, key=lambda group: (group[0].entry_time, group[0].attempt), default=[])


def until_break(events: Sequence[OracleEvent], first: Sequence[Row]) -> list[OracleEvent]:
    """The events up to the end of a strict funnel's first attempt, without one that broke it (distinct times)."""
    for row in first:
        if row.kind == Kind.END:
            limit = row.event_time - BASE - (row.outcome == End.BROKEN)
            return [event for event in events if event.ts <= limit]
    return list(events)


def compare(cells: Sequence[Cell], units: int, answer: Answer) -> list[Comparison]:
    """Compares `units` random units for each cell; they arrive shuffled and with copies."""
    asked: list[Question] = []
    answered: list[list[int]] = []
    for cell in cells:
        rng, funnel = seeded(cell), plain_funnel(cell)
        replies = []
        for _ in range(units):
            once = plain_events(rng, cell, funnel)
            arrived = shuffled(rng, with_duplicates(rng, once, share=0.1))
            replies.append(answer(Case(funnel, arrived, max(event.ts for event in arrived))))
        asked.append(Question(funnel, tuple(events for _, events in replies)))
        answered.append([level for level, _ in replies])
    return [
        comparison(question, own, theirs) for question, own, theirs in zip(asked, answered, levels(asked), strict=True)
    ]


def comparison(question: Question, own: Sequence[int], theirs: Sequence[int]) -> Comparison:
    tied = [is_mixed_tie(question.funnel, events) for events in question.units]
    differing = [i for i in range(len(own)) if own[i] != theirs[i]]
    texts = [
        "\n".join(
            [*lines_of_case(Case(question.funnel, tuple(question.units[i]), 0)), f"{own[i]}, ClickHouse {theirs[i]}"]
        )
        for i in differing
        if not tied[i]
    ]
    return Comparison(len(own), sum(tied), sum(tied[i] for i in differing), tuple(texts))


def compare_ordered(evaluate: Evaluate, cells: Sequence[Cell], units: int) -> list[Comparison]:
    """The deepest level over all attempts against `strict_once`."""
    return compare(cells, units, lambda case: (reached_of(rows_of(evaluate, case)), in_order(case.funnel, case.events)))


def compare_strict(evaluate: Evaluate, cells: Sequence[Cell], units: int) -> list[Comparison]:
    """The first attempt's deepest level against `strict_order` over the events up to its end."""

    def answer(case: Case) -> tuple[int, list[OracleEvent]]:
        first = first_attempt(rows_of(evaluate, case))
        return reached_of(first), until_break(in_order(case.funnel, case.events), first)

    return compare(cells, units, answer)
