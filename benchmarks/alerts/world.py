"""A simulated world: many segments over four months, with what the product expects of them by the minute."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from benchmarks.alerts.cohorts import Cohorts, cohorts
from benchmarks.alerts.learning import MEMORY, Rates, by_age, counted, expected, masses, stage_rates
from benchmarks.alerts.traffic import DAY, HOUR, SERIES, Counts, Floats, Narrow, Series, entries, shares

CALIBRATED = MEMORY + 28 * DAY  # minute from which on everything has four weeks behind it


class World(msgspec.Struct, frozen=True):
    """Rows are segments, columns minutes. `traffic`, `share`: the truth; `expected`: of each minute from MEMORY on, 0 before."""

    series: tuple[Series, ...]
    traffic: Narrow
    share: Narrow
    entered: Counts
    observed: Counts
    expected: Floats
    rates: Rates
    mass: Floats

    @property
    def minutes(self) -> int:
        return int(self.entered.shape[1])


def world(runs: int, judged: int, noise: float, seed: int, kinds: Sequence[Series] = SERIES) -> World:
    """`runs` histories of each of the `kinds`, with `judged` minutes after what is learned and calibrated of."""
    rng = np.random.default_rng(seed)
    series = tuple(each for each in kinds for _ in range(runs))
    minutes = CALIBRATED + judged
    by_kind = {each: entries(each, minutes) for each in kinds}
    share = np.array([shares(each, minutes, noise, rng) for each in series], np.float32)
    visitors = cohorts([by_kind[each] for each in series], list(share), rng)
    rates = stage_rates(counted(visitors.entered, visitors.converting))
    mass = masses(visitors.delays)
    return World(
        series, np.array([by_kind[each] for each in series], np.float32), share, visitors.entered, visitors.observed,
        _expected(visitors, rates, mass), rates, mass,
    )  # fmt: skip


def _expected(visitors: Cohorts, rates: Rates, mass: Floats) -> Floats:
    """Nobody is there an hour before MEMORY; what is said of the first hour is left out of the judgement."""
    rows = np.arange(len(visitors.entered))
    result = np.zeros(visitors.entered.shape)
    result[:, MEMORY:] = expected(
        visitors.entered[:, MEMORY:],
        visitors.observed[:, MEMORY:],
        mass,
        lambda minute: by_age(rates, rows, np.full(len(rows), max(minute, MEMORY + HOUR))),
        MEMORY,
    )
    return result
