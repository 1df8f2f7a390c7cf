"""The report of one funnel: its value types, its JSON, and how figures follow from counts.

`batch` counts rows (`schemas.tally`), `report` counts in ClickHouse; both hand their counts to `build_report`, so that
every rate is the same division of the same integers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from schemas.funnel import Funnel, Mode
from schemas.money import format_money
from schemas.progress import EVENT_COUNTS
from schemas.rows import End


class AttemptClass(NamedTuple):
    """What attempts are counted by.

    `reached`: bit mask of levels. `outcome`: an End, or "" while open. `stage`: the level at which it ended; while open
    the highest reached. `matured`: entered at least `window` before the horizon.
    """

    reached: int
    stage: int
    outcome: str
    matured: bool
    recovered: bool


class Cell:
    """The counts of one cell of a report: of all attempts, or of those with one value of one dimension.

    `attempts`: attempts by class. `units`: distinct units by the mask of levels that any of their attempts reached.
    `medians`: level → (lower, upper) of the two middle durations in ms (equal where their number is odd).
    """

    __slots__ = ("attempts", "medians", "units")

    def __init__(self) -> None:
        self.attempts: Counter[AttemptClass] = Counter()
        self.units: Counter[int] = Counter()
        self.medians: dict[int, tuple[int, int]] = {}


class StageFigures(msgspec.Struct, frozen=True):
    """One level. Rates over matured attempts only, None where nothing has matured. `dropped_by`: reason → attempts, of
    `dropped`, most frequent first. `matured`: matured attempts that reached it."""

    stage: str
    units: int
    attempts: int
    dropped: int
    open: int
    conversion_from_start: float | None
    conversion_from_previous: float | None
    median_seconds_from_previous: float | None
    matured: int
    dropped_by: dict[str, int]
    optional: bool

    def document(self) -> dict[str, Any]:
        """The stage as the JSON contract has it."""
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in _NOT_IN_JSON}


_NOT_IN_JSON = ("matured", "dropped_by", "optional")


class Report(msgspec.Struct, frozen=True):
    """A funnel's figures.

    `revenue`: currency → integer of 1/MONEY_SCALE. `by`: dimension → value → stages, most attempts first.
    `events`: what became of the records read (names: EVENT_COUNTS). `horizon`: ms, None if it is unknown.
    """

    funnel: str
    version: str
    unit: str
    units: int
    attempts: int
    stages: tuple[StageFigures, ...]
    revenue: dict[str, int]
    by: dict[str, dict[str, tuple[StageFigures, ...]]]
    events: dict[str, int]
    matured: int
    recovered: int
    converted: int
    horizon: int | None

    def document(self) -> dict[str, Any]:
        """The report as the JSON contract of `batch --json` has it (docs/design.md, "Rates")."""
        return {
            "funnel": self.funnel,
            "unit": self.unit,
            "units": self.units,
            "attempts": self.attempts,
            "stages": [stage.document() for stage in self.stages],
            "revenue": {currency: format_money(amount) for currency, amount in self.revenue.items()},
            "by": {
                dimension: {
                    value: {"stages": [stage.document() for stage in stages]} for value, stages in values.items()
                }
                for dimension, values in self.by.items()
            },
            "events": dict(self.events),
        }


def build_report(
    funnel: Funnel,
    overall: Cell,
    cells: Mapping[str, Mapping[str, Cell]],
    revenue: Mapping[str, int],
    events: Mapping[str, int],
    horizon: int | None,
) -> Report:
    """The report of `funnel` from its counts. `cells`: dimension → value → counts. Pure."""
    stages = stage_figures(funnel, overall)
    return Report(
        funnel=funnel.name,
        version=funnel.version,
        unit=funnel.unit.value,
        units=stages[0].units,
        attempts=stages[0].attempts,
        stages=stages,
        revenue=dict(sorted(revenue.items())),
        by={dimension: _breakdown(funnel, values) for dimension, values in cells.items()},
        events={name: events.get(name, 0) for name in EVENT_COUNTS},
        matured=stages[0].matured,
        recovered=sum(count for kind, count in overall.attempts.items() if kind.recovered),
        converted=sum(count for kind, count in overall.attempts.items() if kind.outcome == End.CONVERTED),
        horizon=horizon,
    )


def _breakdown(funnel: Funnel, values: Mapping[str, Cell]) -> dict[str, tuple[StageFigures, ...]]:
    figures = [(value, stage_figures(funnel, cell)) for value, cell in values.items()]
    return dict(sorted(figures, key=lambda item: (-item[1][0].attempts, item[0])))


def stage_figures(funnel: Funnel, cell: Cell) -> tuple[StageFigures, ...]:
    """The figures of every level of `funnel`, from the counts of `cell`."""
    levels = range(len(funnel.levels))
    matured = [_count(cell, lambda kind, k=k: kind.matured and kind.reached >> k & 1) for k in levels]
    return tuple(
        StageFigures(
            stage=funnel.levels[k],
            units=sum(count for mask, count in cell.units.items() if mask >> k & 1),
            attempts=_count(cell, lambda kind, k=k: kind.reached >> k & 1),
            dropped=sum((dropped_by := _drop_offs(cell, k)).values()),
            open=_count(cell, lambda kind, k=k: kind.stage == k and not kind.outcome),
            conversion_from_start=_share(matured[k], matured[0]),
            conversion_from_previous=_share(matured[k], matured[previous_required(funnel, k)]),
            median_seconds_from_previous=_seconds(cell.medians.get(k)) if k else None,
            matured=matured[k],
            dropped_by=dropped_by,
            optional=funnel.mode is not Mode.UNORDERED and funnel.stages[k].optional,
        )
        for k in levels
    )


def previous_required(funnel: Funnel, level: int) -> int:
    """The required level before `level`; of level 0, itself."""
    previous = max(level - 1, 0)
    while funnel.mode is not Mode.UNORDERED and previous and funnel.stages[previous].optional:
        previous -= 1
    return previous


def following_required(funnel: Funnel, level: int) -> int:
    """The required level after `level`; of the last, itself."""
    last = len(funnel.stages) - 1
    following = min(level + 1, last)
    while funnel.mode is not Mode.UNORDERED and following < last and funnel.stages[following].optional:
        following += 1
    return following


def middle(durations: Sequence[int]) -> tuple[int, int]:
    """The two middle ones of sorted, non-empty `durations`; the middle one twice where their number is odd."""
    half = len(durations) // 2
    return (durations[half], durations[half]) if len(durations) % 2 else (durations[half - 1], durations[half])


def _count(cell: Cell, counts: Any) -> int:
    return sum(count for kind, count in cell.attempts.items() if counts(kind))


def _drop_offs(cell: Cell, level: int) -> dict[str, int]:
    reasons: Counter[str] = Counter()
    for kind, count in cell.attempts.items():
        if kind.stage == level and kind.outcome and kind.outcome != End.CONVERTED:
            reasons[kind.outcome] += count
    return dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _seconds(durations: tuple[int, int] | None) -> float | None:
    return None if durations is None else (durations[0] + durations[1]) / 2000
