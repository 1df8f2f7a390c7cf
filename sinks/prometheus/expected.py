"""Expected conversions of one funnel, while event time goes on in each log partition by itself.

What is at risk belongs to a log partition: it moves with the partition to another worker, which builds it again from the
attempts that are open. Rows wait until their step of time is closed, so the cost is by the step, not by the row.

What a step gives cause to expect is told evenly while the next one goes on. Told at once, it would be a minute's worth at a moment
of its own in each minute; where that moment lies by the one at which the rules cut their minutes, one of these has two, another
none, and a busy stage seems to fall.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import repeat

from schemas.expectation.at_risk import AtRisk
from schemas.expectation.baselines import Baseline, Baselines
from schemas.expectation.curve import Hazards
from schemas.funnel import Funnel
from schemas.standing import Standing
from sinks.prometheus.labels import Segment
from sinks.prometheus.strata import Strata, Stratum, baseline_segment

#: A log partition: its topic and number.
Place = tuple[str, int]
#: Rows of one step that wait as they are; beyond, they are counted by stratum at once.
WAITING = 20_000

NEVER = 1 << 62
Dims = tuple[str, ...]
#: A time (ms), and how many rows in a row are of it.
Run = tuple[int, int]


class Moves:
    """Rows of one step of time that have the same effect: entries to `level`, conversions of the levels `converts`."""

    __slots__ = ("counts", "rows")

    def __init__(self) -> None:
        self.rows: list[Dims] = []
        self.counts: Counter[Stratum] = Counter()

    def add(self, rows: Iterable[Dims], strata: Strata) -> None:
        self.rows.extend(rows)
        if len(self.rows) > WAITING:
            self.settle(strata)

    def settle(self, strata: Strata) -> Counter[Stratum]:
        """By stratum."""
        if self.rows:
            self.counts.update(strata.count(self.rows))
            self.rows = []
        return self.counts


#: Conversions, by level and stratum.
Expected = dict[int, dict[Stratum, float]]
#: The level entered, the levels whose conversion that is, and whether it is taken back.
Effect = tuple[int, tuple[int, ...], bool]


class PartitionExpectation:
    """One funnel in one log partition. `heard`: event time that the partition has reached (ms)."""

    def __init__(self, strata: Strata, levels: dict[int, Baseline], unit: int) -> None:
        self._strata, self._levels, self._unit = strata, levels, unit
        self._stages: dict[int, AtRisk[Stratum]] = {}
        self._waiting: dict[int, dict[Effect, Moves]] = {}
        self._effects: dict[Effect, bool] = {}
        self._edition, self._due = -1, NEVER
        self.now: int | None = None
        #: What the last step gave cause to expect, by level and stratum, and how much of it has been told (0 to 1).
        self._last: Expected = {}
        self._told = 1.0

    def begin(self, heard: int | None, standing: Iterable[tuple[Standing, int]], edition: int) -> None:
        """Takes over from whoever had the partition. `standing`: who had not converted, and how many of them; their conversions until
        `heard` were expected already."""
        self.now = None if heard is None else heard // self._unit
        self._follow(edition)
        for each, count in standing:
            stage = self._stages.get(each.level)
            if stage is not None:
                for stratum in self._strata.count([each.dims]):
                    stage.restore(each.since // self._unit, stratum, count)

    def take(self, effect: Effect, dims: Sequence[Dims], times: Iterable[Run]) -> None:
        """Rows of one effect; `times`: theirs, in order."""
        if not dims or not self._followed(effect):
            return
        begin = 0
        for time, count in times:
            step = time // self._unit
            self._due = min(self._due, step)
            self._moves(step, effect).add(dims[begin : begin + count], self._strata)
            begin += count

    def advance(self, heard: int, edition: int, *, evenly: bool = True) -> Expected:
        """What may be expected by this time that was not before: by level and stratum. `evenly`: what the last step brings, as the
        next one goes on; else all of it."""
        self._follow(edition)
        to, found = heard // self._unit, Expected()
        if self.now is None or to > self.now:
            self._tell(1.0, found)
            self._close(to - 1, found)
            self._last, self._told = {}, 0.0
            self._close(to, self._last)
        elif self._due < to:  # a step that has ended already
            self._close(to, found)
        if to == self.now:
            self._tell(heard % self._unit / self._unit if evenly else 1.0, found)
        return found

    def leave(self) -> Expected:
        """What is yet to be told, where another worker goes on."""
        found = Expected()
        self._tell(1.0, found)
        return found

    def _tell(self, share: float, found: Expected) -> None:
        """So much of the last step's has been told from now on."""
        if share <= self._told:
            return
        for level, strata in self._last.items():
            join(found, level, strata, share - self._told)
        self._told = share

    def _close(self, to: int, found: Expected) -> None:
        """Closes the steps before `to`."""
        for step in sorted(step for step in self._waiting if step < to):
            for (entered, converts, back), moves in self._waiting.pop(step).items():
                for stratum, count in moves.settle(self._strata).items():
                    amount = -count if back else count
                    if entered in self._stages:
                        self._stages[entered].add(step, stratum, amount, 0)
                    for level in converts:
                        if level in self._stages:
                            self._stages[level].add(step, stratum, 0, amount)
        self.now = to if self.now is None else max(self.now, to)
        self._due = min(self._waiting, default=NEVER)
        for level, stage in self._stages.items():
            join(found, level, stage.advance(to))

    def _followed(self, effect: Effect) -> bool:
        """Whether any of its stages is expected to convert."""
        known = self._effects.get(effect)
        if known is None:
            known = self._effects[effect] = any(level in self._stages for level in (effect[0], *effect[1]))
        return known

    def _moves(self, step: int, effect: Effect) -> Moves:
        effects = self._waiting.setdefault(step, {})
        found = effects.get(effect)
        if found is None:
            found = effects[effect] = Moves()
        return found

    def _follow(self, edition: int) -> None:
        """Stages that are ready by now are followed, by the curves that were learned last."""
        if edition == self._edition:
            return
        self._edition, self._effects = edition, {}
        for level, baseline in self._levels.items():
            if not baseline.ready or baseline.learned is None:
                self._stages.pop(level, None)
            elif level in self._stages:
                self._stages[level].take_over(baseline.learned.curve)
            else:
                stage = self._stages[level] = AtRisk(baseline.learned.curve, Asked(baseline, self._strata).hazards)
                if self.now is not None:
                    stage.begin(self.now)


def join(found: Expected, level: int, strata: Mapping[Stratum, float], share: float = 1.0) -> None:
    """Adds these, or a share of each."""
    into = found.setdefault(level, {})
    for stratum, amount in strata.items():
        into[stratum] = into.get(stratum, 0.0) + amount * share


class Asked:
    """The hazards of strata, by the baseline of their stage."""

    __slots__ = ("_baseline", "_strata")

    def __init__(self, baseline: Baseline, strata: Strata) -> None:
        self._baseline, self._strata = baseline, strata

    def hazards(self, stratum: Stratum, at: int) -> Hazards | None:
        return self._baseline.hazards(baseline_segment(stratum), at, anyway=self._strata.divides(stratum))


class FunnelExpectation:
    """One funnel, in all log partitions of this worker."""

    def __init__(self, funnel: Funnel, strata: Strata, baselines: Baselines) -> None:
        self._strata, self._baselines = strata, baselines
        self.levels = {level: baseline for (name, level), baseline in baselines.by_level.items() if name == funnel.name}
        self._places: dict[Place, PartitionExpectation] = {}

    def begin(self, place: Place, heard: int | None, standing: Iterable[tuple[Standing, int]]) -> None:
        """A log partition was built from its state; its event time is `heard` (ms, None: it has none yet)."""
        found = self._places[place] = PartitionExpectation(self._strata, self.levels, self._baselines.unit)
        found.begin(heard, standing, self._baselines.edition)

    def forget(self, place: Place) -> Iterator[tuple[int, Segment, float]]:
        """Another worker has the partition. What had yet to be told of it, as `advance` has it."""
        partition = self._places.pop(place, None)
        return iter(()) if partition is None else self._by_segment(partition.leave())

    def take(self, place: Place, effect: Effect, dims: Sequence[Dims], times: Iterable[Run]) -> None:
        """Rows of one effect, counted in this partition."""
        found = self._places.get(place)
        if found is not None:
            found.take(effect, dims, times)

    def advance(self, place: Place, heard: int, *, evenly: bool = True) -> Iterator[tuple[int, Segment, float]]:
        """Conversions that are expected by now and were not before, by level and segment. `evenly`: see PartitionExpectation."""
        partition = self._places.get(place)
        if partition is not None:
            yield from self._by_segment(partition.advance(heard, self._baselines.edition, evenly=evenly))

    def _by_segment(self, expected: Expected) -> Iterator[tuple[int, Segment, float]]:
        for level, strata in expected.items():
            for stratum, amount in strata.items():
                yield from zip(repeat(level), self._strata.series(stratum), repeat(amount))
