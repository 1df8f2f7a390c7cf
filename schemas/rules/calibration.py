"""What is usual at this site: how far its rates swing beyond chance, and how high scores get without a fall.

Once an hour, over up to 28 days (less where Prometheus keeps less; from a week on):

- **noise**: standard deviation of observed / expected over 2 h 30 min beyond what chance explains. Ratio of sums, so that
  busy hours count most; one window counts as at most 30 % off, so that an incident of a day hardly moves it.
- **tolerated**: the share of what is expected that passes for health: 1 − 1.5 × noise, 50 to 90 %.
- **fitted**: the threshold of a stage: 1.3 × the 99 % quantile of the hours' highest scores, 7 to 12.
"""

from __future__ import annotations

from collections.abc import Sequence

from schemas.durations import format_duration
from schemas.funnel import Funnel
from schemas.metrics import FUNNEL, SITE, STAGE
from schemas.rules import names as n
from schemas.rules.definition import watched
from schemas.rules.drop import HEALTHY, THRESHOLD
from schemas.rules.model import DAY, HOUR, MINUTE, Record, Scale
from schemas.rules.promql import lines, select
from schemas.rules.windows import NOT_CROSSED, PRESENCE, STEP, WHOLE

EVERY = HOUR
MEMORY, LEAST = 28 * DAY, 7 * DAY
HELD = 2 * HOUR  # a result stands that long: Prometheus may have been away
NOISE_WINDOW = 150 * MINUTE
FARTHEST = 0.30
SWINGS = 1.5  # standard deviations of noise that pass for health
LEAST_TOLERATED = 0.50
QUANTILE, MARGIN = 0.99, 1.3
LOWEST, HIGHEST = 7, 12


def calibration(site: str, scale: Scale) -> list[Record]:
    """What each hour adds, and what follows from up to 28 days of it."""
    of_window = {SITE: site, n.WINDOW: format_duration(NOISE_WINDOW)}
    observed = select(n.OBSERVED, NOT_CROSSED, **of_window)
    expected = f"({select(n.EXPECTED, NOT_CROSSED, **of_window)} > 0)"
    excess, weight, peak = (select(name, **{SITE: site}) for name in (n.EXCESS, n.WEIGHT, n.PEAK))
    memory, hour = scale.duration(MEMORY - EVERY // 2), scale.duration(HOUR - STEP // 2)  # as in windows: no left edge
    known = f"and on ({n.SEGMENT}) last_over_time({weight}[{scale.duration(HELD)}] offset {scale.duration(LEAST)})"
    best = f"max by ({n.SEGMENT}) (max_over_time({select(n.SCORE, WHOLE, **{SITE: site})}[{hour}]))"
    none = f"0 * max by ({n.SEGMENT}) ({select(n.EXPECTED, WHOLE, **of_window)})"
    return [
        Record(n.WEIGHT, f"max by ({n.SEGMENT}) ({expected} ^ 2)"),
        Record(
            n.EXCESS,
            f"max by ({n.SEGMENT}) ({expected} ^ 2 * "
            f"clamp_max(({observed} / {expected} - 1) ^ 2 - 1 / {expected}, {FARTHEST**2:.2f}))",
        ),
        Record(
            n.NOISE,
            lines(
                f"sqrt(clamp_min(sum_over_time({excess}[{memory}]) / sum_over_time({weight}[{memory}]), 0))",
                known,
            ),
        ),
        Record(n.PEAK, f"{best}\nor {none}"),
        Record(
            n.FITTED,
            lines(
                f"clamp({MARGIN} * quantile_over_time({QUANTILE}, {peak}[{memory}]), {LOWEST}, {HIGHEST})",
                known,
            ),
        ),
    ]


def tolerated(site: str, scale: Scale) -> Record:
    """The share of what is expected that passes for health, by segment; before there is a week, the usual one."""
    noise = f"last_over_time({select(n.NOISE, **{SITE: site})}[{scale.duration(HELD)}])"
    every = select(n.EXPECTED, NOT_CROSSED, **{SITE: site, n.WINDOW: PRESENCE.label})
    return Record(
        n.TOLERATED,
        lines(
            f"clamp(1 - {SWINGS} * {noise}, {LEAST_TOLERATED}, {HEALTHY})",
            f"or on ({n.SEGMENT}) {HEALTHY} + 0 * max by ({n.SEGMENT}) ({every})",
        ),
    )


def thresholds(site: str, funnels: Sequence[Funnel], scale: Scale) -> list[Record]:
    """The threshold of each watched step; before there is a week, the usual one."""
    records = []
    for funnel in funnels:
        for step in watched(funnel):
            of_step = select(n.FITTED, **{SITE: site, FUNNEL: funnel.name, STAGE: step.level})
            fitted = f"max(last_over_time({of_step}[{scale.duration(HELD)}])) or vector({THRESHOLD:g})"
            records.append(Record(n.THRESHOLD, fitted, step.labels(site)))
    return records
