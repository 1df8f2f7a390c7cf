"""The windows of the drop rules: 2 minutes to 4 days, and the sums of steps over each.

A fall is seen best in the window that began with it, so the ratio of neighbours bounds both the delay and the error of
"since": at most 1.25 from 20 minutes up to 6 hours, 1.34 beyond. Without those below 10 minutes a busy stage would wait until
its healthy minutes have left the window. One day as the longest would miss slow series.
"""

from __future__ import annotations

import msgspec

from schemas.durations import format_duration
from schemas.metrics import (
    ALL,
    CROSS,
    DIMENSION,
    SITE,
    STAGE_CONVERSIONS,
    STAGE_ENTERED,
    STAGE_EXPECTED_CONVERSIONS,
)
from schemas.rules import names as n
from schemas.rules.model import DAY, MINUTE, SECOND, Record, Scale
from schemas.rules.promql import net_step, select

STEP = MINUTE
#: A step ends so long before it is looked at. A scrape's samples carry the time at which it began, and are there when it has ended: a
#: step up to now misses them, the next one takes them for its own past, and where both take their turns in step that goes on for ever
#: (Prometheus' threads 11677 and 12275; its own query_offset is younger than the versions that these rules are for).
SETTLED = 15 * SECOND
SLOW_STEP = 4 * MINUTE  # between evaluations of the long windows; below Prometheus' lookback of 5 minutes

_MINUTES = (
    2, 3, 5, 7, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100, 120, 150, 180, 240, 300, 360,
    480, 600, 720, 960, 1200, 1440, 1920, 2400, 2880, 3840, 4800, 5760,
)  # fmt: skip
#: Those of single segments, of which there may be hundreds. From 3 minutes on: who is responsible is told when a busy stage pages.
_COARSE = frozenset({3, 5, 10, 20, 40, 80, 150, 300, 600, 1200, 2400, 4800})
_LONGEST_SHORT = 360


class Window(msgspec.Struct, frozen=True):
    """`length` in ms; its `label` names it, and is not scaled. `coarse`: segments are summed over it as well."""

    length: int
    coarse: bool

    @property
    def label(self) -> str:
        return format_duration(self.length)

    @property
    def slow(self) -> bool:
        return self.length > _LONGEST_SHORT * MINUTE


WINDOWS = tuple(Window(minutes * MINUTE, minutes in _COARSE) for minutes in _MINUTES)
COARSE = tuple(window for window in WINDOWS if window.coarse)
#: A segment that was there within this window is there: it outlasts gaps in the scrapes.
PRESENCE = max((window for window in COARSE if not window.slow), key=lambda window: window.length)
DAILY = next(window for window in WINDOWS if window.length == DAY)
#: Matchers: all traffic; single dimensions and all traffic; crosses.
WHOLE = f'{DIMENSION}="{ALL}"'
PARTS = f'{DIMENSION}!="{ALL}",{DIMENSION}!~".*{CROSS}.*"'
NOT_CROSSED = f'{DIMENSION}!~".*{CROSS}.*"'
CROSSED = f'{DIMENSION}=~".*{CROSS}.*"'
COARSE_ONLY = f'{n.WINDOW}=~"{"|".join(window.label for window in COARSE)}"'

#: Score from which on a stage is looked into: half of the least threshold.
SUSPECT = 3.5

_STEPS = ((n.EXPECTED_STEP, n.EXPECTED), (n.OBSERVED_STEP, n.OBSERVED), (n.ENTERED_STEP, n.ENTERED))
_CELL_STEPS = ((n.EXPECTED_STEP, n.CELL_EXPECTED), (n.OBSERVED_STEP, n.CELL_OBSERVED))


def steps(site: str, scale: Scale) -> list[Record]:
    """What each minute added, by segment."""
    counters = (
        (n.EXPECTED_STEP, STAGE_EXPECTED_CONVERSIONS), (n.OBSERVED_STEP, STAGE_CONVERSIONS),
        (n.ENTERED_STEP, STAGE_ENTERED),
    )  # fmt: skip
    until = scale.milliseconds(SETTLED)
    since = until + scale.milliseconds(STEP)
    ago = format_duration(since), format_duration(until)
    return [Record(name, net_step(metric, n.SEGMENT, *ago, {SITE: site})) for name, metric in counters]


def sums(site: str, scale: Scale, *, slow: bool) -> list[Record]:
    """The steps of each short (or long) window, of all traffic and, for coarse windows, of single dimensions."""
    return [
        _sum(name, step, site, window, scale, NOT_CROSSED if window.coarse else WHOLE)
        for window in WINDOWS
        if window.slow is slow
        for step, name in _STEPS
    ]


def crossed_sums(site: str, scale: Scale, *, slow: bool) -> list[Record]:
    """The same for crosses, in stages where something moves: there may be a hundred cells each."""
    return [
        Record(
            name,
            f"{_over(step, site, window, scale, CROSSED)}\nand on ({n.STAGES}) "
            f"({select(n.SCORE, NOT_CROSSED, **{SITE: site})} > {SUSPECT})",
            {n.WINDOW: window.label},
        )
        for window in COARSE
        if window.slow is slow
        for step, name in _CELL_STEPS
    ]


def lengths(site: str, scale: Scale) -> list[Record]:
    """The length of each window in seconds, to be joined by its label."""
    return [
        Record(n.WINDOW_SECONDS, f"vector({scale.seconds(window.length)})", {SITE: site, n.WINDOW: window.label})
        for window in WINDOWS
    ]


def _sum(name: str, step: str, site: str, window: Window, scale: Scale, matcher: str) -> Record:
    summed = _over(step, site, window, scale, matcher)
    if name == n.OBSERVED:  # nothing counted yet is nothing observed, not nothing known
        expected = select(n.EXPECTED, matcher, **{SITE: site, n.WINDOW: window.label})
        summed += f"\nor on ({n.SEGMENT}) 0 * {expected}"
    return Record(name, summed, {n.WINDOW: window.label})


def _over(step: str, site: str, window: Window, scale: Scale, matcher: str) -> str:
    """Half a step less than the window: the same points whether a range includes its left edge (Prometheus 2) or not."""
    return f"sum_over_time({select(step, matcher, **{SITE: site})}[{scale.duration(window.length - STEP // 2)}])"
