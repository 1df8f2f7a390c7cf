"""Simulated traffic: entries a minute and the share of them that convert, as sites have them. Deterministic by seed."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Narrow = npt.NDArray[np.float32]  # where there is much of it
Counts = npt.NDArray[np.integer[Any]]

HOUR, DAY, WEEK = 60, 1_440, 10_080  # minutes
MONTH = 30 * DAY

DAY_TO_NIGHT = 7.0
PEAK_HOUR = 15
WEEKEND = 0.75  # of a weekday's traffic
SEASON = 0.12  # the share's swing over a day, and between weekend and week
DRIFT, DRIFT_PERIOD = 0.03, 120 * DAY
NOISE_MEMORY = 6 * HOUR


class Series(msgspec.Struct, frozen=True):
    """One segment of one stage: mean entries an hour, and the mean share of them that converts."""

    hourly: float
    share: float

    @property
    def name(self) -> str:
        return f"{self.hourly:g}/h × {self.share:.0%}"

    def information_time(self, fall: float) -> float:
        """Minutes of mean traffic until a fall by `fall` (0 to 1) could be told from health: ln(entries a month) / KL."""
        fallen = self.share * (1 - fall)
        divergence = (1 - fallen) * math.log((1 - fallen) / (1 - self.share))
        if fallen:
            divergence += fallen * math.log(fallen / self.share)
        return math.log(self.hourly * MONTH / HOUR) / divergence / self.hourly * HOUR


SERIES = tuple(Series(hourly, share) for hourly in (5.0, 50.0, 500.0, 5000.0) for share in (0.02, 0.10, 0.30, 0.60))


def entries(series: Series, minutes: int) -> Floats:
    """Mean entries in each minute: more by day than by night, less at weekends. Minute 0 is a Monday's midnight."""
    minute = np.arange(minutes)
    swing = math.log(DAY_TO_NIGHT) / 2
    by_day = np.exp(swing * np.cos(2 * np.pi * (np.arange(DAY) - PEAK_HOUR * HOUR) / DAY))
    week = np.concatenate([np.tile(by_day, 5), WEEKEND * np.tile(by_day, 2)])
    return np.asarray(week / week.mean() * series.hourly / HOUR)[minute % WEEK]


def shares(series: Series, minutes: int, noise: float, rng: np.random.Generator) -> Floats:
    """The share of each minute's entries that converts: seasonal, drifting, with AR(1) noise of relative size `noise`."""
    minute = np.arange(minutes)
    turn = rng.uniform(0, 2 * np.pi, 3)
    season = 0.7 * np.sin(2 * np.pi * minute / DAY + turn[0]) + 0.3 * np.sin(2 * np.pi * minute / WEEK + turn[1])
    drift = np.sin(2 * np.pi * minute / DRIFT_PERIOD + turn[2])
    wander = 1 + noise * autoregressive(minutes, rng)
    return np.asarray(np.clip(series.share * (1 + SEASON * season) * (1 + DRIFT * drift) * wander, 0.0, 0.98))


def autoregressive(minutes: int, rng: np.random.Generator) -> Floats:
    """A stationary AR(1) process of variance 1 that forgets over NOISE_MEMORY."""
    keep = math.exp(-1 / NOISE_MEMORY)
    shocks = rng.standard_normal(minutes) * math.sqrt(1 - keep * keep)
    shocks[0] = rng.standard_normal()
    return _filtered(shocks, keep)


def _filtered(shocks: Floats, keep: float) -> Floats:
    """y[t] = keep · y[t − 1] + shocks[t], in blocks that stay within floating point's range."""
    result, carried, block = np.empty_like(shocks), 0.0, NOISE_MEMORY
    powers = keep ** np.arange(1, block + 1)
    for start in range(0, len(shocks), block):
        part = shocks[start : start + block]
        decay = powers[: len(part)]
        result[start : start + block] = decay * (np.cumsum(part / decay) + carried)
        carried = result[start + len(part) - 1]
    return result
