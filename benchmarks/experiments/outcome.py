"""What an experiment came to: figures with their bars, tables, charts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec


class Figure(msgspec.Struct, frozen=True):
    """One measured value. `bar`: the highest that is good enough, None where there is none."""

    name: str
    value: float
    unit: str
    bar: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether it keeps its bar; None where there is none."""
        return None if self.bar is None else self.value <= self.bar


class Table(msgspec.Struct, frozen=True):
    """Texts under column names."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Line(msgspec.Struct, frozen=True):
    """One line of a chart. `points`: (x, y), x ascending."""

    name: str
    points: tuple[tuple[float, float], ...]


class Chart(msgspec.Struct, frozen=True):
    """A line chart that becomes `docs/img/{file}.svg`. `x`, `y`: what the axes show, with the unit."""

    file: str
    title: str
    x: str
    y: str
    lines: tuple[Line, ...]
    log_x: bool = False


class Outcome(msgspec.Struct, frozen=True):
    """An experiment that ended. `done`: what was done, as Markdown. `notes`: what the figures say."""

    name: str
    title: str
    done: str
    figures: tuple[Figure, ...]
    tables: tuple[Table, ...] = ()
    charts: tuple[Chart, ...] = ()
    notes: tuple[str, ...] = ()


def number(value: float) -> str:
    """A value as it is read: four digits that count, thousands apart."""
    if value == 0 or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1 else f"{value:.4g}"


def cells(*values: str | float) -> tuple[str, ...]:
    """A table's row."""
    return tuple(value if isinstance(value, str) else number(value) for value in values)


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of the values don't exceed. Raises ValueError for none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
