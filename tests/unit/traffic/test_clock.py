"""Pacing: faster than the wall clock until it has caught up, then at its speed, and never ahead of it."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.traffic import WallClock, due_ms, pace, paced

NOW = 1_767_571_200_000


class Sent(msgspec.Struct, frozen=True):
    send_ms: int


class FakeClock:
    """Time passes only by waiting, and by `cost` ms for each look. Says stop at `end`."""

    def __init__(self, now: int, end: int | None = None, cost: int = 0) -> None:
        self.now, self.end, self.cost, self.waits = now, end, cost, 0

    def now_ms(self) -> int:
        self.now += self.cost
        return self.now

    def wait_until(self, ms: int) -> bool:
        self.waits += 1
        if self.end is not None and ms > self.end:
            return False
        self.now = max(self.now, ms)
        return True


def sent_at(records: list[Sent], speed: float, clock: FakeClock) -> list[tuple[int, int]]:
    return [(record.send_ms - NOW, clock.now - NOW) for record in pace(records, speed, clock)]


def test_the_past_passes_faster_and_the_present_as_it_comes() -> None:
    minutes = [Sent(NOW + minute * 60_000) for minute in (-60, -30, 0, 1, 2, 3)]
    assert sent_at(minutes, 60.0, FakeClock(NOW)) == [
        (-3_600_000, 0),
        (-1_800_000, 30_000),
        (0, 60_000),
        (60_000, 61_000),
        (120_000, 120_000),
        (180_000, 180_000),
    ]


def test_what_lies_ahead_waits_for_its_time() -> None:
    assert sent_at([Sent(NOW + 5_000), Sent(NOW + 6_000)], 60.0, FakeClock(NOW)) == [(5_000, 5_000), (6_000, 6_000)]


def test_half_speed_never_catches_up() -> None:
    records = [Sent(NOW - 10_000), Sent(NOW - 5_000), Sent(NOW)]
    assert sent_at(records, 0.5, FakeClock(NOW)) == [(-10_000, 0), (-5_000, 10_000), (0, 20_000)]


def test_stop_ends_it_before_the_record_that_is_not_due() -> None:
    records = [Sent(NOW + second * 1_000) for second in range(10)]
    assert sent_at(records, 1.0, FakeClock(NOW, end=NOW + 4_000))[-1] == (4_000, 4_000)


def test_a_slow_sender_lags_and_loses_nothing() -> None:
    records = [Sent(NOW + 10 * k) for k in range(100)]
    assert len(sent_at(records, 1.0, FakeClock(NOW, cost=50))) == 100


def test_short_waits_are_put_off() -> None:
    clock = FakeClock(NOW)
    assert len(list(pace([Sent(NOW + k) for k in range(1_000)], 1.0, clock))) == 1_000
    assert clock.waits == 99


def test_an_older_thing_goes_at_once() -> None:
    clock = FakeClock(NOW)
    things = paced([100_000, 200_000, 50_000, 300_000], lambda ms: ms, 1.0, clock)
    assert [(thing, clock.now - NOW) for thing in things] == [
        (100_000, 0),
        (200_000, 100_000),
        (50_000, 100_000),
        (300_000, 200_000),
    ]


@pytest.mark.parametrize("speed", [0.0, -1.0, float("nan")])
def test_a_speed_that_is_none_is_refused(speed: float) -> None:
    with pytest.raises(ValueError, match="speed"):
        list(pace([Sent(NOW)], speed, FakeClock(NOW)))


@given(
    first=st.integers(NOW - 10**9, NOW + 10**6),
    steps=st.lists(st.integers(0, 10**6), max_size=20),
    speed=st.floats(0.1, 1000),
)
def test_nothing_is_due_before_it_happened_and_order_holds(first: int, steps: list[int], speed: float) -> None:
    times = [first]
    for step in steps:
        times.append(times[-1] + step)
    due = [due_ms(at, first, NOW, speed) for at in times]
    assert due == sorted(due)
    assert all(moment >= at for moment, at in zip(due, times, strict=True))


def test_the_wall_clock_stops_at_once_when_told() -> None:
    from threading import Event

    stop = Event()
    clock = WallClock(stop)
    assert clock.wait_until(clock.now_ms() + 1)
    stop.set()
    assert not clock.wait_until(clock.now_ms() + 3_600_000)
