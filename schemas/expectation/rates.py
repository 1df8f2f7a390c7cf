"""The baseline p0: the share of those who enter a stage that is to convert, by segment and slot of the week."""

from __future__ import annotations

from schemas.expectation.learned import Counts, LearnedStep
from schemas.expectation.week import neighbours
from schemas.metrics import CROSS

#: Conversions that the prior weighs as much as.
PRIOR = 100
LEAST, MOST = 1e-9, 0.999


class Rates:
    """Rates of one learned step. What is asked for once is kept."""

    def __init__(self, learned: LearnedStep) -> None:
        self.learned = learned
        whole = learned.whole
        self._mean = bounded((whole.converted + 0.5) / (whole.entered + 1)) if whole.converted else LEAST
        self._known: dict[tuple[str, str, int], float] = {}

    def knows(self, dimension: str, value: str) -> bool:
        """Whether this segment was there in the weeks that were counted."""
        return value in self.learned.parts.get(dimension, {})

    def rate(self, slot: int, dimension: str = "", value: str = "") -> float:
        """p0 of those who enter in this slot: of all traffic, or of one segment.

        (K + 100) / (n + 100 / prior), of the same time of the week. All traffic: the prior is its mean of four weeks. A segment: its
        own mean, drawn towards what is usual in the same way, times the stage's own rhythm; so a small one has the usual rate, and one
        that was not there before has nothing else. Usual for a value is the mean of all; for a cell of two values, what they would make of it if
        they had nothing to do with each other.
        """
        key = (dimension, value, slot)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._rate(slot, dimension, value)
        return known

    def _rate(self, slot: int, dimension: str, value: str) -> float:
        counts = self.learned.parts.get(dimension, {}).get(value) if dimension else None
        if not dimension:
            return shrunk(*around(self.learned.whole, slot), self._mean)
        usual = self.rate(slot) / self._mean
        if counts is None:
            return bounded(self._usual_mean(dimension, value) * usual)
        return shrunk(*around(counts, slot), bounded(self._own_mean(dimension, value, counts) * usual))

    def _own_mean(self, dimension: str, value: str, counts: Counts) -> float:
        return shrunk(counts.entered, counts.converted, self._usual_mean(dimension, value))

    def _usual_mean(self, dimension: str, value: str) -> float:
        found = self._mean
        if CROSS in dimension:
            for one, own in zip(dimension.split(CROSS), value.split(CROSS), strict=False):
                counts = self.learned.parts.get(one, {}).get(own)
                if counts is not None:
                    found *= self._own_mean(one, own, counts) / self._mean
        return bounded(found)


def around(counts: Counts, slot: int) -> tuple[int, int]:
    """Entries and conversions within an hour of this slot."""
    found = [counts.slots[near] for near in neighbours(slot) if near in counts.slots]
    return sum(entered for entered, _ in found), sum(converted for _, converted in found)


def shrunk(entered: int, converted: int, prior: float) -> float:
    """The rate of these, drawn towards `prior` by the weight of PRIOR conversions."""
    return bounded((converted + PRIOR) / (entered + PRIOR / prior))


def bounded(rate: float) -> float:
    return min(max(rate, LEAST), MOST)
