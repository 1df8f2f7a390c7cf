"""What happens to a world: falls of the rate, ramps, outages of the entries, stalls of both feeds. One trial each."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import numpy as np

from benchmarks.alerts.cohorts import cohorts
from benchmarks.alerts.learning import QUARTER, by_age, expected
from benchmarks.alerts.traffic import DAY, HOUR, Counts, Floats
from benchmarks.alerts.world import CALIBRATED, World
from streams.backtest.drops import Steps

LEAD = 4 * DAY  # history that the longest window sees
WARM = 2 * HOUR  # simulated before an event begins; who came before that has converted or never will
AFTER = 4 * HOUR


class Event(msgspec.Struct, frozen=True):
    """Something that lasts `minutes`. `fall`: the share of conversions that is gone; `entries`: factor of the traffic (reached within
    `rise` minutes); `stalled`: nothing comes in, and all of it afterwards."""

    name: str
    minutes: int
    fall: float = 0.0
    entries: float = 1.0
    rise: int = 0
    stalled: bool = False


FALLS = tuple(Event(f"{fall:.0%}", DAY, fall) for fall in (0.3, 0.6, 1.0))
OTHERS = (
    Event("ramp", 2 * HOUR, entries=8, rise=10),
    Event("outage", 2 * HOUR, entries=0),
    Event("stall", 20, stalled=True),
)


class Trial(msgspec.Struct, frozen=True):
    """An event in one row of a world. The event begins at minute `begins` of all arrays, which is minute `start` of the world."""

    row: int
    start: int
    begins: int
    entered: Floats
    steps: Steps


def starts(world: World, each: int, seed: int) -> list[tuple[int, int]]:
    """Row and minute of `each` trials per row, at any time of the week."""
    rng = np.random.default_rng(seed)
    last = world.minutes - DAY - AFTER
    return [
        (row, int(minute) // QUARTER * QUARTER)
        for row in range(len(world.series))
        for minute in rng.integers(CALIBRATED + QUARTER, last, each)
    ]


def trials(world: World, event: Event, where: list[tuple[int, int]], seed: int) -> Iterator[Trial]:
    """The event at each of these rows and minutes."""
    rng = np.random.default_rng(seed)
    rows, moments = (np.array(each) for each in zip(*where, strict=True))
    columns = moments[:, None] + np.arange(-WARM, event.minutes + AFTER)
    entered, observed = (each[rows[:, None], columns] for each in (world.entered, world.observed))
    if event.entries != 1:
        factor = _factors(event, columns.shape[1])
        traffic, share = (each[rows[:, None], columns] for each in (world.traffic, world.share))
        drawn = cohorts(list(traffic * factor), list(share), rng)
        entered, observed = drawn.entered, drawn.observed
    if event.fall:
        during = slice(WARM, WARM + event.minutes)
        observed[:, during] = rng.binomial(observed[:, during], 1 - event.fall)
    counted = expected(
        entered, observed, world.mass[rows], lambda minute: by_age(world.rates, rows, moments - WARM + minute)
    )
    for number, (row, start) in enumerate(where):
        counters = (entered[number], observed[number], counted[number])
        yield _spliced(world, event, row, start, counters)


def _factors(event: Event, minutes: int) -> Floats:
    """Of the traffic: rises to event.entries and back at its end."""
    minute = np.arange(minutes) - WARM
    rise = np.clip((minute + 1) / max(event.rise, 1), 0, 1) * (minute >= 0)
    fall = np.clip((minute - event.minutes + 1) / max(event.rise, 1), 0, 1) * (minute >= event.minutes)
    return 1 + (event.entries - 1) * (rise - fall)


def _spliced(world: World, event: Event, row: int, start: int, counters: tuple[Counts, Counts, Floats]) -> Trial:
    """The event's counters behind the world's own of the days before."""
    before = slice(start - HOUR - LEAD, start - HOUR)
    histories = (world.entered[row], world.observed[row], world.expected[row])
    entered, observed, expectation = (
        np.concatenate([history[before], each[WARM - HOUR :]]).astype(float)
        for history, each in zip(histories, counters, strict=True)
    )
    begins = LEAD + HOUR
    if event.stalled:
        for each in (entered, observed, expectation):
            held = each[begins : begins + event.minutes].sum()
            each[begins : begins + event.minutes] = 0
            each[begins + event.minutes] += held
    return Trial(row, start, begins, entered, Steps(observed, expectation))
