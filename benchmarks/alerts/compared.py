"""What is usual today, on the same traffic and the same falls."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from benchmarks.alerts.figures import Figure, figure
from benchmarks.alerts.judge import crossings, first
from benchmarks.alerts.single import LONGEST_JUDGED
from benchmarks.alerts.traffic import DAY, MONTH, WEEK
from benchmarks.alerts.trials import FALLS, starts
from benchmarks.alerts.usual import bands, ratio_below_half, week_offset
from benchmarks.alerts.world import CALIBRATED, World

DETECTORS = {
    "ratio below half its mean for 5 min": ratio_below_half,
    "z-score by week offset": week_offset,
    "bands": bands,
}
HISTORY = 4 * WEEK + DAY


def compared(world: World, seed: int) -> Iterator[Figure]:
    """False pages in a month, recall within a day of each fall (a page that stood already counts for nobody)."""
    months = (world.minutes - CALIBRATED) / MONTH
    rng = np.random.default_rng(seed)
    for name, fires in DETECTORS.items():
        pages = []
        for row in range(len(world.series)):
            since = slice(CALIBRATED - HISTORY, None)
            firing = fires(world.entered[row, since].astype(float), world.observed[row, since].astype(float))
            pages.append(len(crossings(firing[HISTORY:])) / months)
        yield figure(f"{name}: false pages", pages, "per series and month")
        for event in FALLS:
            delays = []
            for row, start in starts(world, 1, seed):
                if world.series[row].information_time(event.fall) > LONGEST_JUDGED:
                    continue
                part = slice(start - HISTORY, start + DAY)
                observed = world.observed[row, part].astype(float)
                observed[HISTORY:] = rng.binomial(observed[HISTORY:].astype(int), 1 - event.fall)
                firing = fires(world.entered[row, part].astype(float), observed)
                if not firing[HISTORY - 60 : HISTORY].any():
                    delays.append(first(firing, HISTORY) is not None)
            yield figure(f"{name}: recall of a fall of {event.name}", delays, "share")
