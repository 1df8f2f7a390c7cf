"""Which segments of a funnel are counted: the bound on the number of its series."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.metrics import ALL, CROSS
from schemas.remembered import Remembered
from schemas.rows import NONE
from sinks.prometheus.labels import EVERYTHING, IDENTIFYING, MAX_LENGTH, AllowList, LabelPolicy, Segment, clean

Part = TypeVar("Part")


class Cross:
    """The cells of two dimensions: those of two listed ones from the start if they fit, the rest learned."""

    __slots__ = ("_cells", "_known", "left", "right")

    def __init__(self, left: tuple[int, str], right: tuple[int, str], policy: LabelPolicy) -> None:
        (self.left, a), (self.right, b) = left, right
        listed = [cell_value(clean(x), clean(y)) for x in policy.values.get(a, ()) for y in policy.values.get(b, ())]
        if len(listed) > policy.max_cells:
            listed = []
        self._cells = AllowList(f"{a}{CROSS}{b}", listed, policy.max_cells - len(listed))
        self._known: dict[tuple[Segment, Segment], Segment] = {}  # bounded by the two dimensions' own bounds

    @property
    def segments(self) -> set[Segment]:
        return self._cells.segments

    def cell(self, pair: tuple[Segment, Segment]) -> Segment:
        known = self._known.get(pair)
        if known is None:
            known = self._known[pair] = self._cells.segment(cell_value(pair[0].value, pair[1].value))
        return known


class Segments:
    """The segments of one funnel: all traffic, each value of each dimension (`lists`: by its place), each cell of the listed
    `crosses`.

    Raises ConfigError for a dimension that would be taken for all traffic or for a cross.
    """

    def __init__(self, funnel: Funnel, policy: LabelPolicy) -> None:
        for dimension in funnel.dimensions:
            if dimension == ALL or CROSS in dimension:
                raise ConfigError(f"funnel {funnel.name}: dimensions", repr(dimension), "choose another name")
        self._width, self._names = len(funnel.dimensions), funnel.dimensions
        index = {name: i for i, name in enumerate(funnel.dimensions) if name not in IDENTIFYING}
        self.lists = {
            i: AllowList(name, policy.values.get(name, ()), 0 if name in policy.values else policy.max_values)
            for name, i in index.items()
        }
        self.crosses = [
            Cross((index[a], a), (index[b], b), policy) for a, b in policy.crosses if a in index and b in index
        ]
        self._of = Remembered(self.of)

    def known(self) -> set[Segment]:
        """Every segment that has a series by now."""
        lists = (allowed.segments for allowed in self.lists.values())
        return {EVERYTHING}.union(*lists, *(cross.segments for cross in self.crosses))

    def tally(self, rows: Sequence[tuple[str, ...]]) -> dict[Segment, int]:
        """How many of these rows' `entry_dims` fall into each segment."""
        return tallied(rows, self._of)

    def dimension(self, index: int) -> str:
        """The name of the dimension at that place."""
        return self._names[index]

    def own(self, entry_dims: tuple[str, ...]) -> dict[int, Segment]:
        """The segment of one row in each dimension, by the dimension's place in the funnel's."""
        padded = entry_dims + (NONE,) * (self._width - len(entry_dims))
        return {index: allowed.segment(padded[index]) for index, allowed in self.lists.items()}

    def of(self, entry_dims: tuple[str, ...]) -> list[Segment]:
        """The segments that one row falls into. (What a value is called never changes.)"""
        own = self.own(entry_dims)
        return [EVERYTHING, *own.values(), *(cross.cell((own[cross.left], own[cross.right])) for cross in self.crosses)]


def tallied(rows: Iterable[tuple[str, ...]], of: Mapping[tuple[str, ...], Iterable[Part]]) -> Counter[Part]:
    """How many of these rows' `entry_dims` fall into each of the parts that `of` names."""
    found: Counter[Part] = Counter()
    for entry_dims, n in Counter(rows).items():
        for part in of[entry_dims]:
            found[part] = found.get(part, 0) + n
    return found


def cell_value(left: str, right: str) -> str:
    """One value of a cross. The sign inside a value gives way, so that a cell has one reading."""
    half = (MAX_LENGTH - len(CROSS)) // 2
    return CROSS.join(part.replace(CROSS, "x")[:half] for part in (left, right))
