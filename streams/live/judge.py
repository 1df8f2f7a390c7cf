"""When a rate has changed: beyond chance, and by enough to matter. Pure."""

from __future__ import annotations

from enum import StrEnum
from math import sqrt

#: Standard deviations beyond which a difference is no chance. A breakdown may have a hundred cells, all looked at for hours.
SIGMAS = 4.0
#: A rate below this share of what it was, or above the second, is worth a mark.
LESS, MORE = 0.9, 1.1
#: With fewer attempts on either side, or fewer expected conversions, nothing is said.
FEWEST, FEWEST_EXPECTED = 30, 16.0


class Change(StrEnum):
    NONE = ""
    FELL = "fell"
    ROSE = "rose"


def compared(now: int, of: int, before: int, of_before: int) -> Change:
    """The rate now/of beside before/of_before, by the two proportions' pooled z-score."""
    if min(of, of_before) < FEWEST or not 0 <= now <= of or not 0 < before <= of_before:
        return Change.NONE
    pooled = (now + before) / (of + of_before)
    spread = sqrt(pooled * (1 - pooled) * (1 / of + 1 / of_before))
    return _change((now / of - before / of_before) / spread if spread else 0.0, (now / of) / (before / of_before))


def against_expected(observed: int, expected: float) -> Change:
    """Conversions beside what was to be expected of them, as a Poisson count."""
    if expected < FEWEST_EXPECTED:
        return Change.NONE
    return _change((observed - expected) / sqrt(expected), observed / expected)


def _change(sigmas: float, ratio: float) -> Change:
    if sigmas <= -SIGMAS and ratio < LESS:
        return Change.FELL
    return Change.ROSE if sigmas >= SIGMAS and ratio > MORE else Change.NONE
