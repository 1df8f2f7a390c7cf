"""Single series: false pages, delay, recall, resolution and the moment that is named, for the shipped rules."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec
import numpy as np

from benchmarks.alerts.figures import Figure, figure, median
from benchmarks.alerts.judge import crossings, first
from benchmarks.alerts.learning import MEMORY
from benchmarks.alerts.traffic import HOUR, MONTH, Floats
from benchmarks.alerts.trials import AFTER, FALLS, LEAD, OTHERS, Event, Trial, starts, trials
from benchmarks.alerts.world import CALIBRATED, World
from schemas.rules.drop import THRESHOLD
from streams.backtest.calibration import threshold, tolerated
from streams.backtest.drops import Drops, Flags, Steps, drops, pages

LONGEST_JUDGED = 12 * HOUR  # information time of the series that count
HEALTHY_PAGES = 6 * HOUR  # a page within so long of an event that is no fall is its fault


class Calibrated(msgspec.Struct, frozen=True):
    """What the rules have learned of one row, by minute from MEMORY on; pages it had, as it ships and as it learned."""

    tolerated: Floats
    threshold: Floats
    untaught: int
    taught: int


def calibrated(world: World) -> list[Calibrated]:
    """Each row under the shipped rules."""
    return [_calibrated(world, row) for row in range(len(world.series))]


def _calibrated(world: World, row: int) -> Calibrated:
    steps = Steps(world.observed[row, MEMORY:].astype(float), world.expected[row, MEMORY:])
    since = CALIBRATED - MEMORY
    passes = tolerated(steps)
    learned = drops(steps, whole=True, tolerated=passes)
    limit = threshold(learned.score)
    plain = drops(steps, whole=True, since=since - LEAD)
    return Calibrated(
        passes,
        limit,
        len(crossings(pages(plain.live > THRESHOLD)[LEAD:])),
        len(crossings(pages(learned.live > limit)[since:])),
    )


def false_pages(world: World, learned: list[Calibrated], noise: float) -> list[Figure]:
    """Pages per series and month of healthy traffic."""
    months = (world.minutes - CALIBRATED) / MONTH
    of_noise = f"at {noise:.0%} noise"
    bars = (1.0, 1.0) if noise < 0.1 else (None, 1.5)
    each = ([one.untaught / months for one in learned], [one.taught / months for one in learned])
    return [
        figure(f"false pages, {kind}, {of_noise}", values, "per series and month", bar=bar)
        for kind, values, bar in zip(("first month's defaults", "calibrated"), each, bars, strict=True)
    ]


class Seen(msgspec.Struct, frozen=True):
    """One fall. Minutes until its page (inf: none within a day), the same in information times (by entries that came, and by mean
    traffic), minutes from its end to the page's (nan: it did not page then), and whether the moment named was right."""

    delay: float
    times: float
    mean_times: float
    resolved: float
    since_right: bool


def falls(world: World, learned: list[Calibrated], each: int, seed: int) -> Iterator[tuple[Event, list[Seen]]]:
    """Every fall in every row, `each` times, of series that can be told within LONGEST_JUDGED."""
    for number, event in enumerate(FALLS):
        where = [
            (row, start)
            for row, start in starts(world, each, seed)
            if world.series[row].information_time(event.fall) <= LONGEST_JUDGED
        ]
        found = (_seen(world, event, trial, learned[trial.row]) for trial in trials(world, event, where, seed + number))
        yield event, [seen for seen in found if seen is not None]


def _seen(world: World, event: Event, trial: Trial, learned: Calibrated) -> Seen | None:
    """None: a page stood already when it began."""
    firing, found, begins = _firing(trial, learned)
    if firing[:begins].any():
        return None
    series = world.series[trial.row]
    end = begins + event.minutes
    delay = first(firing[:end], begins)
    if delay is None:
        return Seen(np.inf, np.inf, np.inf, np.nan, since_right=False)
    needed = series.information_time(event.fall)
    came = float(world.traffic[trial.row, trial.start : trial.start + delay].sum()) / (series.hourly / HOUR)
    quiet = np.flatnonzero(~firing[end:])
    stood = bool(firing[end - 1])
    resolved = float(quiet[0]) if stood and len(quiet) else float(AFTER) if stood else np.nan
    named = int(found.window[begins + delay - 1])
    right = abs(named - delay) <= max(5, 0.25 * delay)
    return Seen(delay, came / needed, delay / needed, resolved, since_right=right)


def _firing(trial: Trial, learned: Calibrated) -> tuple[Flags, Drops, int]:
    """From an hour before the event on, by what had been learned when it began."""
    at = trial.start - MEMORY
    found = drops(trial.steps, whole=True, tolerated=float(learned.tolerated[at]), since=LEAD)
    return pages(found.live > learned.threshold[at]), found, trial.begins - LEAD


def fall_figures(seen: Iterable[tuple[Event, list[Seen]]]) -> list[Figure]:
    """Delay, recall, end and beginning."""
    result, every = [], []
    for event, each in seen:
        name, least = f"fall of {event.name}", 2.0 if event.fall < 0.5 else 1.5
        result += [
            figure(f"{name}: recall within 24 h", [one.delay < np.inf for one in each], "share", bar=0.97, at_least=True),
            figure(f"{name}: median delay", [one.delay for one in each], "minutes", of=median),
            figure(f"{name}: median delay / T*", [one.times for one in each], "T*", of=median, bar=least),
            figure(f"{name}: median delay / T* of mean traffic", [one.mean_times for one in each], "T*", of=median),
        ]  # fmt: skip
        every += each
    ended = [one.resolved for one in every if not np.isnan(one.resolved)]
    named = [one.since_right for one in every if one.delay < np.inf]
    return [
        *result,
        figure("resolution, median", ended, "minutes after the end", of=median),
        figure("since within max(5 min, 25 %) at the page", named, "share"),
    ]


def no_falls(world: World, learned: list[Calibrated], each: int, seed: int) -> list[Figure]:
    """Ramps, outages of the entries, stalls: what share of them pages."""
    result = []
    for number, event in enumerate(OTHERS):
        where = starts(world, each, seed)
        paged = []
        for trial in trials(world, event, where, seed + 100 + number):
            firing, _, begins = _firing(trial, learned[trial.row])
            if not firing[:begins].any():
                paged.append(bool(firing[begins : begins + HEALTHY_PAGES].any()))
        result.append(figure(f"{event.name}: false pages", paged, "share", bar=0.03))
    return result
