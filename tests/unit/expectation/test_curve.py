"""The delay curve and its hazards."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.expectation.ages import bucket_of, edges
from schemas.expectation.at_risk import converted_within
from schemas.expectation.curve import Curve, learn_curve

MINUTE = 60_000


def test_buckets_are_fine_at_first_and_few() -> None:
    assert edges(20) == (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 18, 20)
    assert edges(1) == (0, 1)
    assert len(edges(1440)) == 69  # a day of minutes
    assert len(edges(10_080)) == 91  # a week


@given(st.integers(1, 50_000), st.integers(0, 60_000))
def test_every_age_has_its_bucket(oldest: int, age: int) -> None:
    bounds = edges(oldest)
    assert bounds[0] == 0
    assert bounds[-1] == oldest
    assert list(bounds) == sorted(set(bounds))
    place = bucket_of(age, bounds)
    if age < oldest:
        assert bounds[place] <= age < bounds[place + 1]
    else:
        assert place == len(bounds) - 1


def test_hazard_is_that_of_the_remaining() -> None:
    """p0·f(a) / (1 − p0·F(a−)), by hand: p0 = 0.4, half of them at once, a quarter in each of the next two steps."""
    curve = Curve(MINUTE, (0, 1, 2, 3), (0.5, 0.25, 0.25))
    hazards = curve.hazards([0.4] * 3)
    assert hazards.each == pytest.approx([0.2, 0.1 / 0.8, 0.1 / 0.7, 0])
    assert hazards.before == pytest.approx([0, 0.2, 0.325, 0.325 + 0.1 / 0.7])
    assert [curve.converted_by(age) for age in (-1, 0, 1, 2, 9)] == pytest.approx([0, 0.5, 0.75, 1, 1])


@given(st.dictionaries(st.integers(0, 400), st.integers(1, 1000), min_size=1), st.floats(0.001, 0.99))
def test_all_hazards_together_convert_p0(delays: dict[int, int], rate: float) -> None:
    curve = learn_curve(delays, MINUTE, 300)
    hazards = curve.hazards([rate] * (len(curve.bounds) - 1))
    assert all(0 <= hazard < 1 for hazard in hazards.each)
    assert converted_within(300, curve.bounds, hazards.each) == pytest.approx(rate)


def test_delays_beyond_the_window_are_left_out() -> None:
    curve = learn_curve({0: 700, 3: 300, 10: 55}, MINUTE, 10)
    assert curve.oldest == 10
    assert curve.masses[0] == pytest.approx(0.7, abs=0.001)
    assert curve.masses[3] == pytest.approx(0.3, abs=0.001)
    assert sum(curve.masses) == pytest.approx(1)


def test_a_rate_of_one_has_no_endless_hazard() -> None:
    curve = learn_curve({0: 100}, MINUTE, 5)
    assert max(curve.hazards([1.0] * 5).each) < 1
