"""The delay curve of one step of a funnel: how long those who convert take, and the hazard that follows from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

import msgspec

from schemas.expectation.ages import bucket_of, edges

#: No rate is taken for certain: the hazard of the last age would be 1.
HIGHEST_RATE = 0.999


class Curve(msgspec.Struct, frozen=True, array_like=True):
    """`step`: ms of event time that one step of age has. `bounds`: first age of each bucket, and the first beyond them (steps).
    `masses`: share of the conversions whose delay lies in each bucket; they sum to 1."""

    step: int
    bounds: tuple[int, ...]
    masses: tuple[float, ...]

    @property
    def oldest(self) -> int:
        """The first age (steps) at which nobody is expected to convert any more."""
        return self.bounds[-1]

    def before(self) -> list[float]:
        """F(a−) of each bucket: the share of the conversions that come before it; at last 1."""
        return [0.0, *accumulate(self.masses)]

    def hazards(self, rates: Sequence[float]) -> Hazards:
        """What follows for those who are still there; `rates`: p0 by bucket (0 to 1).

        Where a bucket is one step wide its hazard is p0·f(a) / (1 − p0·F(a−)); in wider ones the same chance in each step.
        """
        found, past = [], 0.0
        for mass, (first, end), rate in zip(self.masses, pairwise(self.bounds), rates, strict=True):
            left = 1.0 - min(rate, HIGHEST_RATE) * past
            past += mass
            survive = max(1.0 - min(rate, HIGHEST_RATE) * min(past, 1.0), 1.0 - HIGHEST_RATE) / left
            found.append(1.0 - min(survive, 1.0) ** (1.0 / (end - first)))
        spans = (hazard * (end - first) for hazard, (first, end) in zip(found, pairwise(self.bounds), strict=True))
        return Hazards([*found, 0.0], [0.0, *accumulate(spans)])

    def converted_by(self, age: int) -> float:
        """F(a): the share of the conversions that come at this age (steps) or before."""
        if age < 0 or age >= self.oldest:
            return float(age >= 0)
        place = bucket_of(age, self.bounds)
        first, end = self.bounds[place], self.bounds[place + 1]
        return min(1.0, self.before()[place] + self.masses[place] * min(1.0, (age + 1 - first) / (end - first)))


class Hazards(msgspec.Struct, frozen=True, gc=False):
    """By bucket, and at last for ages beyond them all: the chance to convert within one step, and the sum of these chances
    over the steps before the bucket."""

    each: list[float]
    before: list[float]


def learn_curve(delays: Mapping[int, int], step: int, oldest: int) -> Curve:
    """The curve of these conversions. `delays`: how many by age (steps: the difference of the steps in which they entered
    and converted); those of `oldest` (steps) or older are left out. Ages that had none get the share of a tenth of a conversion
    so that a conversion there is no wonder."""
    bounds = edges(oldest)
    counts = [0.1] * (len(bounds) - 1)
    for age, count in delays.items():
        if 0 <= age < oldest:
            counts[bucket_of(age, bounds)] += count
    total = sum(counts)
    return Curve(step, bounds, tuple(count / total for count in counts))
