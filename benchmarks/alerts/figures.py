"""Figures with their bars and their 95 % confidence intervals."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

ROUNDS, SEED = 1_000, 11

Statistic = Callable[[npt.NDArray[np.float64]], float]


class Figure(msgspec.Struct, frozen=True):
    """`low`, `high`: 95 % of the values by bootstrap over the cases. `bar`: what must be reached; None: told only."""

    name: str
    value: float
    low: float
    high: float
    cases: int
    unit: str
    bar: float | None = None
    at_least: bool = False

    @property
    def met(self) -> bool | None:
        if self.bar is None:
            return None
        return self.value >= self.bar if self.at_least else self.value <= self.bar


def mean(values: npt.NDArray[np.float64]) -> float:
    return float(np.mean(values)) if len(values) else float("nan")


def median(values: npt.NDArray[np.float64]) -> float:
    """Of values that may be infinite: never seen."""
    return float(np.sort(values)[(len(values) - 1) // 2]) if len(values) else float("nan")


def figure(
    name: str,
    values: Sequence[float] | npt.NDArray[np.float64],
    unit: str,
    *,
    of: Statistic = mean,
    bar: float | None = None,
    at_least: bool = False,
) -> Figure:
    """The figure of these cases."""
    cases = np.asarray(values, float)
    rng = np.random.default_rng(SEED)
    drawn = [of(cases[rng.integers(0, len(cases), len(cases))]) for _ in range(ROUNDS)] if len(cases) else [np.nan]
    low, high = (float(np.sort(drawn)[int(share * (len(drawn) - 1))]) for share in (0.025, 0.975))
    return Figure(name, of(cases), low, high, len(cases), unit, bar, at_least)
