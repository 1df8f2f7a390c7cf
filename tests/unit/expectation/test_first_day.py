"""Seeded with four weeks, a fall on the first day is told in time, by the shipped score over what the worker exports."""

from __future__ import annotations

import math
import random
from itertools import accumulate
from statistics import median

import pytest

from schemas.rules.drop import HEALTHY, SLOPES, THRESHOLD
from schemas.rules.windows import WINDOWS
from tests.unit.expectation.shop import MINUTE, RATES, START, Worker, events, funnel, learned, visits

A_MINUTE = 5.0  # visits
FAULT, END = 120, 420  # minutes
FEW = {"paid": (0.05, 0.5), "email": (0.15, 0.5)}  # a tenth goes on
WAIT = 1  # the rule's `for`, in minutes


def minutes_of(seed: int) -> tuple[list[float], list[float]]:
    """Observed and expected conversions from the first stage to the second, by minute; 60 % of them are lost from FAULT on."""
    rng = random.Random(seed)
    seen = events(rng, visits(rng, END, A_MINUTE), fault=(START + FAULT * MINUTE, "cart", 0.4))
    worker, place = Worker(funnel(), {}), 0
    observed, expected = [0.0], [0.0]
    for minute in range(END):
        chunk = []
        while place < len(seen) and seen[place].ts < START + (minute + 1) * MINUTE:
            chunk.append((place, seen[place]))
            place += 1
        if chunk:
            worker.follow(0, chunk)
        observed.append(worker.observed("view"))
        expected.append(worker.expected("view"))
    return observed, expected


def score(observed: list[float], expected: list[float], minute: int) -> float:
    """The highest log-likelihood ratio of all slopes over all windows, as `schemas/rules/drop.py` records it."""
    best = 0.0
    for window in WINDOWS:
        start = max(0, minute - window.length // MINUTE)
        seen, wanted = observed[minute] - observed[start], expected[minute] - expected[start]
        for slope in SLOPES:
            best = max(best, slope.of_expected * HEALTHY * wanted - slope.of_observed * seen)
    return best


def test_a_fall_of_60_percent_on_the_first_day_is_told_within_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Median delay at most 1.5 times the information time, ln(entries per month) / KL(fallen, healthy), and nothing before."""
    for channel, rates in FEW.items():
        monkeypatch.setitem(RATES, channel, rates)
    usual = sum(rates[0] for rates in RATES.values()) / len(RATES)
    left = 0.4 * usual
    divergence = left * math.log(left / usual) + (1 - left) * math.log((1 - left) / (1 - usual))
    information_time = math.log(A_MINUTE * 1440 * 30) / divergence / A_MINUTE  # minutes
    assert information_time == pytest.approx(97, abs=1)
    delays = []
    for seed in range(7):
        observed, expected = minutes_of(seed)
        above = [score(observed, expected, minute) > THRESHOLD for minute in range(END + 1)]
        standing = list(accumulate(above, lambda count, over: count + 1 if over else 0, initial=0))
        paged = [minute for minute, count in enumerate(standing[1:]) if count > WAIT]
        assert paged, seed
        assert paged[0] > FAULT, seed
        delays.append(paged[0] - FAULT)
    assert median(delays) <= 1.5 * information_time, (delays, information_time)


def test_editing_one_stage_leaves_the_others_paging() -> None:
    """What was learned of the old definition: the step before the changed stage still expects, the changed one learns."""
    old = funnel()
    stages = [{"name": name, "events": [name]} for name in ("view", "cart")]
    edited = funnel(stages=[*stages, {"name": "buy", "events": ["buy"], "where": {"device": "mobile"}}])
    assert edited.version != old.version
    worker = Worker(edited, {}, seeded=False)
    baselines = worker.counters.baselines
    assert [baselines.learn(learned(old, level), "UTC", START) for level in (0, 1)] == [True, False]
    rng = random.Random(2)
    seen = events(rng, visits(rng, 300, 5), fault=(START, "cart", 0.0))
    worker.follow(0, list(enumerate(seen)))
    assert worker.observed("view") == 0
    assert worker.expected("view") > 12 / (SLOPES[-1].of_expected * HEALTHY)  # enough is missing for a page
    assert worker.expected("cart") == 0
