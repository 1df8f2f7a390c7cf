"""Simulated visitors: who enters in each minute, how many of them convert, and when. Rows are segments, columns minutes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import msgspec
import numpy as np

from benchmarks.alerts.traffic import Counts, Floats, Narrow

MEDIAN_DELAY, SPREAD, LONGEST = 4.0, 1.0, 60  # minutes; SPREAD: sigma of the delay's logarithm


class Cohorts(msgspec.Struct, frozen=True):
    """`entered`: entries by minute; `converting`: how many of them convert; `observed`: conversions by the minute in which they
    happen; all (segments, minutes). `delays`: by segment and age (minutes), of all conversions."""

    entered: Counts
    converting: Counts
    observed: Counts
    delays: Counts


@cache
def delay_density() -> Floats:
    """Of conversions, the share that takes 0, 1, … 59 whole minutes: lognormal, cut at an hour."""

    def below(minutes: float) -> float:
        return 0.5 * (1 + math.erf(math.log(minutes / MEDIAN_DELAY) / SPREAD / math.sqrt(2))) if minutes else 0.0

    density = np.diff([below(age) for age in range(LONGEST + 1)])
    return np.asarray(density / density.sum())


def cohorts(traffic: Sequence[Floats | Narrow], shares: Sequence[Floats | Narrow], rng: np.random.Generator) -> Cohorts:
    """Draws them. For each segment: mean entries by minute, and the share of them that converts."""
    size = (len(traffic), len(traffic[0]))
    entered, converting, observed = (np.zeros(size, np.int32) for _ in range(3))
    delays = np.zeros((len(traffic), LONGEST), np.int64)
    curve = np.cumsum(delay_density())
    for row, (mean, share) in enumerate(zip(traffic, shares, strict=True)):
        entered[row] = rng.poisson(mean)
        converting[row] = rng.binomial(entered[row], share)
        minute = np.repeat(np.arange(size[1]), converting[row])
        age = np.searchsorted(curve, rng.random(len(minute)), side="right").clip(max=LONGEST - 1)
        observed[row] = np.bincount(minute + age, minlength=size[1])[: size[1]]
        delays[row] = np.bincount(age, minlength=LONGEST)
    return Cohorts(entered, converting, observed, delays)
