"""How a funnel's traffic is divided to tell what is to be expected of it.

All traffic is expected to convert as the sum of its cells: those of the first cross that the funnel has, else the values of its
first dimension. So more visitors from a channel that converts less are no fall. The same holds for the values of both dimensions
of the cross; other dimensions' values go by rates of their own.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from schemas.metrics import CROSS
from schemas.remembered import Remembered
from sinks.prometheus.labels import EVERYTHING, Segment
from sinks.prometheus.segments import Segments, cell_value, tallied


class Cell(NamedTuple):
    """A cell of the cross: its two values as they are called."""

    left: Segment
    right: Segment


Stratum = Segment | Cell


class Strata:
    """The strata of one funnel. `segments`: its own, which learn values as they come."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._cross = segments.crosses[0] if segments.crosses else None
        crossed = () if self._cross is None else (self._cross.left, self._cross.right)
        self._alone = [index for index in segments.lists if index not in crossed]
        self._first = None if self._cross is not None or not self._alone else self._alone[0]
        self._series = Remembered(self._find_series)
        self._of = Remembered(self.of)

    def count(self, rows: Sequence[tuple[str, ...]]) -> Counter[Stratum]:
        """How many of these rows' `entry_dims` fall into each stratum."""
        return tallied(rows, self._of)

    def of(self, entry_dims: tuple[str, ...]) -> list[Stratum]:
        """The strata that one row falls into."""
        if not self._segments.lists:
            return [EVERYTHING]
        own = self._segments.own(entry_dims)
        cells = [] if self._cross is None else [Cell(own[self._cross.left], own[self._cross.right])]
        others = (cross.cell((own[cross.left], own[cross.right])) for cross in self._segments.crosses[1:])
        return [*cells, *(own[index] for index in self._alone), *others]

    def series(self, stratum: Stratum) -> tuple[Segment, ...]:
        """The segments whose expectation it is part of."""
        return self._series[stratum]

    def divides(self, stratum: Stratum) -> bool:
        """Whether all traffic is a sum over strata of this kind."""
        return EVERYTHING in self.series(stratum)

    def _find_series(self, stratum: Stratum) -> tuple[Segment, ...]:
        if isinstance(stratum, Cell) and self._cross is not None:
            return (EVERYTHING, stratum.left, stratum.right, self._cross.cell((stratum.left, stratum.right)))
        assert isinstance(stratum, Segment)  # noqa: S101 - for the type checker
        first = None if self._first is None else self._segments.dimension(self._first)
        if stratum != EVERYTHING and stratum.dimension == first:
            return (EVERYTHING, stratum)
        return (stratum,)


def baseline_segment(stratum: Stratum) -> Segment:
    """The segment by which the rate of a stratum was learned."""
    if isinstance(stratum, Cell):
        left, right = stratum
        return Segment(f"{left.dimension}{CROSS}{right.dimension}", cell_value(left.value, right.value))
    return stratum
