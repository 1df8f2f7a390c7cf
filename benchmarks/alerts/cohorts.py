"""Entries by minute, when they convert, and what the shipped expectation says: the counters as the worker exports them."""

from __future__ import annotations

import math
from functools import cache

import msgspec
import numpy as np

from benchmarks.alerts.traffic import WEEK, Counts, Floats

MEDIAN_DELAY, SPREAD, LONGEST = 4.0, 1.0, 60  # minutes; SPREAD is sigma of the logarithm


@cache
def delay_density() -> Floats:
    """Of conversions, the share that takes 0, 1, … 59 whole minutes: lognormal, cut at an hour."""

    def below(minutes: float) -> float:
        return 0.5 * (1 + math.erf(math.log(minutes / MEDIAN_DELAY) / SPREAD / math.sqrt(2))) if minutes else 0.0

    density = np.diff([below(age) for age in range(LONGEST + 1)])
    return np.asarray(density / density.sum())


class Cohorts(msgspec.Struct, frozen=True):
    """`entered[t]` entries in minute t; `converted[a, t]` those of them that convert after a minutes."""

    entered: Counts
    converted: Counts

    def part(self, start: int, end: int) -> Cohorts:
        return Cohorts(self.entered[start:end], self.converted[:, start:end])


def cohorts(entered: Counts, converting: Counts, rng: np.random.Generator) -> Cohorts:
    """Draws when the `converting` of each minute's entries convert."""
    total = int(converting.sum())
    ages = np.searchsorted(np.cumsum(delay_density()), rng.random(total), side="right").clip(max=LONGEST - 1)
    minute = np.repeat(np.arange(len(entered)), converting)
    cells = np.bincount(ages * len(entered) + minute, minlength=LONGEST * len(entered))
    return Cohorts(entered, cells.reshape(LONGEST, len(entered)))


def thinned(whole: Cohorts, start: int, end: int, fall: float, rng: np.random.Generator) -> Cohorts:
    """The same, with a share `fall` of the conversions that would happen in minutes [start, end) gone."""
    converted = whole.converted.copy()
    for age in range(LONGEST):
        first, last = max(start - age, 0), max(end - age, 0)
        converted[age, first:last] = rng.binomial(converted[age, first:last], 1 - fall)
    return Cohorts(whole.entered, converted)


def observed(whole: Cohorts) -> Floats:
    """Conversions by the minute in which they happen."""
    minutes = len(whole.entered)
    result = np.zeros(minutes + LONGEST)
    for age in range(LONGEST):
        result[age : age + minutes] += whole.converted[age]
    return result[:minutes]


def expected(whole: Cohorts, share: Floats, density: Floats) -> Floats:
    """Conversions to be expected by the minute in which they should happen: at risk × hazard, by age.

    `share`: the baseline's p0 of each minute's entries; `density`: its delay curve.
    """
    minutes = len(whole.entered)
    result = np.zeros(minutes + LONGEST)
    at_risk = whole.entered.astype(float)
    converted_by = 0.0
    for age in range(LONGEST):
        hazard = share * density[age] / (1 - share * converted_by)
        result[age : age + minutes] += at_risk * hazard
        at_risk -= whole.converted[age]
        converted_by += float(density[age])
    return result[:minutes]


HALF_SLOT, WEEKS, PRIOR = 60, 4, 100.0


def baseline(entered: Counts, converting: Counts, refresh: int = 60) -> Floats:
    """p0 of each minute from WEEKS on, by what the four weeks before say; earlier minutes are NaN."""
    minutes = len(entered)
    n, k = (np.concatenate([[0], np.cumsum(each)]) for each in (entered, converting))
    moment = np.arange(WEEKS * WEEK, minutes)
    slot_n, slot_k = np.zeros(len(moment)), np.zeros(len(moment))
    for back in range(1, WEEKS + 1):
        centre = moment - back * WEEK
        first, last = np.maximum(centre - HALF_SLOT, 0), centre + HALF_SLOT
        slot_n += n[last] - n[first]
        slot_k += k[last] - k[first]
    read = moment - moment % refresh - LONGEST
    month_n, month_k = n[read] - n[np.maximum(read - WEEKS * WEEK, 0)], k[read] - k[np.maximum(read - WEEKS * WEEK, 0)]
    mean = np.maximum(month_k, 0.5) / np.maximum(month_n, 1)
    result = np.full(minutes, np.nan)
    result[moment] = np.minimum((slot_k + PRIOR) / (slot_n + PRIOR / mean), 0.999)
    return result
