"""What is usual today, with one default for all traffic: a ratio below half its mean, z-scores by week offset, bands.

Rates are conversions per entry over a sliding window, as their authors have them; a rate without entries is absent.
"""

from __future__ import annotations

import numpy as np

from benchmarks.alerts.traffic import DAY, HOUR, WEEK, Floats
from streams.backtest.drops import Flags

WAIT = 5  # minutes for which the condition must hold


def ratio_below_half(entered: Floats, observed: Floats) -> Flags:
    """Conversions / entries over 5 minutes below half their mean of a day, for 5 minutes."""
    rate = _rate(entered, observed, 5)
    return _for(rate < 0.5 * _mean(rate, DAY), WAIT)


def week_offset(entered: Floats, observed: Floats) -> Flags:
    """GitLab's z-score: the hour's rate against the same hours of up to three weeks before (median of the predictions, each shifted
    by the change of the weekly mean), in standard deviations of a week; below −1.5 for 5 minutes."""
    rate = _rate(entered, observed, HOUR)
    weekly, spread = _mean(rate, WEEK), _deviation(rate, WEEK)
    offsets = [_shift(_mean(rate, 4 * HOUR), back * WEEK - 2 * HOUR) for back in (1, 2, 3)]
    predicted = [each + weekly - _shift(weekly, back * WEEK) for each, back in zip(offsets, (1, 2, 3), strict=True)]
    with np.errstate(invalid="ignore", divide="ignore"):
        score = (rate - np.median(np.array(predicted), axis=0)) / spread
        return _for(score < -1.5, WAIT)


def bands(entered: Floats, observed: Floats) -> Flags:
    """grafana/promql-anomaly-detection, adaptive: below the lowest of the short term, the margin and the long term bands for 5 minutes.
    A rate of 0 is left out, as there."""
    rate = _rate(entered, observed, 5)
    rate = np.where(rate > 0, rate, np.nan)
    mean, deviation = _mean(rate, HOUR), _deviation(rate, HOUR)
    smooth = _mean(np.where(deviation > 0.5 * mean, deviation, np.nan), 26 * HOUR)
    long_term = [_shift(mean - 2 * deviation, back - HOUR // 2) for back in (DAY, WEEK)]
    lower = np.fmax(np.fmin.reduce([mean - 2 * smooth, 0.5 * mean, *long_term]), 0)
    return _for(rate < lower, WAIT)


def _rate(entered: Floats, observed: Floats, window: int) -> Floats:
    n, k = _total(entered, window), _total(observed, window)
    return np.asarray(np.divide(k, n, out=np.full(len(n), np.nan), where=n > 0))


def _total(each: Floats, window: int) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(each)])
    ends = np.arange(1, len(each) + 1)
    return np.asarray(total[ends] - total[np.maximum(ends - window, 0)])


def _mean(each: Floats, window: int) -> Floats:
    """avg_over_time: of the samples that there are."""
    there = _total((~np.isnan(each)).astype(float), window)
    nothing = np.full(len(each), np.nan)
    return np.asarray(np.divide(_total(np.nan_to_num(each), window), there, out=nothing, where=there > 0))


def _deviation(each: Floats, window: int) -> Floats:
    return np.asarray(np.sqrt(np.maximum(_mean(each**2, window) - _mean(each, window) ** 2, 0)))


def _shift(each: Floats, back: int) -> Floats:
    return np.concatenate([np.full(min(back, len(each)), np.nan), each[: max(len(each) - back, 0)]])


def _for(condition: Flags, minutes: int) -> Flags:
    """Holds for `minutes` on end."""
    return np.asarray(_total(condition.astype(float), minutes + 1) >= minutes + 1)
