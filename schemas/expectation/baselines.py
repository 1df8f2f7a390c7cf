"""The baselines at work: of each step of each funnel what was learned last, and the hazards that follow at a time."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from schemas.expectation.calendar import Calendar
from schemas.expectation.curve import Hazards
from schemas.expectation.learned import LearnedStep
from schemas.expectation.rates import Rates, bounded
from schemas.expectation.steps import Step, steps
from schemas.expectation.week import QUARTER, Week
from schemas.funnel import Funnel
from schemas.metrics import ALL

#: Hazards that are kept at hand, by segment and quarter of an hour; beyond, they are worked out again.
_KNOWN = 10_000


class Baseline:
    """One step. Without anything learned, or with too little, nothing is expected of it. `unit`: ms of a step of age."""

    def __init__(self, step: Step, level: str, unit: int, week: Week, calendar: Calendar) -> None:
        self.step, self.level, self.unit = step, level, unit
        self.learned: LearnedStep | None = None
        self._rates: Rates | None = None
        self._week, self._calendar = week, calendar
        self._known: dict[tuple[tuple[str, str], int], Hazards] = {}

    def learn(self, learned: LearnedStep) -> None:
        """What is expected from now on."""
        self.learned, self._rates = learned, Rates(learned)
        self._known = {}

    @property
    def ready(self) -> bool:
        """Whether anything is expected."""
        return self.learned is not None and self.learned.ready

    def hazards(self, segment: tuple[str, str], at: int, *, anyway: bool) -> Hazards | None:
        """Of those who are in the stage at this step of event time (`at` · unit ms), by their ages; the same for a quarter of an hour.

        `segment`: dimension and value. `anyway`: one that was not there before has the rate of all, else None.
        """
        quarter = at * self.unit // QUARTER
        known = self._known.get((segment, quarter))
        if known is None and self._rates is not None and self.learned is not None:
            if not anyway and not self._rates.knows(*segment):
                return None
            if len(self._known) >= _KNOWN:
                self._known.clear()
            known = self.learned.curve.hazards(self._by_age(self.learned, self._rates, segment, quarter))
            self._known[segment, quarter] = known
        return known

    def _by_age(self, learned: LearnedStep, rates: Rates, segment: tuple[str, str], quarter: int) -> list[float]:
        """p0 of those who are there now, by bucket of age: that of the time at which they entered."""
        middle, bounds = quarter * QUARTER + QUARTER // 2, learned.curve.bounds
        entered = [middle - (first + end) // 2 * self.unit for first, end in pairwise(bounds)]
        dimension, value = ("", "") if segment[0] == ALL else segment
        factor, calendar = self._calendar.factor, self._calendar.occasions
        return [
            bounded(
                rates.rate(self._week.slot(at), dimension, value)
                * (factor(self.step.funnel, self.level, segment, at) if calendar else 1.0)
            )
            for at in entered
        ]


class Baselines:
    """Those of all funnels. `unit`: ms of event time in one step of age. `zone`: the site's time zone."""

    def __init__(
        self, funnels: Iterable[Funnel], unit: int, zone: str = "UTC", calendar: Calendar | None = None
    ) -> None:
        self.unit, self.week = unit, Week(zone)
        #: Rises with everything that is learned.
        self.edition = 0
        self.learned_at: int | None = None
        self.by_level: dict[tuple[str, int], Baseline] = {}
        for funnel in funnels:
            for step in steps(funnel, unit):
                baseline = Baseline(step, funnel.levels[step.level], unit, self.week, calendar or Calendar())
                self.by_level[funnel.name, step.level] = baseline

    def learn(self, learned: LearnedStep, zone: str, learned_at: int) -> bool:
        """Takes over what was learned of a step at that time (ms); False if it is of no step here, or of other slots or steps of age."""
        if zone != self.week.zone or learned.curve.step != self.unit:
            return False
        found = [each for each in self.by_level.values() if each.step.fingerprint == learned.step]
        for baseline in found:
            baseline.learn(learned)
        if found:
            self.edition += 1
            self.learned_at = max(learned_at, self.learned_at or learned_at)
        return bool(found)
