"""The calibration of the drop rules over a whole history: noise, tolerated share and threshold as Prometheus has them.

One entry for each minute; Prometheus calibrates at minutes 0, 60, 120, … here. Needs numpy.
"""

from __future__ import annotations

import numpy as np

from schemas.rules.calibration import (
    EVERY,
    FARTHEST,
    HIGHEST,
    LEAST,
    LEAST_TOLERATED,
    LOWEST,
    MARGIN,
    MEMORY,
    NOISE_WINDOW,
    QUANTILE,
    SWINGS,
)
from schemas.rules.drop import HEALTHY, THRESHOLD
from schemas.rules.windows import STEP
from streams.backtest.drops import Floats, Steps, summed

_HOUR = EVERY // STEP
_MEMORY = MEMORY // EVERY  # results in memory
_LEAST = LEAST // EVERY


def tolerated(steps: Steps) -> Floats:
    """The share of what is expected that passes for health, at each minute of a segment's history."""
    return _held(np.clip(1 - SWINGS * noise(steps), LEAST_TOLERATED, HEALTHY), HEALTHY, len(steps.observed))


def noise(steps: Steps) -> Floats:
    """Standard deviation of observed / expected beyond chance, at each hour; NaN before LEAST has passed."""
    observed, expected = _sums(steps.observed), _sums(steps.expected)
    there = expected > 0
    ratio = np.divide(observed, expected, out=np.ones_like(expected), where=there)
    chance = np.divide(1.0, expected, out=np.zeros_like(expected), where=there)
    weight = expected**2
    excess = weight * np.minimum((ratio - 1) ** 2 - chance, FARTHEST**2)
    of_weight = _remembered(weight)
    variance = np.divide(_remembered(excess), of_weight, out=np.zeros_like(weight), where=of_weight > 0)
    return _known(np.sqrt(np.maximum(variance, 0)))


def threshold(score: Floats) -> Floats:
    """The threshold of a stage at each minute, whose highest scores were `score`."""
    return _held(fitted(peaks(score)), THRESHOLD, len(score))


def peaks(score: Floats) -> Floats:
    """The highest score of each hour."""
    hours = len(score[::_HOUR])
    padded = np.concatenate([np.zeros(_HOUR - 1), score])[: hours * _HOUR]
    return np.asarray(padded.reshape(hours, _HOUR).max(axis=1))


def fitted(peak: Floats) -> Floats:
    """The threshold that the hours' highest scores ask for, at each hour; NaN before LEAST has passed."""
    result = np.array(
        [
            np.quantile(peak[max(0, hour + 1 - _MEMORY) : hour + 1], QUANTILE) if hour >= _LEAST else np.nan
            for hour in range(len(peak))
        ]
    )
    return np.clip(MARGIN * result, LOWEST, HIGHEST)


def _sums(step: Floats) -> Floats:
    """Over the window that ends with each hour's first minute."""
    total = summed(step)
    ends = np.arange(0, len(step), _HOUR) + 1
    return np.asarray(total[ends] - total[np.maximum(ends - NOISE_WINDOW // STEP, 0)])


def _remembered(each: Floats) -> Floats:
    total = summed(each)
    ends = np.arange(1, len(each) + 1)
    return np.asarray(total[ends] - total[np.maximum(ends - _MEMORY, 0)])


def _known(each: Floats) -> Floats:
    return np.where(np.arange(len(each)) >= _LEAST, each, np.nan)


def _held(hourly: Floats, otherwise: float, minutes: int) -> Floats:
    """Each hour's result until the next, `otherwise` where there is none."""
    return np.repeat(np.where(np.isnan(hourly), otherwise, hourly), _HOUR)[:minutes]
