"""The pages that would have gone out: falls of stages and of segments, one message for each stage and time, and traffic outages."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from enum import Enum

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.event import MONEY_SCALE
from schemas.expectation.calendar import Calendar
from schemas.metrics import ALL, CROSS
from schemas.rules import names as n
from schemas.rules.definition import Step, watched
from schemas.rules.drop import usual
from schemas.rules.model import MINUTE, WEEK
from schemas.rules.traffic import GONE, LESS, OUTAGE_THRESHOLD, OUTAGE_WINDOWS, WEEKS_BACK
from sinks.prometheus.labels import EVERYTHING, Segment
from streams.backtest.calibration import threshold, tolerated
from streams.backtest.drops import Drops, Steps, drops, pages
from streams.backtest.history import EARLIER, Floats, History
from streams.backtest.responsible import posteriors

Flags = npt.NDArray[np.bool_]


class Kind(Enum):
    """What a segment is: all traffic, one value of one dimension, a cell of a cross."""

    WHOLE = "whole"
    PART = "part"
    CELL = "cell"


class Blame(msgspec.Struct, frozen=True):
    """The segment that explains a fall best, and how sure that is (0 to 1)."""

    dimension: str
    value: str
    posterior: float


class Page(msgspec.Struct, frozen=True):
    """One message and its end. Times: ms. `began`: as it was told when it went out. `stage`, `following`: the step; "" of an outage.

    `segment`: whose page it is, (all, all) of a whole stage. Counts and `money` (reporting currency, None where nothing is
    known of it) are from `began` to `ended`; of an outage, entries instead of conversions, against those of a week before.
    `messages`: how often it went out: a fall that is over and told again, with a beginning before that end, is one page.
    """

    alert: str
    funnel: str
    stage: str
    following: str
    segment: tuple[str, str]
    began: int
    paged: int
    ended: int
    responsible: Blame | None
    entered: float
    observed: float
    expected: float
    money: float | None = None
    messages: int = 1

    @property
    def missing(self) -> float:
        return self.expected - self.observed


def pages_of(history: History, calendar: Calendar, since: int) -> list[Page]:
    """All that would have gone out from `since` on (ms), oldest first."""
    first = (since - history.start) // MINUTE
    found = [page for step in watched(history.funnel) for page in _Stage(history, step, first).pages()]
    found += _outages(history, calendar, first)
    return sorted(found, key=lambda page: (page.paged, page.stage))


class _Fall(msgspec.Struct, frozen=True):
    """One alert of one segment: the minutes in which it fired, and the one at which it is told to have begun."""

    segment: Segment
    fired: int
    end: int
    began: int


class _Stage:
    """One watched step. Minutes are counted from the history's start; `first`: those before are history only."""

    def __init__(self, history: History, step: Step, first: int) -> None:
        self._history, self._step, self._first = history, step, first
        self._level = history.funnel.levels.index(step.level)
        self._following = history.funnel.levels.index(step.following)
        self._series = {
            segment: series for segment, series in history.stages[self._level].items() if series.expected.any()
        }
        self._steps = {segment: Steps(each.observed, each.expected) for segment, each in self._series.items()}
        self._tolerated = {segment: tolerated(each) for segment, each in self._steps.items()}

    def pages(self) -> Iterator[Page]:
        """Alertmanager sends one message for a stage: alerts that fire together are one."""
        group: list[_Fall] = []
        for fall in sorted(self._falls(), key=lambda fall: (fall.fired, fall.segment != EVERYTHING)):
            if group and fall.began > max(each.end for each in group):
                yield self._page(group)
                group = []
            group.append(fall)
        if group:
            yield self._page(group)

    def _falls(self) -> Iterator[_Fall]:
        if EVERYTHING not in self._series:
            return
        parts = [each for each in self._series if _kind(each) is Kind.PART]
        whole = drops(self._steps[EVERYTHING], whole=True, tolerated=self._tolerated[EVERYTHING])
        limit = threshold(whole.score)
        yield from self._fired(EVERYTHING, whole, limit)
        for segment in parts:
            found = drops(self._steps[segment], whole=False, tolerated=self._tolerated[segment])
            yield from self._fired(segment, found, limit + math.log(1 + len(parts)))

    def _fired(self, segment: Segment, found: Drops, limit: Floats) -> Iterator[_Fall]:
        """The times in which the segment's alert fired; what began to before the first minute is left out."""
        for fired, end in spans(pages(found.live > limit)):
            if fired >= self._first:
                yield _Fall(segment, fired, end, fired + 1 - int(found.window[fired]))

    def _page(self, group: list[_Fall]) -> Page:
        whole = next((fall for fall in group if fall.segment == EVERYTHING), None)
        told, start = whole or group[0], self._history.start
        end = max(fall.end for fall in group)
        over = slice(max(group[0].began, 0), end)
        series = self._series[told.segment]
        entered, observed, expected = (
            float(each[over].sum()) for each in (series.entered, series.observed, series.expected)
        )
        due = usual(observed, expected, entered)
        return Page(
            n.SEGMENT_DROP if whole is None else n.DROP, self._history.funnel.name, self._step.level, self._step.following,
            (told.segment.dimension, told.segment.value), start + group[0].began * MINUTE, start + (group[0].fired + 1) * MINUTE,
            start + end * MINUTE, self._blamed(group[0].fired),
            entered, observed, due, self._money(told, due - observed), messages(group),
        )  # fmt: skip

    def _blamed(self, minute: int) -> Blame | None:
        """Who is responsible, as it was told when it went out."""
        whole, parts, cells = (
            {segment: steps for segment, steps in self._steps.items() if _kind(segment) == kind} for kind in Kind
        )
        tolerated = {segment: float(share[minute]) for segment, share in self._tolerated.items()}
        found = posteriors(whole, parts, cells, minute, tolerated)
        segment = max(found, key=lambda each: found[each], default=None)
        return None if segment is None else Blame(segment.dimension, segment.value, found[segment])

    def _money(self, fall: _Fall, missing: float) -> float | None:
        """What the missing conversions are worth: last week's revenue by entry of the stage that they did not reach."""
        week = slice(max(0, fall.fired - WEEK // MINUTE), fall.fired + 1)
        earned = float(self._history.value[week].sum()) / MONEY_SCALE
        reached = self._history.stages[self._following].get(EVERYTHING)
        entries = 0.0 if reached is None else float(reached.entered[week].sum())
        return missing * earned / entries if earned and entries else None


def _kind(segment: Segment) -> Kind:
    if segment.dimension == ALL:
        return Kind.WHOLE
    return Kind.CELL if CROSS in segment.dimension else Kind.PART


def messages(group: Iterable[_Fall]) -> int:
    """How often Alertmanager begins anew: what fires while something else does goes along with it."""
    count, end = 0, -1
    for fall in group:
        count += fall.fired > end
        end = max(end, fall.end)
    return count


def spans(flags: Flags) -> Iterator[tuple[int, int]]:
    """The first of each run of true ones, and the first after it."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    yield from ((int(first), int(end)) for first, end in edges.reshape(-1, 2))


def _outages(history: History, calendar: Calendar, first: int) -> Iterator[Page]:
    counted = np.concatenate([[0.0], np.cumsum(history.started)])
    ends = np.arange(EARLIER + first, len(history.started)) + 1
    score, widest = np.full(len(ends), -np.inf), np.zeros(len(ends), np.int64)
    for window in OUTAGE_WINDOWS:
        now = _over(counted, ends, window // MINUTE)
        past = np.full(len(ends), np.inf)
        for back in WEEKS_BACK:
            then = ends - back // MINUTE
            known = then - window // MINUTE >= history.known
            share = _share(history, calendar, ends, window, back)
            past = np.where(known, np.minimum(past, _over(counted, then, window // MINUTE) * share), past)
        here = np.where(np.isfinite(past), (LESS - GONE) * past - math.log(LESS / GONE) * now, -np.inf)
        widest = np.where(here > score, window // MINUTE, widest)
        score = np.maximum(score, here)
    for fired, end in spans(pages(score > OUTAGE_THRESHOLD)):
        at, start, week = int(ends[fired]), history.start - EARLIER * MINUTE, WEEK // MINUTE
        began, over = at - int(widest[fired]), int(ends[end - 1])
        observed = float(counted[over] - counted[began])
        usual = float(counted[max(over - week, 0)] - counted[max(began - week, 0)])
        yield Page(
            n.TRAFFIC_OUTAGE, history.funnel.name, "", "", (ALL, ALL), start + began * MINUTE,
            start + at * MINUTE, start + over * MINUTE, None, observed, observed, usual,
        )  # fmt: skip


def _over(counted: Floats, ends: npt.NDArray[np.int64], minutes: int) -> Floats:
    return np.asarray(counted[np.maximum(ends, 0)] - counted[np.maximum(ends - minutes, 0)])


def _share(history: History, calendar: Calendar, ends: npt.NDArray[np.int64], window: int, back: int) -> Floats:
    """As `schemas.rules.traffic.calendar_shares`."""
    moments = history.start - EARLIER * MINUTE + ends * MINUTE
    share = np.ones(len(ends))
    for one in calendar.traffic(history.funnel.name):
        then = moments - (back if one.traffic > 1 else 0)
        touched = (then > one.start) & (then - window < one.end)
        share = np.where(touched, share * (1 / one.traffic if one.traffic > 1 else one.traffic), share)
    return share
