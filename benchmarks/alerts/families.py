"""Figures of stages with segments."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.alerts.figures import Figure, figure
from benchmarks.alerts.judge import crossings
from benchmarks.alerts.stages import (
    CELLS,
    CHANNELS,
    DEVICES,
    WHOLE,
    Outcome,
    Segment,
    Stage,
    fallen,
    family_pages,
    mixed,
    stage,
)
from benchmarks.alerts.traffic import DAY, HOUR, MONTH

SHARE = 0.1
FALLS = (0.6, 1.0)
#: Channels and devices that falls hit: the larger ones, else most trials would page nobody.
HIT_CHANNELS, HIT_DEVICES = 5, 3
MIX_FACTOR, MIX_LASTS = 4.0, 6 * HOUR
KINDS = ("channel or device", "cell", "all traffic")
BARS = {"channel or device": 0.88, "cell": 0.80, "all traffic": 0.95}
SURE = 0.9


def family_figures(hourly: Sequence[int], days: int, trials: int, noise: float, seed: int) -> Iterator[Figure]:
    """Of one stage for each of `hourly` entries an hour."""
    pages: list[float] = []
    mixes: list[Outcome] = []
    blamed: dict[str, list[Outcome]] = {kind: [] for kind in KINDS}
    for number, each in enumerate(hourly):
        made = stage(each, SHARE, days * DAY, noise, seed + number)
        pages.append(len(crossings(family_pages(made))) / (days * DAY / MONTH))
        for kind, segments in _hit(trials, seed + number).items():
            for fall in FALLS:
                blamed[kind] += fallen(made, segments, fall, seed + number)
        mixes += _mixed(made, trials, seed + number)
    yield figure(
        f"false pages of a stage with {CHANNELS + DEVICES} segments, all together, at {noise:.0%} noise",
        pages, "per family and month", bar=1.0,
    )  # fmt: skip
    yield figure("mix shift: false pages", [one.paged for one in mixes], "share", bar=0.03)
    yield from _responsible(blamed)


def _hit(trials: int, seed: int) -> dict[str, list[Segment]]:
    rng = np.random.default_rng(seed)
    singles: list[Segment] = [(int(x), None) for x in rng.integers(0, HIT_CHANNELS, trials // 2)]
    singles += [(None, int(y)) for y in rng.integers(0, HIT_DEVICES, trials - trials // 2)]
    cells = [CELLS[int(x) * DEVICES + int(y)] for x, y in rng.integers(0, (HIT_CHANNELS, HIT_DEVICES - 1), (trials, 2))]
    return {"channel or device": singles, "cell": cells, "all traffic": [WHOLE] * trials}


def _mixed(made: Stage, trials: int, seed: int) -> list[Outcome]:
    channels = np.random.default_rng(seed).integers(0, CHANNELS // 2, trials)
    return list(mixed(made, [int(x) for x in channels], MIX_FACTOR, MIX_LASTS, seed))


def _responsible(blamed: dict[str, list[Outcome]]) -> Iterator[Figure]:
    sure: list[bool] = []
    for kind, outcomes in blamed.items():
        paged = [one for one in outcomes if one.paged]
        yield figure(f"page within 24 h of a fall of 60 or 100 % in {kind}", [one.paged for one in outcomes], "share")
        right = [one.named == one.hit for one in paged]
        yield figure(f"responsible, {kind}: top 1 at the page", right, "share", bar=BARS[kind], at_least=True)
        sure += [one.named == one.hit for one in paged if one.posterior >= SURE]
    yield figure("responsible: right where posterior ≥ 0.9", sure, "share", bar=0.9, at_least=True)
