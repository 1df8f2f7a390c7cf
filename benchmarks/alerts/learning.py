"""What the product would have learned and would expect: `schemas.expectation` for many segments at once.

The same maths over rows of arrays; tests/unit/benchmarks/test_alerts.py holds both against each other. Learned at each
midnight from the four weeks before; age goes in minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import msgspec
import numpy as np

from benchmarks.alerts.cohorts import LONGEST
from benchmarks.alerts.traffic import DAY, WEEK, Counts, Floats
from schemas.expectation.ages import bucket_of, edges
from schemas.expectation.at_risk import wide_enough
from schemas.expectation.curve import HIGHEST_RATE, learn_curve
from schemas.expectation.learned import SLOTTED
from schemas.expectation.rates import LEAST, MOST, PRIOR
from schemas.expectation.week import AROUND, SLOTS

STEP = 60_000  # ms of a step of age
QUARTER = 15
MEMORY = 4 * WEEK
BOUNDS = edges(LONGEST)
WIDTHS = np.diff(BOUNDS)
#: Minutes before now in which those of each bucket entered, by the middle of a quarter of an hour.
MIDDLES = np.array([(first + end) // 2 for first, end in pairwise(BOUNDS)])

#: Rates p0 by segment, day after MEMORY, and slot of the week.
Rates = Floats


class Counted(msgspec.Struct, frozen=True):
    """Of the four weeks before each midnight from MEMORY on, by segment and day; `slots`: within an hour of each slot as well."""

    entered: Counts
    converted: Counts
    slots_entered: Counts
    slots_converted: Counts


def counted(entered: Counts, converting: Counts) -> Counted:
    """What is learned of; minute 0 is a Monday's midnight. Whole days only."""
    around = [_by_slot(each) for each in (entered, converting)]
    totals = [each.sum(axis=2) for each in around]
    near = [sum(np.roll(each, shift, axis=2) for shift in range(-AROUND, AROUND + 1)) for each in around]
    return Counted(*totals, *(np.asarray(each) for each in near))


def _by_slot(each: Counts) -> Counts:
    quarters = each.reshape(len(each), -1, QUARTER).sum(axis=2)
    days = quarters.shape[1] * QUARTER // DAY
    found = []
    for day in range(MEMORY // DAY, days + 1):
        end = day * DAY // QUARTER
        weeks = quarters[:, end - 4 * SLOTS : end].reshape(len(each), 4, SLOTS).sum(axis=1)
        found.append(np.roll(weeks, end % SLOTS, axis=1))
    return np.stack(found, axis=1).astype(np.int64)


def stage_rates(learned: Counted) -> Rates:
    """Of all traffic, as `schemas.expectation.rates.Rates`."""
    mean = _mean(learned)[:, :, None]
    return _shrunk(learned.slots_entered, learned.slots_converted, mean)


def segment_rates(learned: Counted, stage: Counted, values: Sequence[Counted] = ()) -> Rates:
    """Of segments of one stage: `stage` has one row. Of cells, `values` are those of each one's first value, and second one."""
    of_all, usual = _mean(stage), stage_rates(stage)
    usual_mean = of_all
    for value in values:
        usual_mean = usual_mean * _shrunk(value.entered, value.converted, of_all) / of_all
    mean = _shrunk(learned.entered, learned.converted, _bounded(usual_mean))
    prior = _bounded(mean[:, :, None] * usual / of_all[:, :, None])
    slotted = (learned.converted >= SLOTTED)[:, :, None]
    return _shrunk(learned.slots_entered * slotted, learned.slots_converted * slotted, prior)


def _mean(learned: Counted) -> Floats:
    mean = _bounded((learned.converted + 0.5) / (learned.entered + 1))
    return np.where(learned.converted > 0, mean, LEAST)


def _shrunk(entered: Counts, converted: Counts, prior: Floats) -> Floats:
    return _bounded((converted + PRIOR) / (entered + PRIOR / prior))


def _bounded(rate: Floats) -> Floats:
    return np.clip(rate, LEAST, MOST)


def masses(delays: Counts) -> Floats:
    """The delay curve of each row, by bucket, learned by the shipped code."""
    curves = (learn_curve(dict(enumerate(map(int, row))), STEP, LONGEST) for row in delays)
    return np.array([curve.masses for curve in curves])


def by_age(rates: Rates, rows: Counts, minute: Counts) -> Floats:
    """p0 of those who are there in this minute, by bucket of age: that of the time at which they entered.

    `rows`: of `rates`; `minute`: one for each of them, since the simulation's beginning.
    """
    middle = minute // QUARTER * QUARTER + QUARTER // 2
    slots = (middle[:, None] - MIDDLES) // QUARTER % SLOTS
    return np.asarray(rates[rows[:, None], (minute // DAY - MEMORY // DAY)[:, None], slots])


def hazards(mass: Floats, rate: Floats) -> tuple[Floats, Floats]:
    """`Curve.hazards`, by row and bucket: the chance within one minute, and the sum of those before the bucket."""
    rate = np.minimum(rate, HIGHEST_RATE)
    past = np.cumsum(mass, axis=1)
    survive = np.maximum(1 - rate * np.minimum(past, 1), 1 - HIGHEST_RATE) / (1 - rate * (past - mass))
    each = 1 - np.minimum(survive, 1) ** (1 / WIDTHS)
    none = np.zeros((len(mass), 1))
    return np.hstack([each, none]), np.hstack([none, np.cumsum(each * WIDTHS, axis=1)])


def expected(entered: Counts, observed: Counts, mass: Floats, rate: Callable[[int], Floats], start: int = 0) -> Floats:
    """Expected conversions by row and minute. `rate(minute)`: p0 by row and bucket, asked every quarter of an hour.

    `start`: the minute of the first column, a whole quarter; nobody is there before.
    """
    risk = _Risk(len(entered), start)
    result = np.zeros(entered.shape)
    for column in range(entered.shape[1]):
        if column % QUARTER == 0:
            each, before = hazards(mass, rate(start + column))
        result[:, column] = risk.close(start + column, entered[:, column], observed[:, column], each, before)
    return result


class _Risk:
    """`AtRisk` by rows: all have the same blocks."""

    def __init__(self, rows: int, start: int) -> None:
        self._starts, self._widths = [start], [1]
        self._remaining = np.zeros((rows, 1))
        self._fresh = True

    def close(self, step: int, entered: Counts, converted: Counts, each: Floats, before: Floats) -> Floats:
        self._grow(step)
        row = self._remaining
        row[:, -1] += entered
        marks = [step + 1 - start for start in (*self._starts, step + 1)]
        buckets = [bucket_of(age, BOUNDS) for age in marks]
        inside = np.array([age - BOUNDS[bucket] for age, bucket in zip(marks, buckets, strict=True)])
        sums = before[:, buckets] + inside * each[:, buckets]
        terms = row * (sums[:, :-1] - sums[:, 1:]) / self._widths
        found = terms.sum(axis=1)
        share = np.divide(converted, found, out=np.zeros_like(found), where=found > 0)
        rest = row - terms * share[:, None]
        if rest.min() < 0:
            left = -np.minimum(rest, 0).sum(axis=1)
            rest = np.maximum(rest, 0)
            total = rest.sum(axis=1)
            rest *= np.maximum(0, 1 - np.divide(left, total, out=np.zeros_like(left), where=total > 0))[:, None]
        self._remaining = rest
        return np.asarray(found)

    def _grow(self, step: int) -> None:
        starts, widths = self._starts, self._widths
        if self._fresh:
            self._fresh = False
            return
        starts.append(step)
        widths.append(1)
        row = np.hstack([self._remaining, np.zeros((len(self._remaining), 1))])
        gone = 0
        while len(starts) > 1 and starts[1] <= step - LONGEST + 1:
            del starts[0], widths[0]
            gone += 1
        row = row[:, gone:]
        place = len(starts) - 2
        while place > 0:
            width, start = widths[place], starts[place - 1]
            if widths[place - 1] == width and start % (2 * width) == 0 and wide_enough(start, 2 * width, step):
                widths[place - 1] = 2 * width
                del starts[place], widths[place]
                row[:, place - 1] += row[:, place]
                row = np.delete(row, place, axis=1)
            place -= 1
        self._remaining = row
