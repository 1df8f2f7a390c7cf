"""Seeded histories of counters for the evaluator and for Prometheus: health, falls, recoveries, ramps, resets, gaps, silence."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.metrics import ALL

Floats = npt.NDArray[np.float64]
MINUTES = 6 * 60


class History(msgspec.Struct, frozen=True):
    """Two counters of one segment, a sample each minute; NaN: not scraped."""

    stage: str
    dimension: str
    observed: Floats
    expected: Floats


def histories(seed: int, stages: int) -> list[History]:
    """For each of the stages one of all traffic, and for every other one of a channel as well."""
    rng = np.random.default_rng(seed)
    every = []
    for number in range(stages):
        for dimension in (ALL, "channel") if number % 2 else (ALL,):
            rate = 10 ** rng.uniform(-1.5, 1.7)  # conversions a minute
            change = CHANGES[number % len(CHANGES)]
            observed, expected = change(rate, rng)
            every.append(History(f"s{number:02}", dimension, observed, expected))
    return every


def _counters(rate: Floats, share: Floats, rng: np.random.Generator) -> tuple[Floats, Floats]:
    wander = np.exp(0.05 * np.cumsum(rng.standard_normal(MINUTES)) / 20)
    return np.cumsum(rng.poisson(rate * share * wander)).astype(float), np.cumsum(rate + 1e-6)


def _fall(rate: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Falls for some hours, once or twice, and is well again."""
    share = np.ones(MINUTES)
    for _ in range(rng.integers(1, 3)):
        start = rng.integers(60, MINUTES - 60)
        share[start : start + rng.integers(20, 200)] = rng.choice([0.0, 0.4, 0.7])
    return _counters(np.full(MINUTES, rate), share, rng)


def _ramp(rate: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Eight times the traffic, and a fall in the midst of it."""
    rates, share = np.full(MINUTES, rate), np.ones(MINUTES)
    rates[100:260] *= 8
    share[150:220] = 0.5
    return _counters(rates, share, rng)


def _reset(rate: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A worker restarts during a fall: both counters begin anew, and once more on their own."""
    observed, expected = _fall(rate, rng)
    for counter, moments in ((observed, (200, 300)), (expected, (200, 330))):
        for moment in moments:
            counter[moment:] -= counter[moment]
    return observed, expected


def _gap(rate: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Not scraped for an hour; observed is counted before anything is expected."""
    observed, expected = _fall(rate, rng)
    observed[250:310] = expected[250:310] = np.nan
    expected[:40] = np.nan
    return observed, expected


def _silence(rate: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Traffic vanishes in the midst of a fall, and comes back to a healthy share."""
    rates, share = np.full(MINUTES, rate), np.ones(MINUTES)
    share[120:220] = 0.2
    rates[200:300] = 0
    return _counters(rates, share, rng)


CHANGES: tuple[Callable[[float, np.random.Generator], tuple[Floats, Floats]], ...] = (
    _fall, _ramp, _reset, _gap, _silence, _fall, _reset,
)  # fmt: skip
