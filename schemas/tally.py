"""Counting final rows into a report, in one pass: what `batch` does, and what ClickHouse's answer equals.

Memory: one entry per unit (and per unit and value of each dimension asked for) and per order, eight bytes per stage
entered, and the attempts whose rows have not all come yet.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b

from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.report import AttemptClass, Cell, Report, build_report, middle
from schemas.rows import Kind, Row


def report_from_rows(
    funnel: Funnel, rows: Iterable[Row], events: Mapping[str, int], horizon: int | None, by: Sequence[str] = ()
) -> Report:
    """The report of `funnel` from its final rows, in any order, each key once (deleted ones are skipped).

    `events`: counts of EVENT_COUNTS. `horizon`: ms, None where it is unknown (nothing has matured then).
    Raises ConfigError for a dimension that the funnel does not have.
    """
    matured_until = -1 if horizon is None else horizon - funnel.window
    attempts = _Attempts(dimension_indexes(funnel, by), matured_until)
    money = _Money()
    for row in rows:
        if row.is_deleted or row.version != funnel.version or row.funnel != funnel.name:
            continue
        if row.kind == Kind.ENTER:
            attempts.enter(row)
            if row.value is not None:
                money.add(row, row.value)
        elif row.kind == Kind.END:
            attempts.end(row)
        elif row.kind == Kind.REFUND and row.value is not None:
            money.add(row, row.value)
    overall, cells = attempts.finish()
    return build_report(funnel, overall, cells, money.totals(), events, horizon)


def dimension_indexes(funnel: Funnel, by: Sequence[str]) -> dict[str, int]:
    """Position of each dimension of `by` in the funnel's. Raises ConfigError for one that the funnel does not have."""
    for name in by:
        if name not in funnel.dimensions:
            known = ", ".join(funnel.dimensions) or "none"
            raise ConfigError(
                f"funnel {funnel.name!r}",
                f"has no dimension {name!r}",
                f"its dimensions are: {known}; add it to `dimensions`",
            )
    return {name: funnel.dimensions.index(name) for name in by}


class _Attempt:
    """What is known of an attempt until its last row has come."""

    __slots__ = ("durations", "end", "entry", "reached")

    def __init__(self) -> None:
        self.entry: Row | None = None
        self.end: Row | None = None
        self.reached = 0
        self.durations: list[tuple[int, int]] = []


class _Gathering:
    """A cell while it is counted: units by digest, durations by level."""

    __slots__ = ("cell", "durations", "units")

    def __init__(self) -> None:
        self.cell = Cell()
        self.units: dict[bytes, int] = {}
        self.durations: dict[int, array[int]] = {}

    def add(self, unit: bytes, kind: AttemptClass, durations: list[tuple[int, int]]) -> None:
        self.cell.attempts[kind] += 1
        self.units[unit] = self.units.get(unit, 0) | kind.reached
        for level, duration in durations:
            if level not in self.durations:
                self.durations[level] = array("q")
            self.durations[level].append(duration)

    def finish(self) -> Cell:
        self.cell.units.update(self.units.values())
        self.cell.medians = {level: middle(sorted(durations)) for level, durations in self.durations.items()}
        return self.cell


class _Attempts:
    """Attempts in the making. One is counted and forgotten when its end and all levels that the end names have come."""

    def __init__(self, dimensions: Mapping[str, int], matured_until: int) -> None:
        self._dimensions = dict(dimensions)
        self._matured_until = matured_until
        self._pending: dict[str, _Attempt] = {}
        self._overall = _Gathering()
        self._cells: dict[str, dict[str, _Gathering]] = {name: {} for name in dimensions}

    def enter(self, row: Row) -> None:
        attempt = self._of(row)
        attempt.reached |= 1 << row.stage
        if row.stage == 0:
            attempt.entry = row
        elif row.duration >= 0:
            attempt.durations.append((row.stage, row.duration))
        self._settle(row.attempt_id, attempt)

    def end(self, row: Row) -> None:
        attempt = self._of(row)
        attempt.end = row
        self._settle(row.attempt_id, attempt)

    def _of(self, row: Row) -> _Attempt:
        attempt = self._pending.get(row.attempt_id)
        if attempt is None:
            attempt = self._pending[row.attempt_id] = _Attempt()
        return attempt

    def _settle(self, attempt_id: str, attempt: _Attempt) -> None:
        if attempt.end is not None and attempt.entry is not None and attempt.reached == attempt.end.reached:
            self._count(attempt, attempt.entry)
            del self._pending[attempt_id]

    def _count(self, attempt: _Attempt, entry: Row) -> None:
        end = attempt.end
        kind = AttemptClass(
            attempt.reached,
            attempt.reached.bit_length() - 1 if end is None else end.stage,
            "" if end is None else end.outcome,
            entry.entry_time <= self._matured_until,
            entry.recovered,
        )
        unit = blake2b(f"{entry.session_start} {entry.unit_id}".encode(), digest_size=16).digest()
        self._overall.add(unit, kind, attempt.durations)
        for name, index in self._dimensions.items():
            values, value = self._cells[name], entry.entry_dims[index]
            if value not in values:
                values[value] = _Gathering()
            values[value].add(unit, kind, attempt.durations)

    def finish(self) -> tuple[Cell, dict[str, dict[str, Cell]]]:
        """Counts those that are left (open ones), and gives the cells. Rows without their entry count for nothing."""
        for attempt in self._pending.values():
            if attempt.entry is not None:
                self._count(attempt, attempt.entry)
        self._pending.clear()
        cells = {
            name: {value: gathering.finish() for value, gathering in values.items()}
            for name, values in self._cells.items()
        }
        return self._overall.finish(), cells


class _Money:
    """Revenue by currency. An order counts once: at its earliest row, ties by attempt_id, then by stage."""

    def __init__(self) -> None:
        self._totals: dict[str, int] = {}
        self._orders: dict[str, tuple[int, str, int, str, int]] = {}

    def add(self, row: Row, value: int) -> None:
        if row.kind == Kind.REFUND or not row.order_id:
            self._totals[row.currency] = self._totals.get(row.currency, 0) + value
            return
        order = (row.event_time, row.attempt_id, row.stage, row.currency, value)
        known = self._orders.get(row.order_id)
        if known is None or order < known:
            self._orders[row.order_id] = order

    def totals(self) -> dict[str, int]:
        totals = dict(self._totals)
        for _, _, _, currency, value in self._orders.values():
            totals[currency] = totals.get(currency, 0) + value
        return totals
