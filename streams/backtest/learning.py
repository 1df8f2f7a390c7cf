"""What a worker would have known at a moment of the past: counts of the four weeks before, of entries that have had their time."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from schemas.expectation.history import LOOK_BACK, Needed, Quarter, incidents, learn, whole_counts
from schemas.expectation.learned import Counts, LearnedStep
from schemas.expectation.steps import Step
from schemas.expectation.week import QUARTER, Week
from schemas.metrics import ALL

Segment = tuple[str, str]


class Stay(msgspec.Struct, frozen=True, gc=False):
    """Somebody was in a stage: since when, until which conversion (ms; None: never), in which segments."""

    at: int
    converted: int | None
    segments: tuple[Segment, ...]


class _Counted(msgspec.Struct):
    """A quarter of an hour: entries and conversions by segment, conversions by their age in steps."""

    segments: dict[Segment, list[int]] = {}
    delays: dict[int, int] = {}


class Learner:
    """Of one step. `unit`: ms of a step of age. `stays`: all of the history, in any order; those later than a moment are not
    looked at for what was known then."""

    def __init__(self, step: Step, unit: int, week: Week, stays: Iterable[Stay]) -> None:
        self._step, self._unit, self._week = step, unit, week
        self._quarters: dict[int, _Counted] = {}
        for stay in stays:
            self._take(stay)

    def known_at(self, now: int, needed: Needed) -> LearnedStep | None:
        """What the entries teach that could have converted by `now` (ms); None: there is nobody yet."""
        until = now - self._step.delay
        found = {at: each for at, each in self._quarters.items() if until - LOOK_BACK <= at and at + QUARTER <= until}
        if not found:
            return None
        whole = [Quarter(at, *each.segments[ALL, ALL]) for at, each in sorted(found.items())]
        masked = incidents(whole, self._week)
        delays: dict[int, int] = {}
        segments: dict[Segment, list[Quarter]] = {}
        for at, each in found.items():
            if at in masked:
                continue
            for age, count in each.delays.items():
                delays[age] = delays.get(age, 0) + count
            for segment, counts in each.segments.items():
                segments.setdefault(segment, []).append(Quarter(at, *counts))
        parts: dict[str, dict[str, Counts]] = {}
        for (dimension, value), quarters in segments.items():
            if dimension != ALL:
                parts.setdefault(dimension, {})[value] = whole_counts(quarters, self._week)
        kept = [each for each in whole if each.at not in masked]
        return learn(self._step, self._unit, kept, delays, parts, self._week, needed, now)

    def _take(self, stay: Stay) -> None:
        quarter = self._quarters.setdefault(stay.at // QUARTER * QUARTER, _Counted())
        age = None if stay.converted is None else stay.converted // self._unit - stay.at // self._unit
        in_time = age is not None and age < max(1, self._step.delay // self._unit)
        for segment in stay.segments:
            counts = quarter.segments.setdefault(segment, [0, 0])
            counts[0] += 1
            counts[1] += in_time
        if age is not None and in_time:
            quarter.delays[age] = quarter.delays.get(age, 0) + 1
