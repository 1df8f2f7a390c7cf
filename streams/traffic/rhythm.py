"""When visitors arrive: a day rhythm (seven times as many in the evening as at night) and a weekly one."""

from __future__ import annotations

from math import log
from random import Random

HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS

#: `HOURS`: relative traffic at the full hours 0 to 23, local time; between them it changes evenly.
_MORNING = (0.55, 0.35, 0.26, 0.23, 0.24, 0.32, 0.5, 0.75, 0.98, 1.1, 1.16, 1.2)
_EVENING = (1.28, 1.24, 1.18, 1.18, 1.22, 1.3, 1.42, 1.56, 1.63, 1.5, 1.15, 0.82)
HOURS = _MORNING + _EVENING
#: Relative traffic of Monday to Sunday.
WEEKDAYS = (1.02, 0.98, 0.96, 0.97, 0.93, 1.0, 1.14)

_HOURS_MEAN = sum(HOURS) / len(HOURS)
_WEEKDAYS_MEAN = sum(WEEKDAYS) / len(WEEKDAYS)
_HIGHEST = max(HOURS) / _HOURS_MEAN * max(WEEKDAYS) / _WEEKDAYS_MEAN


def intensity(ms: int, utc_offset_ms: int = 0) -> float:
    """Traffic at `ms` (ms since 1970 UTC) as a multiple of the mean over a week, in the shop's local time."""
    local = ms + utc_offset_ms
    weekday = (local // DAY_MS + 3) % 7  # 1970-01-01 was a Thursday
    hour, into = divmod(local % DAY_MS, HOUR_MS)
    before, after = HOURS[hour], HOURS[(hour + 1) % 24]
    of_day = (before + (after - before) * into / HOUR_MS) / _HOURS_MEAN
    return of_day * WEEKDAYS[weekday] / _WEEKDAYS_MEAN


def next_arrival(after_ms: int, visitors_per_day: float, utc_offset_ms: int, rng: Random) -> int:
    """The time of the next arrival after `after_ms` of a Poisson process that follows `intensity`.

    Drawn by thinning: arrivals at the highest rate of the week, each kept with the probability that its moment has.
    """
    per_ms = visitors_per_day / DAY_MS * _HIGHEST
    at = float(after_ms)
    while True:
        at -= log(1.0 - rng.random()) / per_ms
        if rng.random() * _HIGHEST < intensity(int(at), utc_offset_ms):
            return int(at)
