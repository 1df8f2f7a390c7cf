"""The drop rules of `schemas.rules` over a whole history of one segment at once: what Prometheus would have recorded.

Constants and windows are the rules' own; tests/alerts/test_backtest.py holds the results against the real Prometheus. All
arrays have one entry for each minute. Needs numpy (an optional extra).
"""

from __future__ import annotations

from collections.abc import Collection

import msgspec
import numpy as np
import numpy.typing as npt

from schemas.rules.drop import DEEPEST, HEALTHY, ODDS_OF_RECOVERY, SHALLOWEST, SLOPES, WELL_AGAIN
from schemas.rules.drop_alerts import KEEP, WAIT
from schemas.rules.windows import COARSE, SLOW_STEP, STEP, SUSPECT, WINDOWS

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Minutes = npt.NDArray[np.int64]

NONE = 0  # window of a minute in which no fall is live


class Steps(msgspec.Struct, frozen=True):
    """What each minute added to a segment's counters (retractions taken off); NaN where no sample came."""

    observed: Floats
    expected: Floats


class Drops(msgspec.Struct, frozen=True):
    """By minute: `score` the highest log-likelihood ratio of any window (0 where none is positive); `live` the highest that
    no recovery has ended (0 where there is none), and `window` the minutes of its window (NONE where there is none)."""

    score: Floats
    live: Floats
    window: Minutes


def steps_of(observed: Floats, expected: Floats) -> Steps:
    """Steps of two counters sampled each minute (NaN: not scraped). A counter that begins anew adds nothing that minute."""
    return Steps(_step(observed), _step(expected))


def drops(
    steps: Steps, *, whole: bool, tolerated: Floats | float = HEALTHY, slow: int = SLOW_STEP, since: int = 0
) -> Drops:
    """The drop rules' scores. `whole`: all traffic, in all windows; else one segment, in the coarse ones.

    `tolerated`: the share of what is expected that passes for health, for each minute of the result or for all.
    `slow`: ms between evaluations of the long windows (they hold in between). Minutes before `since` are history only, and
    not in the result.
    """
    lengths = _lengths(whole=whole)
    sums = _Sums(steps, tolerated, _held(), slow // STEP, since)
    score, widest = sums.best(lengths)
    suspect = np.flatnonzero(score > SUSPECT)
    live, window = np.zeros_like(score), np.zeros(len(score), np.int64)
    if len(suspect):
        live[suspect], window[suspect] = sums.standing(lengths, suspect, widest[suspect])
    return Drops(score, live, window)


def coarse_window(
    steps: Steps, at: int, *, whole: bool, tolerated: float = HEALTHY, slow: int = SLOW_STEP
) -> tuple[float, int]:
    """The score and the coarse window (minutes) that show the fall at minute `at` best; 0 and NONE if none stands there."""
    lengths, coarse = _lengths(whole=whole), _lengths(whole=False)
    sums = _Sums(steps, tolerated, _held(), slow // STEP, 0)
    score, widest = sums.best(lengths, slice(at, at + 1))
    if score[0] <= SUSPECT:
        return 0.0, NONE
    standing, window = sums.standing(lengths, np.array([at]), widest, coarse)
    return float(standing[0]), int(window[0])


def sums_over(steps: Steps, length: int, at: int, slow: int = SLOW_STEP) -> tuple[float, float]:
    """Observed and expected over the window of `length` minutes, as the rules have them at minute `at`."""
    observed, expected = _Sums(steps, HEALTHY, _held(), slow // STEP, 0).over(length, slice(at, at + 1))
    return float(observed[0]), float(expected[0])


def pages(above: Flags) -> Flags:
    """The minutes in which an alert fires whose condition holds in the minutes `above`: after `for`, until
    `keep_firing_for` is over."""
    wait, keep = WAIT // STEP, KEEP // STEP
    moments = np.arange(len(above))
    ready = above.copy()
    for back in range(1, wait + 1):
        ready &= np.concatenate([np.zeros(min(back, len(above)), bool), above[: len(above) - back]])
    dead = moments - _latest(above, moments) > keep
    return np.asarray(_latest(ready, moments) > _latest(dead, moments))


def _latest(where: Flags, moments: Minutes) -> Minutes:
    """For each minute the latest one up to it that is in `where`; -1 where there was none."""
    return np.maximum.accumulate(np.where(where, moments, -1))


def _step(counter: Floats) -> Floats:
    step = np.diff(counter, prepend=np.nan)
    return np.where(step >= 0, step, np.nan)


class _Sums:
    """Sums of steps over windows that end with each minute, as the rules have them at that minute."""

    def __init__(self, steps: Steps, tolerated: Floats | float, held: set[int], slow: int, since: int) -> None:
        self._observed, self._expected = (summed(each) for each in (steps.observed, steps.expected))
        self._ends = np.arange(since + 1, len(steps.observed) + 1)
        self._tolerated = np.broadcast_to(np.asarray(tolerated, float), self._ends.shape)
        self._slow_ends = self._ends - (self._ends - 1) % slow
        self._held = held

    def over(self, length: int, at: Minutes | slice = slice(None)) -> tuple[Floats, Floats]:
        """Observed and expected over `length` minutes, for the minutes `at` (indices of the result)."""
        ends = (self._slow_ends if length in self._held else self._ends)[at]
        starts = np.maximum(ends - length, 0)
        observed = np.maximum(self._observed[ends] - self._observed[starts], 0)
        return observed, self._expected[ends] - self._expected[starts]

    def best(self, lengths: list[int], at: slice = slice(None)) -> tuple[Floats, Minutes]:
        """The highest score of any window at the minutes `at`, and the window (minutes)."""
        tolerated = self._tolerated[at]
        score, window = np.zeros(len(tolerated)), np.full(len(tolerated), NONE)
        for length in lengths:
            observed, expected = self.over(length, at)
            here = _ratio(observed, expected * tolerated)
            better = here > score
            score[better], window[better] = here[better], length
        return score, window

    def standing(
        self, lengths: list[int], at: Minutes, widest: Minutes, among: Collection[int] | None = None
    ) -> tuple[Floats, Minutes]:
        """The highest score that stands at the minutes `at`, whose best windows are `widest`, and its window. `among`: of these
        windows only."""
        depth = np.empty(len(at))
        for length in lengths:
            mine = widest == length
            observed, expected = self.over(length, at[mine])
            depth[mine] = np.clip(observed / expected, DEEPEST, SHALLOWEST)
        score, window = np.zeros(len(at)), np.full(len(at), NONE)
        well = np.zeros(len(at), bool)
        for length in lengths:
            observed, expected = self.over(length, at)
            recovery = observed * np.log(WELL_AGAIN / depth) - expected * (WELL_AGAIN - depth)
            well |= (recovery > ODDS_OF_RECOVERY) & (expected > 0)
            here = np.where(well, 0.0, _ratio(observed, expected * self._tolerated[at]))
            if among is not None and length not in among:
                continue
            better = (here > SUSPECT) & (here > score)
            score[better], window[better] = here[better], length
        return score, window


def _lengths(*, whole: bool) -> list[int]:
    return [window.length // STEP for window in (WINDOWS if whole else COARSE)]


def _held() -> set[int]:
    return {window.length // STEP for window in WINDOWS if window.slow}


def summed(step: Floats) -> Floats:
    return np.concatenate([[0.0], np.cumsum(np.nan_to_num(step))])


def _ratio(observed: Floats, expected: Floats) -> Floats:
    """The higher log-likelihood ratio of the slopes."""
    each = [slope.of_expected * expected - slope.of_observed * observed for slope in SLOPES]
    return np.asarray(np.maximum.reduce(each))
