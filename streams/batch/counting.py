"""Counting rows into a report, unit by unit.

Gives what `schemas.tally` gives for the same rows. That one takes rows in any order and must remember each unit and each
open attempt; here a unit's rows come together, in order, and are forgotten: what stays is eight bytes for each stage
reached, and an entry for each order.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence

from schemas.report import AttemptClass, Cell, Report, build_report, middle
from schemas.rows import Kind, Row
from schemas.tally import dimension_indexes
from streams.engine.match import CompiledFunnel

_ENTER, _END, _REFUND = Kind.ENTER.value, Kind.END.value, Kind.REFUND.value
_NEVER = -1  # no attempt is older than that


class _Counted:
    """A cell in the making: durations (ms) by level."""

    __slots__ = ("cell", "durations")

    def __init__(self, levels: int) -> None:
        self.cell = Cell()
        self.durations = [array("q") for _ in range(levels)]

    def finished(self) -> Cell:
        self.cell.medians = {level: middle(sorted(each)) for level, each in enumerate(self.durations) if each}
        return self.cell


class Counting:
    """Takes one unit after the other, then gives the report. `horizon`: ms, None if nothing is known.

    Raises ConfigError for a dimension of `by` that the funnel does not have.
    """

    def __init__(self, funnel: CompiledFunnel, by: Sequence[str], horizon: int | None) -> None:
        self._definition, self._horizon = funnel.definition, horizon
        self._matured_until = _NEVER if horizon is None else horizon - funnel.window
        self._levels = len(funnel.levels)
        self._dimensions = dimension_indexes(funnel.definition, by)
        self._overall = _Counted(self._levels)
        self._cells: dict[str, dict[str, _Counted]] = {name: {} for name in self._dimensions}
        self._money: dict[str, int] = {}
        self._orders: dict[str, tuple[int, str, int, str, int]] = {}

    def unit(self, rows: Sequence[Row]) -> None:
        """All rows of one unit, as `walk_hits` gives them: an attempt's rows follow its entry, up to the next entry."""
        reached: dict[tuple[_Counted, int], int] = {}
        attempt: list[Row] = []
        end: Row | None = None
        for row in rows:
            kind = row.kind
            if kind == _ENTER:
                if row.stage == 0 and attempt:
                    self._count(attempt, end, reached)
                    attempt, end = [], None
                attempt.append(row)
                if row.value is not None:
                    self._take(row, row.value)
            elif kind == _END:
                end = row
            elif kind == _REFUND and row.value is not None:
                self._add(row.currency, row.value)
        if attempt:
            self._count(attempt, end, reached)
        for (counted, _), mask in reached.items():  # the sessions of one visitor are units of their own
            counted.cell.units[mask] += 1

    def report(self, events: Mapping[str, int]) -> Report:
        """The report. `events`: counts of EVENT_COUNTS."""
        for _, _, _, currency, value in self._orders.values():
            self._add(currency, value)
        self._orders = {}
        cells = {
            name: {value: counted.finished() for value, counted in values.items()}
            for name, values in self._cells.items()
        }
        return build_report(self._definition, self._overall.finished(), cells, self._money, events, self._horizon)

    def _count(self, attempt: Sequence[Row], end: Row | None, reached: dict[tuple[_Counted, int], int]) -> None:
        """One attempt: the rows of the stages that it entered, the first first, and its end (None: it is open)."""
        entry, mask = attempt[0], attempt[-1].reached
        kind = AttemptClass(
            mask,
            mask.bit_length() - 1 if end is None else end.stage,
            "" if end is None else end.outcome,
            entry.entry_time <= self._matured_until,
            entry.recovered,
        )
        for counted in (self._overall, *self._of(entry)):
            counted.cell.attempts[kind] += 1
            for row in attempt[1:]:
                if row.duration >= 0:
                    counted.durations[row.stage].append(row.duration)
            key = (counted, entry.session_start)
            reached[key] = reached.get(key, 0) | mask

    def _of(self, entry: Row) -> list[_Counted]:
        """The attempt's cell in each dimension."""
        found = []
        for name, index in self._dimensions.items():
            values, value = self._cells[name], entry.entry_dims[index]
            if value not in values:
                values[value] = _Counted(self._levels)
            found.append(values[value])
        return found

    def _take(self, row: Row, value: int) -> None:
        """Revenue. An order counts once: at its earliest row, ties by attempt_id, then by stage."""
        if not row.order_id:
            self._add(row.currency, value)
            return
        order = (row.event_time, row.attempt_id, row.stage, row.currency, value)
        known = self._orders.get(row.order_id)
        if known is None or order < known:
            self._orders[row.order_id] = order

    def _add(self, currency: str, value: int) -> None:
        self._money[currency] = self._money.get(currency, 0) + value
