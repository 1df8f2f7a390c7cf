"""Stages with segments: false pages of a family, who is responsible for a fall, and changes of the mix."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import msgspec
import numpy as np

from benchmarks.alerts.cohorts import cohorts
from benchmarks.alerts.learning import MEMORY, QUARTER, Rates, by_age, counted, expected, masses, segment_rates
from benchmarks.alerts.traffic import DAY, HOUR, Counts, Floats, Narrow, Series, entries, shares
from benchmarks.alerts.trials import AFTER, LEAD, WARM
from benchmarks.alerts.world import CALIBRATED
from streams.backtest.calibration import threshold, tolerated
from streams.backtest.drops import Flags, Steps, drops, pages
from streams.backtest.responsible import posteriors

CHANNELS, DEVICES = 12, 4  # 16 segments, 48 cells
#: A segment: channel and device, either of which may be any (None).
Segment = tuple[int | None, int | None]
WHOLE: Segment = (None, None)
CELLS: tuple[Segment, ...] = tuple(product(range(CHANNELS), range(DEVICES)))
PARTS: tuple[Segment, ...] = (*((x, None) for x in range(CHANNELS)), *((None, x) for x in range(DEVICES)))
DEVICE_WEIGHTS, DEVICE_SHARES = (0.5, 0.3, 0.15, 0.05), (1.0, 0.7, 1.2, 0.5)


class Stage(msgspec.Struct, frozen=True):
    """A simulated stage; rows are cells, columns minutes. `limit`, `passes`: threshold of the stage and tolerated shares by minute
    from MEMORY on, of all traffic and of single values."""

    hourly: float
    traffic: Narrow
    share: Narrow
    entered: Counts
    observed: Counts
    expected: Floats
    rates: Rates
    mass: Floats
    limit: Floats
    passes: dict[Segment, Floats]


def members(segment: Segment) -> list[int]:
    """The rows of its cells."""
    return [
        row
        for row, cell in enumerate(CELLS)
        if all(mine in (None, one) for mine, one in zip(segment, cell, strict=True))
    ]


def stage(hourly: float, mean_share: float, judged: int, noise: float, seed: int) -> Stage:
    """Channels from large to small, by 1 / rank; their rates differ up to threefold."""
    rng = np.random.default_rng(seed)
    minutes = CALIBRATED + judged
    channels = 1 / np.arange(1, CHANNELS + 1)
    channel_shares = np.exp(rng.uniform(-0.55, 0.55, CHANNELS))
    kinds = [
        Series(hourly * channels[x] / channels.sum() * DEVICE_WEIGHTS[y], mean_share * channel_shares[x] * DEVICE_SHARES[y])
        for x, y in product(range(CHANNELS), range(DEVICES))
    ]  # fmt: skip
    traffic = np.array([entries(kind, minutes) for kind in kinds], np.float32)
    share = np.array([shares(kind, minutes, noise, rng) for kind in kinds], np.float32)
    visitors = cohorts(list(traffic), list(share), rng)
    whole = counted(*(each.sum(axis=0, keepdims=True) for each in (visitors.entered, visitors.converting)))
    values = [
        counted(
            *(
                np.array([each[members(one)].sum(axis=0) for one in ones])
                for each in (visitors.entered, visitors.converting)
            )
        )
        for ones in ([(x, None) for x, _ in CELLS], [(None, y) for _, y in CELLS])
    ]
    rates = segment_rates(counted(visitors.entered, visitors.converting), whole, values)
    mass = np.repeat(masses(visitors.delays.sum(axis=0, keepdims=True)), len(kinds), axis=0)
    rows = np.arange(len(kinds))
    expectation = np.zeros(visitors.entered.shape)
    expectation[:, MEMORY:] = expected(
        visitors.entered[:, MEMORY:],
        visitors.observed[:, MEMORY:],
        mass,
        lambda minute: by_age(rates, rows, np.full(len(rows), max(minute, MEMORY + HOUR))),
        MEMORY,
    )
    made = Stage(hourly, traffic, share, visitors.entered, visitors.observed, expectation, rates, mass, np.zeros(0), {})
    passes = {segment: tolerated(_history(made, segment)) for segment in (WHOLE, *PARTS)}
    score = drops(_history(made, WHOLE), whole=True, tolerated=passes[WHOLE]).score
    return msgspec.structs.replace(made, passes=passes, limit=threshold(score))


def _history(made: Stage, segment: Segment) -> Steps:
    """From MEMORY on."""
    rows = members(segment)
    return Steps(made.observed[rows, MEMORY:].sum(axis=0).astype(float), made.expected[rows, MEMORY:].sum(axis=0))


def family_pages(made: Stage) -> Flags:
    """The minutes from CALIBRATED on in which anything of the stage pages: all traffic, or any of its segments."""
    since = CALIBRATED - MEMORY
    above = [
        pages(
            drops(_history(made, segment), whole=segment == WHOLE, tolerated=made.passes[segment]).live
            > made.limit + extra(segment)
        )
        for segment in (WHOLE, *PARTS)
    ]
    return np.asarray(np.logical_or.reduce(above)[since:])


def extra(segment: Segment) -> float:
    """What a segment's threshold is higher by."""
    return 0.0 if segment == WHOLE else float(np.log(1 + len(PARTS)))


class Outcome(msgspec.Struct, frozen=True):
    """Of one trial in segment `hit`: whether anything paged while it lasted, and then the likeliest segment and its probability."""

    hit: Segment
    paged: bool
    named: Segment | None
    posterior: float


def moments(made: Stage, number: int, rng: np.random.Generator) -> Counts:
    """When trials begin: whole quarters of an hour, at any time of the week."""
    last = made.entered.shape[1] - DAY - AFTER
    return np.asarray(rng.integers(CALIBRATED + QUARTER, last, number) // QUARTER * QUARTER)


def fallen(made: Stage, segments: list[Segment], fall: float, seed: int) -> Iterator[Outcome]:
    """A fall of each of these segments, until it pages or a day has passed."""
    rng = np.random.default_rng(seed)
    begins = moments(made, len(segments), rng)
    columns = begins[:, None] + np.arange(-WARM, DAY)
    entered, observed = (each[:, columns].transpose(1, 0, 2) for each in (made.entered, made.observed))
    observed = observed.copy()
    for trial, segment in enumerate(segments):
        rows = members(segment)
        observed[trial, rows, WARM:] = rng.binomial(observed[trial, rows, WARM:], 1 - fall)
    return _outcomes(made, segments, begins, entered, observed)


def mixed(made: Stage, channels: list[int], factor: float, minutes: int, seed: int) -> Iterator[Outcome]:
    """Each of these channels gets `factor` times its visitors for a while, all others a third fewer."""
    rng = np.random.default_rng(seed)
    begins = moments(made, len(channels), rng)
    columns = begins[:, None] + np.arange(-WARM, minutes)
    traffic, share = (each[:, columns].transpose(1, 0, 2).copy() for each in (made.traffic, made.share))
    for trial, channel in enumerate(channels):
        changed = np.full(len(CELLS), 2 / 3)
        changed[members((channel, None))] = factor
        traffic[trial, :, WARM:] *= changed[:, None]
    flat = (-1, columns.shape[1])
    drawn = cohorts(list(traffic.reshape(flat)), list(share.reshape(flat)), rng)
    hit: list[Segment] = [(channel, None) for channel in channels]
    return _outcomes(made, hit, begins, drawn.entered.reshape(traffic.shape), drawn.observed.reshape(traffic.shape))


def _outcomes(made: Stage, hit: list[Segment], begins: Counts, entered: Counts, observed: Counts) -> Iterator[Outcome]:
    """`entered`, `observed`: by trial, cell and minute from WARM before."""
    trials, cells, minutes = entered.shape
    rows = np.tile(np.arange(cells), trials)
    start = np.repeat(begins, cells) - WARM
    flat = (trials * cells, minutes)
    found = expected(
        entered.reshape(flat), observed.reshape(flat), made.mass[rows], lambda minute: by_age(made.rates, rows, start + minute)
    ).reshape(entered.shape)  # fmt: skip
    for trial, begin in enumerate(begins):
        before = slice(int(begin) - HOUR - LEAD, int(begin) - HOUR)
        after = slice(WARM - HOUR, None)
        cell_steps = {
            cell: Steps(
                np.concatenate([made.observed[row, before], observed[trial, row, after]]).astype(float),
                np.concatenate([made.expected[row, before], found[trial, row, after]]),
            )
            for row, cell in enumerate(CELLS)
        }
        outcome = _outcome(made, hit[trial], int(begin) - MEMORY, cell_steps)
        if outcome is not None:
            yield outcome


def _outcome(made: Stage, hit: Segment, at: int, cells: dict[Segment, Steps]) -> Outcome | None:
    """None: something paged already when it began. `at`: its minute since MEMORY."""
    steps = {segment: _sum([cells[CELLS[row]] for row in members(segment)]) for segment in (WHOLE, *PARTS)}
    passes = {segment: float(made.passes[segment][at]) for segment in steps}
    firing = np.logical_or.reduce(
        [
            pages(
                drops(each, whole=segment == WHOLE, tolerated=passes[segment], since=LEAD).live
                > made.limit[at] + extra(segment)
            )
            for segment, each in steps.items()
        ]
    )
    if firing[:HOUR].any():
        return None
    if not firing.any():
        return Outcome(hit, paged=False, named=None, posterior=0.0)
    minute = LEAD + int(np.argmax(firing))
    parts = {segment: steps[segment] for segment in PARTS}
    found = posteriors({WHOLE: steps[WHOLE]}, parts, cells, minute, passes)
    if not found:
        return Outcome(hit, paged=True, named=None, posterior=0.0)
    named = max(found, key=lambda segment: found[segment])
    return Outcome(hit, paged=True, named=named, posterior=found[named])


def _sum(each: list[Steps]) -> Steps:
    return Steps(np.sum([one.observed for one in each], axis=0), np.sum([one.expected for one in each], axis=0))
