"""The counters that a worker would have exported, by minute: entries, conversions and expected conversions of each segment."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.expectation.baselines import Baselines
from schemas.expectation.history import Needed
from schemas.expectation.steps import steps
from schemas.funnel import Funnel
from schemas.rules.model import DAY, MINUTE, WEEK
from schemas.settings import Settings
from sinks.prometheus.expected import Effect, FunnelExpectation
from sinks.prometheus.labels import LabelPolicy, Segment
from sinks.prometheus.segments import Segments
from sinks.prometheus.strata import Strata
from streams.backtest.attempts import Attempt, conversions, stays
from streams.backtest.learning import Learner, Stay

Floats = npt.NDArray[np.float64]
_PLACE = ("backtest", 0)
#: Minutes before a span that traffic is compared with.
EARLIER = (2 * WEEK + DAY) // MINUTE


class Series(msgspec.Struct, frozen=True):
    """What each minute added to one stage's counters of one segment."""

    entered: Floats
    observed: Floats
    expected: Floats


class History(msgspec.Struct, frozen=True):
    """One funnel's past. `start`: ms of the first minute. `stages`: level → segment → series. `value`: money of entries, by minute.
    `started`: attempts begun, by minute, from EARLIER minutes before `start` on; `known`: how many of these minutes lie before
    the first attempt. `ready`: level → ms from which something was expected of it."""

    funnel: Funnel
    start: int
    stages: dict[int, dict[Segment, Series]]
    started: Floats
    known: int
    value: Floats
    ready: dict[int, int]


class Span(msgspec.Struct, frozen=True):
    """From `start`, a whole minute, up to `end` (ms): the minutes that are followed."""

    start: int
    end: int

    @property
    def minutes(self) -> int:
        return -(-(self.end - self.start) // MINUTE)


def replay_history(
    funnel: Funnel, attempts: Sequence[Attempt], span: Span, settings: Settings, policy: LabelPolicy,
    progress: Callable[[float], None] = lambda _: None,
) -> History:  # fmt: skip
    """Follows the minutes of `span` as a worker does. What is expected was learned each day from the days before it."""
    segments = Segments(funnel, policy)
    made = _Made(funnel, span)
    effects = made.effects(attempts, segments)
    baselines = Baselines([funnel], MINUTE, settings.site.timezone, settings.calendar)
    learners = _learners(funnel, attempts, segments, baselines)
    expectation = FunnelExpectation(funnel, Strata(segments), baselines)
    expectation.begin(_PLACE, span.start, ())
    needed = Needed(settings.expectation.minimum_history, settings.expectation.minimum_conversions)
    ready: dict[int, int] = {}
    for minute in range(span.minutes):
        now = span.start + minute * MINUTE
        if minute == 0 or now % DAY < MINUTE:
            progress(minute / span.minutes)
            for level, learner in learners.items():
                learned = learner.known_at(now, needed)
                if learned is not None:
                    baselines.learn(learned, settings.site.timezone, now)
                    if learned.ready:
                        ready.setdefault(level, now)
        for effect, dims in effects.get(minute, {}).items():
            expectation.take(_PLACE, effect, dims, [(now, len(dims))])
        for level, segment, amount in expectation.advance(_PLACE, now + MINUTE, evenly=False):
            made.of(level, segment).expected[minute] += amount
    progress(1.0)
    return History(funnel, span.start, made.stages, made.started, made.first, made.value, ready)


def _learners(
    funnel: Funnel, attempts: Sequence[Attempt], segments: Segments, baselines: Baselines
) -> dict[int, Learner]:
    found: dict[int, list[Stay]] = {}
    for attempt in attempts:
        own = tuple(segments.of(attempt.dims))
        for level, at, converted in stays(funnel, attempt):
            found.setdefault(level, []).append(Stay(at, converted, own))
    return {
        step.level: Learner(step, MINUTE, baselines.week, found.get(step.level, ())) for step in steps(funnel, MINUTE)
    }


Effects = dict[Effect, list[tuple[str, ...]]]


class _Made:
    """The arrays in the making."""

    def __init__(self, funnel: Funnel, span: Span) -> None:
        self._funnel, self._span = funnel, span
        self.stages: dict[int, dict[Segment, Series]] = {level: {} for level in range(len(funnel.levels))}
        self.started = np.zeros(EARLIER + span.minutes)
        self.first = len(self.started)
        self.value = np.zeros(span.minutes)

    def of(self, level: int, segment: Segment) -> Series:
        known = self.stages[level].get(segment)
        if known is None:
            known = Series(*(np.zeros(self._span.minutes) for _ in range(3)))
            self.stages[level][segment] = known
        return known

    def effects(self, attempts: Sequence[Attempt], segments: Segments) -> dict[int, Effects]:
        """Counts what was observed; what is to be told to the expectation, by minute."""
        found: dict[int, Effects] = {}
        for attempt, level, at, converts, value in self._within(attempts):
            minute = (at - self._span.start) // MINUTE
            found.setdefault(minute, {}).setdefault((level, converts, False), []).append(attempt.dims)
            for segment in segments.of(attempt.dims):
                self.of(level, segment).entered[minute] += 1
                for before in converts:
                    self.of(before, segment).observed[minute] += 1
            if value:
                self.value[minute] += value
        return found

    def _within(self, attempts: Sequence[Attempt]) -> Iterator[tuple[Attempt, int, int, tuple[int, ...], int]]:
        for attempt in attempts:
            begun = (attempt.reached[0].at - self._span.start) // MINUTE + EARLIER
            if 0 <= begun < len(self.started):
                self.started[begun] += 1
            self.first = min(self.first, max(begun, 0))
            for each, converts in conversions(self._funnel, attempt):
                if self._span.start <= each.at < self._span.end:
                    yield attempt, each.level, each.at, converts, each.value
