"""Entries at risk: what they lead one to expect, whatever the traffic does."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.expectation.at_risk import AtRisk, wide_enough
from schemas.expectation.curve import Curve, Hazards, learn_curve

MINUTE = 60_000
RATE = 0.4
CURVE = learn_curve({0: 50, 1: 120, 2: 160, 3: 160, 4: 130, 6: 100, 9: 90, 14: 80, 25: 60, 50: 50}, MINUTE, 120)
HAZARDS = CURVE.hazards([RATE] * (len(CURVE.bounds) - 1))


def at_risk(curve: Curve = CURVE, hazards: Hazards | None = HAZARDS) -> AtRisk[str]:
    return AtRisk(curve, lambda _stratum, _step: hazards)


def shares() -> list[float]:
    """Share of the conversions by age, with the mass of a bucket spread evenly."""
    return [CURVE.converted_by(age) - CURVE.converted_by(age - 1) for age in range(CURVE.oldest)]


def conversions(entries: Sequence[float], minute: int, rate: float = RATE) -> float:
    """How many convert in this minute, if those who entered do so at `rate` by the curve: the oracle, without any blocks."""
    return sum(
        entries[minute - age] * rate * share for age, share in enumerate(shares()) if 0 <= minute - age < len(entries)
    )


def run(entries: Sequence[int], rates: Callable[[int], float]) -> tuple[list[int], list[float]]:
    """Observed and expected by minute. Rates are those in the minute of the conversion."""
    stage = at_risk()
    observed, expected = [], []
    for minute in range(len(entries)):
        seen = round(conversions(entries, minute, rates(minute)))
        stage.add(minute, "all", entries[minute], seen)
        observed.append(seen)
        expected.append(stage.advance(minute + 1).get("all", 0.0))
    return observed, expected


def test_one_cohort_is_expected_by_its_hazards() -> None:
    curve = Curve(MINUTE, (0, 1, 2, 3), (0.5, 0.25, 0.25))
    stage = at_risk(curve, curve.hazards([RATE] * 3))
    stage.add(7, "all", 1000, 200)
    assert stage.advance(8) == {"all": pytest.approx(200)}
    stage.add(8, "all", 0, 100)
    assert stage.advance(9) == {"all": pytest.approx(100)}
    assert stage.remaining() == pytest.approx(700)
    assert stage.advance(10) == {"all": pytest.approx(100)}
    assert stage.advance(60) == {}
    assert stage.remaining() == 0


def test_nobody_converts_and_more_are_expected() -> None:
    """Those who should have gone and did not are still there: a total fall shows more than p0 of the entries."""
    curve = Curve(MINUTE, (0, 1, 2, 3), (0.5, 0.25, 0.25))
    stage = at_risk(curve, curve.hazards([RATE] * 3))
    stage.add(0, "all", 1000, 0)
    assert stage.advance(3) == {"all": pytest.approx(200 + 125 + 1000 * 0.1 / 0.7)}


def test_an_eightfold_ramp_is_no_fall() -> None:
    """In any quarter of an hour what is observed is what was expected, within 2 %."""
    entries = [1000] * 240 + [8000] * 240 + [1000] * 240
    observed, expected = run(entries, lambda _: RATE)
    for start in range(150, 720, 15):
        ratio = sum(observed[start : start + 15]) / sum(expected[start : start + 15])
        assert ratio == pytest.approx(1, abs=0.02), start


def test_a_fall_shows_at_once_and_in_full() -> None:
    observed, expected = run([1000] * 480, lambda minute: RATE if minute < 300 else 0.4 * RATE)
    assert sum(observed[285:300]) / sum(expected[285:300]) == pytest.approx(1, abs=0.02)
    assert sum(observed[300:310]) / sum(expected[300:310]) == pytest.approx(0.4, abs=0.05)


def test_an_outage_of_entries_is_no_fall() -> None:
    observed, expected = run([1000] * 200 + [0] * 60 + [1000] * 100, lambda _: RATE)
    assert sum(observed[200:260]) / sum(expected[200:260]) == pytest.approx(1, abs=0.03)
    assert sum(observed[260:]) / sum(expected[260:]) == pytest.approx(1, abs=0.02)


def test_a_stall_expects_nothing() -> None:
    stage = at_risk()
    stage.add(0, "all", 500, 0)
    stage.advance(3)
    assert stage.advance(3) == {}
    assert stage.advance(2) == {}


entered = st.tuples(st.integers(0, 90), st.sampled_from("ab"), st.integers(0, 20), st.integers(0, 5))


@settings(max_examples=30)
@given(st.lists(entered, max_size=60), st.lists(st.integers(0, 200), max_size=5))
def test_it_does_not_matter_how_often_time_is_told(rows: list[tuple[int, str, int, int]], looks: list[int]) -> None:
    """The same sums for one look at the end and for looks at any time, as long as no row comes behind its time."""
    once, often = at_risk(), at_risk()
    for row in rows:
        once.add(*row)
    once.begin(0)
    often.begin(0)
    wanted = once.advance(200)
    found: dict[str, float] = {}
    for look in [*sorted(looks), 200]:
        for row in [row for row in rows if row[0] < look]:
            often.add(*row)
        rows = [row for row in rows if row[0] >= look]
        for stratum, amount in often.advance(look).items():
            found[stratum] = found.get(stratum, 0.0) + amount
    assert found == {stratum: pytest.approx(amount) for stratum, amount in wanted.items()}


@settings(max_examples=15)
@given(st.integers(0, 3000), st.integers(0, 400))
def test_blocks_leave_no_gap_and_are_narrow_for_their_age(start: int, steps: int) -> None:
    stage = at_risk()
    stage.begin(start)
    stage.add(start, "all", 1, 0)
    for step in range(start, start + steps):
        stage.add(step, "all", 1, 0)
        stage.advance(step + 1)
    now = start + steps
    place = stage._starts[0]
    assert place <= now - CURVE.oldest
    for first, width in zip(stage._starts, stage._widths, strict=True):
        assert first == place
        assert width == 1 or (first % width == 0 and wide_enough(first, width, now))
        place += width
    assert place == now
    assert len(stage._starts) < 50


def test_a_worker_that_takes_over_goes_on_alike() -> None:
    """Restored from who is still there, at their true ages, it expects what the first one would have."""
    entries = [200] * 300
    first = at_risk()
    for minute in range(180):
        first.add(minute, "all", 200, round(conversions(entries, minute)))
        first.advance(minute + 1)
    second = at_risk()
    second.begin(180)
    for minute in range(60, 180):
        second.restore(minute, "all", round(200 * (1 - RATE * CURVE.converted_by(179 - minute))))
    for stage in (first, second):
        for minute in range(180, 300):
            stage.add(minute, "all", 200, round(conversions(entries, minute)))
    assert second.advance(300)["all"] == pytest.approx(first.advance(300)["all"], rel=0.005)


def test_what_was_expected_before_a_takeover_is_not_expected_again() -> None:
    stage = at_risk()
    stage.begin(100)
    stage.restore(40, "all", 1000)
    stage.restore(99, "all", 1000)
    stage.restore(100, "all", 1000)  # of the minute under way
    expected = stage.advance(101)["all"]
    assert expected == pytest.approx(1000 * (HAZARDS.each[0] + HAZARDS.each[1] + HAZARDS.each[bucket(60)]), rel=0.05)


def bucket(age: int) -> int:
    return sum(1 for bound in CURVE.bounds if bound <= age) - 1


def test_late_entries_are_made_up_for() -> None:
    stage = at_risk()
    stage.begin(0)
    stage.advance(10)
    stage.add(4, "all", 1000, 0)
    assert stage.advance(10) == {"all": pytest.approx(1000 * RATE * CURVE.converted_by(5))}


def test_what_is_taken_back_is_no_longer_expected() -> None:
    stage = at_risk()
    stage.add(0, "all", 10, 0)
    stage.advance(30)
    stage.add(0, "all", -10, 0)
    assert stage.advance(30)["all"] < 0
    assert stage.advance(200).get("all", 0.0) == pytest.approx(0, abs=1e-9)


def test_more_conversions_than_people_leave_nobody_below_zero() -> None:
    stage = at_risk()
    stage.add(0, "all", 3, 0)
    stage.add(2, "all", 0, 5)
    stage.advance(3)
    assert stage.remaining() == 0
    assert all(amount >= 0 for amount in stage.advance(100).values())


def test_a_longer_curve_keeps_who_is_there() -> None:
    stage = at_risk()
    stage.add(0, "all", 100, 0)
    stage.advance(30)
    longer = learn_curve({0: 1, 100: 1}, MINUTE, 300)
    stage.take_over(longer)
    assert stage.remaining() == 100
    stage.hazards = lambda _stratum, _step: longer.hazards([RATE] * (len(longer.bounds) - 1))
    assert stage.advance(400)["all"] > 5
    assert stage.remaining() == 0


def test_silent_nights_cost_no_steps() -> None:
    """A year between two events is passed over, not walked."""
    stage = at_risk()
    stage.add(0, "all", 1, 0)
    stage.add(525_600, "all", 1, 0)
    expected = stage.advance(525_601)["all"]
    assert expected == pytest.approx(HAZARDS.before[-1] + HAZARDS.each[0], rel=0.1)
