"""Which minutes a period holds, and which it is compared with."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from schemas.live import MINUTE
from streams.live.periods import DAY, HOUR, Period, midnight, times
from tests.unit.live.conftest import NOON

UTC = ZoneInfo("UTC")
NOW = NOON + 7 * MINUTE + 31_000


@pytest.mark.parametrize(
    ("period", "since", "before"),
    [
        (Period.FIVE_MINUTES, NOON + 2 * MINUTE, (NOON - 3 * MINUTE, NOON + 2 * MINUTE)),
        (Period.QUARTER, NOON - 8 * MINUTE, (NOON - 23 * MINUTE, NOON - 8 * MINUTE)),
        (Period.HOUR, NOON - 53 * MINUTE, (NOON - 113 * MINUTE, NOON - 53 * MINUTE)),
        (Period.DAY, NOON - DAY, (NOON - 2 * DAY, NOON - DAY)),
        (Period.TODAY, NOON - 12 * HOUR, (NOON - 36 * HOUR, NOON - 24 * HOUR)),
    ],
)
def test_periods(period: Period, since: int, before: tuple[int, int]) -> None:
    found = times(period, NOW, UTC)
    assert found.shown.since == since
    assert found.shown.until > NOW
    assert found.before == before


@pytest.mark.parametrize(("period", "steps"), [(Period.FIVE_MINUTES, 60), (Period.HOUR, 60), (Period.TODAY, 96)])
def test_the_course_ends_with_the_running_step(period: Period, steps: int) -> None:
    found = times(period, NOW, UTC)
    assert (found.course.until - found.course.since) // found.step == steps
    assert found.course.until - found.step <= NOW < found.course.until


@pytest.mark.parametrize(
    ("local", "expected"),
    [
        ("2026-06-01T00:00+02:00", "2026-06-01T00:00+02:00"),
        ("2026-05-31T23:59+02:00", "2026-05-31T00:00+02:00"),
        ("2026-03-29T15:00+02:00", "2026-03-29T00:00+01:00"),  # clocks went forward at two
        ("2026-10-25T15:00+01:00", "2026-10-25T00:00+02:00"),  # and back at three
    ],
)
def test_days_begin_at_the_sites_midnight(local: str, expected: str) -> None:
    now = int(datetime.fromisoformat(local).timestamp() * 1000)
    assert midnight(now, ZoneInfo("Europe/Berlin")) == int(datetime.fromisoformat(expected).timestamp() * 1000)
