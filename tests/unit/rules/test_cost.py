"""What a fall has cost: the conversions that would have come, told from those that were expected of who was at risk."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.rules.drop import usual

SHARES = st.floats(0.001, 0.94)


def cohort(rate: float, left: float) -> tuple[float, float]:
    """Conversions and expected conversions of 1,000 entries that convert over 200 minutes, at `left` of their hazard."""
    hazard = 1 - (1 - rate) ** (1 / 200)
    at_risk = 1_000.0
    came = expected = 0.0
    for _ in range(200):
        expected += at_risk * hazard
        came += at_risk * hazard * left
        at_risk -= at_risk * hazard * left
    return came, expected


@given(SHARES, st.floats(0, 1))
def test_it_is_what_the_rate_would_have_brought(rate: float, left: float) -> None:
    came, expected = cohort(rate, left)
    assert usual(came, expected, 1_000) == pytest.approx(1_000 * rate, rel=0.02)
    assert expected >= usual(came, expected, 1_000) * 0.98


def test_a_total_fall_of_a_high_rate_was_told_too_high() -> None:
    came, expected = cohort(0.65, 0.0)
    assert (came, round(expected)) == (0, 1047)
    assert round(usual(came, expected, 1_000)) == 649


@pytest.mark.parametrize(("observed", "expected", "entered"), [(5, 50, 10), (20, 50, 10), (0, 12, 0), (30, 30, 30)])
def test_what_entries_of_the_time_do_not_explain_is_left_as_it_is(observed: int, expected: int, entered: int) -> None:
    assert usual(observed, expected, entered) == expected


@given(st.floats(0, 1e6), st.floats(0, 1e6), st.floats(0, 1e6))
def test_it_lies_between_what_came_and_what_was_expected(observed: float, expected: float, entered: float) -> None:
    observed = min(observed, expected)
    found = usual(observed, expected, entered)
    assert observed * (1 - 1e-6) - 0.001 <= found <= expected * (1 + 1e-6) + 0.001
