"""When what happens in the demo."""

import pytest

from schemas.errors import ConfigError
from streams.demo.plan import Wish, timeline

NOW = 1_767_571_200_000  # 2026-01-05 00:00 UTC
DAY, HOUR, MINUTE = 86_400_000, 3_600_000, 60_000


def wish(visitors: float = 60_000.0, fault_after: float | None = 60.0) -> Wish:
    return Wish(seed=7, visitors_per_day=visitors, fault_after=fault_after, fault_for=90.0)


def test_the_first_visitors_come_at_once_then_an_hour_a_minute_and_the_fault_after_one() -> None:
    times = timeline(wish(), NOW)
    assert (times.start_ms, times.live_ms) == (NOW - DAY, NOW - DAY + 96 * MINUTE)  # 4,000 visitors
    assert times.fault is not None
    assert times.fault.start_ms == NOW - DAY + 96 * MINUTE + HOUR
    assert times.fault.end_ms == times.fault.start_ms + 90 * MINUTE
    assert times.traffic.faults == (times.fault,)
    assert times.traffic.keyed_by == "session"


def test_more_visitors_make_what_is_sent_at_once_shorter() -> None:
    assert timeline(wish(visitors=288_000.0), NOW).live_ms == NOW - DAY + 20 * MINUTE
    assert timeline(wish(visitors=1_000.0), NOW).live_ms == NOW - DAY + 2 * HOUR


def test_a_calm_demo_has_no_fault() -> None:
    times = timeline(wish(fault_after=None), NOW)
    assert (times.fault, times.traffic.faults) == (None, ())


def test_the_shop_opens_at_ten_whenever_the_demo_starts() -> None:
    for now in (NOW, NOW + 5 * HOUR + 17, NOW + 23 * HOUR):
        times = timeline(wish(), now)
        assert (times.start_ms + times.traffic.utc_offset_ms) % DAY == 10 * HOUR


def test_another_run_goes_on_where_the_last_one_ended_with_other_visitors() -> None:
    times = timeline(wish(), NOW, reached_ms=NOW - HOUR)
    assert (times.start_ms, times.live_ms) == (NOW - HOUR, NOW - HOUR)
    assert times.traffic.seed != 7
    # A minute of traffic from an hour ago reaches the clock: the fault comes a minute from now.
    assert times.fault is not None
    assert times.fault.start_ms == NOW
    assert timeline(wish(fault_after=90.0), NOW, reached_ms=NOW).fault.start_ms == NOW + 90_000  # type: ignore[union-attr]


def test_a_run_of_days_ago_is_not_caught_up_with() -> None:
    assert timeline(wish(), NOW, reached_ms=NOW - 9 * DAY).start_ms == NOW - DAY


def test_a_number_of_visitors_that_nobody_can_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="visitors_per_day"):
        timeline(wish(visitors=1e12), NOW)
