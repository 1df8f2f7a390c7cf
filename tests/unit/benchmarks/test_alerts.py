"""The alert benchmark's arrays say what the shipped expectation says, one segment at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.alerts.cohorts import LONGEST, Cohorts, cohorts
from benchmarks.alerts.learning import (
    BOUNDS,
    MEMORY,
    STEP,
    by_age,
    counted,
    expected,
    hazards,
    masses,
    segment_rates,
    stage_rates,
)
from benchmarks.alerts.traffic import DAY, WEEK, Series, entries, shares
from schemas.expectation.at_risk import AtRisk
from schemas.expectation.curve import Curve, Hazards, learn_curve
from schemas.expectation.learned import Counts, LearnedStep
from schemas.expectation.rates import Rates
from schemas.expectation.week import SLOTS

SEGMENTS = (Series(6, 0.02), Series(60, 0.3), Series(900, 0.5))
MINUTES = MEMORY + 2 * DAY


@pytest.fixture(scope="module")
def simulated() -> Cohorts:
    rng = np.random.default_rng(1)
    return cohorts(
        [entries(each, MINUTES) for each in SEGMENTS], [shares(each, MINUTES, 0.05, rng) for each in SEGMENTS], rng
    )


def _counts(whole: Cohorts, row: int | list[int] | None, day: int) -> Counts:
    """What the product's query counts in the four weeks before this day."""
    slots: dict[int, list[int]] = {}
    for quarter in range((day * DAY - 4 * WEEK) // 15, day * DAY // 15):
        minutes = slice(quarter * 15, quarter * 15 + 15)
        rows = slice(None) if row is None else row
        found = slots.setdefault(quarter % SLOTS, [0, 0])
        found[0] += int(whole.entered[rows, minutes].sum())
        found[1] += int(whole.converting[rows, minutes].sum())
    entered, converted = (sum(each[part] for each in slots.values()) for part in (0, 1))
    return Counts(entered, converted, {slot: (each[0], each[1]) for slot, each in slots.items()})


@pytest.mark.parametrize("day", [28, 29])
def test_rates_are_those_of_the_product(simulated: Cohorts, day: int) -> None:
    stage = counted(*(each.sum(axis=0, keepdims=True) for each in (simulated.entered, simulated.converting)))
    segments = counted(simulated.entered, simulated.converting)
    parts = {str(row): _counts(simulated, row, day) for row in range(len(SEGMENTS))}
    slim = {
        name: each if each.converted >= 1000 else Counts(each.entered, each.converted) for name, each in parts.items()
    }
    curve = learn_curve({0: 1}, STEP, LONGEST)
    rates = Rates(LearnedStep("", 0, 0, 0, _counts(simulated, None, day), curve, {"channel": slim}))
    of_stage, of_segments = stage_rates(stage), segment_rates(segments, stage)
    for slot in range(0, SLOTS, 41):
        assert of_stage[0, day - 28, slot] == pytest.approx(rates.rate(slot), rel=1e-12)
        for row in range(len(SEGMENTS)):
            assert of_segments[row, day - 28, slot] == pytest.approx(rates.rate(slot, "channel", str(row)), rel=1e-12)


def test_rates_of_cells_are_those_of_the_product(simulated: Cohorts) -> None:
    day, stage = 28, counted(*(each.sum(axis=0, keepdims=True) for each in (simulated.entered, simulated.converting)))
    named = {"a×m": ([0, 1], [0, 2]), "a×n": ([0, 1], [1]), "b×m": ([2], [0, 2])}
    values = [
        counted(
            *(
                np.array([each[rows[part]].sum(axis=0) for rows in named.values()])
                for each in (simulated.entered, simulated.converting)
            )
        )
        for part in (0, 1)
    ]
    parts = {
        "channel": {"a": _counts(simulated, [0, 1], day), "b": _counts(simulated, 2, day)},
        "device": {"m": _counts(simulated, [0, 2], day), "n": _counts(simulated, 1, day)},
        "channel×device": {cell: _counts(simulated, row, day) for row, cell in enumerate(named)},
    }
    cells = parts["channel×device"]
    parts["channel×device"] = {
        name: each if each.converted >= 1000 else Counts(each.entered, each.converted) for name, each in cells.items()
    }
    curve = learn_curve({0: 1}, STEP, LONGEST)
    rates = Rates(LearnedStep("", 0, 0, 0, _counts(simulated, None, day), curve, parts))
    of_cells = segment_rates(counted(simulated.entered, simulated.converting), stage, values)
    for slot in range(0, SLOTS, 41):
        for row, cell in enumerate(named):
            assert of_cells[row, 0, slot] == pytest.approx(rates.rate(slot, "channel×device", cell), rel=1e-12)


def test_expected_conversions_are_those_of_the_product(simulated: Cohorts) -> None:
    """Two days, one of them without conversions, then three times as many: blocks run empty."""
    first = 28 * DAY
    entered = simulated.entered[:, first : first + 2 * DAY]
    observed = simulated.observed[:, first : first + 2 * DAY].copy()
    observed[:, 600:DAY] = 0
    observed[:, DAY : DAY + 90] *= 3
    rates = stage_rates(counted(simulated.entered, simulated.converting))
    rows = np.arange(len(SEGMENTS))
    found = expected(
        entered, observed, masses(simulated.delays), lambda minute: by_age(rates, rows, np.full(3, minute)), first
    )
    for row, delays in enumerate(simulated.delays):
        curve = learn_curve(dict(enumerate(map(int, delays))), STEP, LONGEST)
        risk: AtRisk[str] = AtRisk(curve, _asked(curve, rates, row))
        for minute in range(2 * DAY):
            risk.add(first + minute, "all", int(entered[row, minute]), int(observed[row, minute]))
        risk.begin(first)
        scalar = [risk.advance(first + minute + 1).get("all", 0.0) for minute in range(2 * DAY)]
        assert found[row] == pytest.approx(scalar, rel=1e-9, abs=1e-9)


def _asked(
    curve: Curve, rates: np.ndarray[tuple[int, ...], np.dtype[np.float64]], row: int
) -> Callable[[str, int], Hazards]:
    def hazards_at(_: str, minute: int) -> Hazards:
        return curve.hazards(by_age(rates, np.array([row]), np.array([minute]))[0].tolist())

    return hazards_at


def test_hazards_are_those_of_the_product() -> None:
    rng = np.random.default_rng(2)
    delays = rng.integers(0, 50, (2, LONGEST))
    rate = rng.uniform(0.01, 0.999, (2, len(BOUNDS) - 1))
    each, before = hazards(masses(delays), rate)
    for row in range(2):
        scalar = learn_curve(dict(enumerate(map(int, delays[row]))), STEP, LONGEST).hazards(rate[row].tolist())
        assert each[row] == pytest.approx(scalar.each, rel=1e-12)
        assert before[row] == pytest.approx(scalar.before, rel=1e-12)
