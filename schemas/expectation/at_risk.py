"""Entries of one stage that have not converted yet, by age, and what they lead one to expect while event time goes on.

Time goes in steps (a minute). Entries lie in blocks of steps: one step wide while young, wider with age. All strata (disjoint
segments of the traffic) share the blocks. Closing a step m, for each stratum:

    expected += Σ remaining(block) · mean hazard of the ages in the block at m
    conversions of m leave the blocks in proportion to remaining · hazard

The second line is where a conversion most likely came from: what a row says of its delay is counted from the newest chain,
not from the entry, and would put it in too young a block. A step is closed once event time has passed it, so where chunks are cut
changes nothing, a stall freezes what is expected, and a ramp is expected when it has had time to convert.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from itertools import pairwise
from typing import Generic, TypeVar

from schemas.expectation.ages import bucket_of
from schemas.expectation.curve import Curve, Hazards

Stratum = TypeVar("Stratum", bound=Hashable)
#: A block may be this part of its age wide.
WIDEST = 4
#: Steps between two looks for strata that nobody is in any more.
SWEEP = 64
_NOBODY = 1e-6


class AtRisk(Generic[Stratum]):
    """One stage. `hazards(stratum, step)`: of those who are there in this step (`Curve.hazards`); None: nothing is
    expected of this stratum. `now`: the first step (event time / curve.step) that is not closed yet, None before the first."""

    def __init__(self, curve: Curve, hazards: Callable[[Stratum, int], Hazards | None]) -> None:
        self.curve, self.hazards = curve, hazards
        self.now: int | None = None
        self._starts: list[int] = []
        self._widths: list[int] = []
        self._remaining: dict[Stratum, list[float]] = {}
        self._waiting: dict[int, dict[Stratum, list[int]]] = {}
        self._caught_up: dict[Stratum, float] = {}

    def begin(self, now: int) -> None:
        """Nothing is known; the next step to be closed is `now`."""
        self.now = now
        self._starts, self._widths = [], []
        start = now - self.curve.oldest
        while start < now:
            width = 1
            while start % (2 * width) == 0 and wide_enough(start, 2 * width, now):
                width *= 2
            self._starts.append(start)
            self._widths.append(width)
            start += width
        self._remaining = {}

    def restore(self, step: int, stratum: Stratum, entered: int) -> None:
        """Entries of a step that had not converted when another worker left off. What they gave cause to expect by then, that worker
        has counted."""
        if self.now is None or step >= self.now:
            self.add(step, stratum, entered, 0)
        elif step >= self._starts[0]:
            self._row(stratum)[bisect_right(self._starts, step) - 1] += entered

    def add(self, step: int, stratum: Stratum, entered: int, converted: int) -> None:
        """Entries, and conversions of earlier ones, of this step; negative: taken back."""
        if self.now is not None and step < self.now:
            if entered:
                self._enter_late(step, stratum, entered)
            entered, step = 0, self.now
        counts = self._waiting.setdefault(step, {}).setdefault(stratum, [0, 0])
        counts[0] += entered
        counts[1] += converted

    def advance(self, to: int) -> dict[Stratum, float]:
        """Closes all steps before `to`; what they lead one to expect, by stratum (negative: less than was said before)."""
        if self.now is None:
            self.begin(min([to, *self._waiting]))
        found, self._caught_up = self._caught_up, {}
        while self.now is not None and self.now < to:
            if not self._remaining and (later := min([to, *self._waiting])) > self.now:
                self.begin(later)
                continue
            self._close(self.now, found)
            self.now += 1
        return found

    def remaining(self) -> float:
        """How many may still convert, by what is known."""
        waiting = sum(counts[0] - counts[1] for strata in self._waiting.values() for counts in strata.values())
        return sum(map(sum, self._remaining.values())) + waiting

    def take_over(self, curve: Curve) -> None:
        """Goes on with another curve. Ages keep their meaning only if `step` is the same."""
        if self.now is None or curve.oldest == self.curve.oldest:
            self.curve = curve
            return
        starts, rows, now = self._starts, self._remaining, self.now
        self.curve = curve
        self.begin(now)
        for stratum, row in rows.items():
            for start, entered in zip(starts, row, strict=True):
                if entered > 0 and start >= self._starts[0]:
                    self._row(stratum)[bisect_right(self._starts, start) - 1] += entered

    def _close(self, step: int, found: dict[Stratum, float]) -> None:
        moved = self._waiting.pop(step, {})
        for stratum in moved:
            self._row(stratum)
        self._grow(step)
        marks, widths = self._marks(step), self._widths
        for stratum, row in self._remaining.items():
            entered, converted = moved.get(stratum, (0, 0))
            row[-1] += entered
            hazards = self.hazards(stratum, step)
            if hazards is None:
                continue
            each, before = hazards.each, hazards.before
            sums = pairwise([before[bucket] + inside * each[bucket] for bucket, inside in marks])
            terms = [
                remaining * (older - younger) / width
                for remaining, (older, younger), width in zip(row, sums, widths, strict=True)
            ]
            expected = sum(terms)
            if expected:
                found[stratum] = found.get(stratum, 0.0) + expected
            if converted:
                remove(row, terms, expected, converted)
        if step % SWEEP == 0:
            self._remaining = {stratum: row for stratum, row in self._remaining.items() if sum(row) > _NOBODY}

    def _grow(self, step: int) -> None:
        """A block for this step; older ones are merged as their age allows, and left behind beyond the curve."""
        starts, widths, rows = self._starts, self._widths, self._remaining.values()
        starts.append(step)
        widths.append(1)
        for row in rows:
            row.append(0.0)
        while len(starts) > 1 and starts[1] <= step - self.curve.oldest + 1:
            del starts[0], widths[0]
            for row in rows:
                del row[0]
        place = len(starts) - 2
        while place > 0:
            width = widths[place]
            start = starts[place - 1]
            if widths[place - 1] == width and start % (2 * width) == 0 and wide_enough(start, 2 * width, step):
                widths[place - 1] = 2 * width
                del starts[place], widths[place]
                for row in rows:
                    row[place - 1] += row.pop(place)
            place -= 1

    def _marks(self, step: int) -> list[tuple[int, int]]:
        """Where the blocks begin and the last one ends, in age: the bucket of the curve, and how far inside."""
        bounds, found = self.curve.bounds, []
        for start in (*self._starts, step + 1):
            age = step + 1 - start
            bucket = bucket_of(age, bounds)
            found.append((bucket, age - bounds[bucket]))
        return found

    def _row(self, stratum: Stratum) -> list[float]:
        row = self._remaining.get(stratum)
        if row is None:
            row = self._remaining[stratum] = [0.0] * len(self._starts)
        return row

    def _enter_late(self, step: int, stratum: Stratum, entered: int) -> None:
        """Entries of a step that is closed: what was to be expected of them by now is made up for."""
        if self.now is None or step < self._starts[0]:
            return
        self._row(stratum)[bisect_right(self._starts, step) - 1] += entered
        hazards = self.hazards(stratum, self.now)
        if hazards is not None:
            self._caught_up[stratum] = self._caught_up.get(stratum, 0.0) + entered * converted_within(
                self.now - step, self.curve.bounds, hazards.each
            )


def wide_enough(start: int, width: int, now: int) -> bool:
    """Whether entries from `start` on are old enough by `now` for a block of this width."""
    return now - start - width >= WIDEST * width


def remove(row: list[float], terms: Sequence[float], expected: float, converted: int) -> None:
    """Takes these conversions out of the blocks, in proportion to `terms`; none below nobody."""
    if expected <= 0:
        return
    share = converted / expected
    left = 0.0
    for place, term in enumerate(terms):
        if term:
            rest = row[place] - term * share
            if rest < 0:
                left -= rest
                rest = 0.0
            row[place] = rest
    if left and (total := sum(row)) > 0:
        keep = max(0.0, 1.0 - left / total)
        row[:] = [remaining * keep for remaining in row]


def converted_within(steps: int, bounds: Sequence[int], hazards: Sequence[float]) -> float:
    """The share that converts within so many steps."""
    alive = 1.0
    for first, end, hazard in zip(bounds, bounds[1:], hazards, strict=False):
        if first >= steps:
            break
        alive *= (1.0 - hazard) ** (min(end, steps) - first)
    return 1.0 - alive
