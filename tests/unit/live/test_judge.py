"""What is called a change: beyond chance, and by enough."""

from __future__ import annotations

import pytest

from streams.live.judge import Change, against_expected, compared


@pytest.mark.parametrize(
    ("now", "of", "before", "of_before", "change"),
    [
        (50, 200, 100, 200, Change.FELL),
        (100, 200, 50, 200, Change.ROSE),
        (90, 200, 100, 200, Change.NONE),  # by chance
        (46_000, 100_000, 50_000, 100_000, Change.NONE),  # beyond chance, but too little to matter
        (0, 29, 100, 200, Change.NONE),  # too few
        (0, 100, 0, 100, Change.NONE),  # nothing to compare with
        (120, 100, 50, 100, Change.NONE),  # no share: people of the time before came
        (100, 100, 100, 100, Change.NONE),
        (0, 0, 0, 0, Change.NONE),
    ],
)
def test_beside_the_time_before(now: int, of: int, before: int, of_before: int, change: Change) -> None:
    assert compared(now, of, before, of_before) is change


@pytest.mark.parametrize(
    ("observed", "expected", "change"),
    [
        (60, 100.0, Change.FELL),
        (61, 100.0, Change.NONE),
        (140, 100.0, Change.ROSE),
        (0, 15.9, Change.NONE),  # too few were to be expected
        (0, 16.0, Change.FELL),
        (9_200, 10_000.0, Change.NONE),  # eight standard deviations, but less than a tenth
        (8_900, 10_000.0, Change.FELL),
    ],
)
def test_beside_what_was_to_be_expected(observed: int, expected: float, change: Change) -> None:
    assert against_expected(observed, expected) is change
