"""Who is responsible for a fall, as the rules of `schemas.rules.responsible` tell it at one minute. Needs numpy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import numpy as np

from schemas.rules.drop import HEALTHY
from schemas.rules.responsible import LEAST_OBSERVED
from schemas.rules.windows import SLOW_STEP
from streams.backtest.drops import NONE, Floats, Steps, coarse_window, sums_over

Segment = TypeVar("Segment")
KINDS = 3  # all traffic, single values, cells


def posteriors(
    whole: Mapping[Segment, Steps],
    parts: Mapping[Segment, Steps],
    cells: Mapping[Segment, Steps],
    at: int,
    tolerated: Mapping[Segment, float],
    slow: int = SLOW_STEP,
) -> dict[Segment, float]:
    """The probability of each segment that it alone fell, at minute `at`; nothing where no fall stands.

    `whole` has one entry: all traffic. `tolerated`: of all traffic and of single values; HEALTHY where it is not named.
    """
    window = _window(whole, at, tolerated, slow, whole=True) or _window(parts, at, tolerated, slow, whole=False)
    scores: dict[Segment, float] = {}
    for kind in (whole, parts, cells) if window else ():
        prior = np.log(KINDS * len(kind)) if kind else 0.0
        for segment, steps in kind.items():
            observed, expected = sums_over(steps, window, at, slow)
            if observed < expected:
                least = max(observed, LEAST_OBSERVED)
                scores[segment] = least * np.log(least / expected) - least + expected - prior
    if not scores:
        return {}
    relative: Floats = np.exp(np.array(list(scores.values())) - max(scores.values()))
    return {segment: float(share) for segment, share in zip(scores, relative / relative.sum(), strict=True)}


def _window(
    kind: Mapping[Segment, Steps], at: int, tolerated: Mapping[Segment, float], slow: int, *, whole: bool
) -> int:
    """The coarse window that shows a fall of any of these best."""
    found = (
        coarse_window(steps, at, whole=whole, tolerated=tolerated.get(segment, HEALTHY), slow=slow)
        for segment, steps in kind.items()
    )
    return max(found, default=(0.0, NONE))[1]
