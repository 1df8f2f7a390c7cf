"""What counts as a page, as false, as late: the same for every detector."""

from __future__ import annotations

import numpy as np

from benchmarks.alerts.traffic import HOUR, Counts
from streams.backtest.drops import Flags

REARM = HOUR  # quiet minutes after which the next up-crossing is another page


def crossings(firing: Flags) -> Counts:
    """The minutes in which a page begins, after at least REARM quiet minutes."""
    begins = np.flatnonzero(firing & ~np.concatenate([[False], firing[:-1]]))
    ends = np.flatnonzero(firing & ~np.concatenate([firing[1:], [False]]))
    if not len(begins):
        return begins
    quiet = begins[1:] - ends[:-1] - 1
    return np.concatenate([begins[:1], begins[1:][quiet >= REARM]])


def first(firing: Flags, start: int) -> int | None:
    """Minutes from `start` until the alert fires, the minute's end included; None if it never does."""
    found = np.flatnonzero(firing[start:])
    return int(found[0]) + 1 if len(found) else None
