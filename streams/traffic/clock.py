"""Sending in time: simulated traffic that starts in the past, catches up with the wall clock, and then keeps to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from threading import Event as Signal
from time import time
from typing import Protocol, TypeVar


class Clock(Protocol):
    """A clock that can be waited on. `now_ms`: ms since 1970 UTC."""

    def now_ms(self) -> int: ...

    def wait_until(self, ms: int) -> bool:
        """Returns True when `ms` has come, False when the wait was ended early: stop sending."""
        ...


class WallClock:
    """The real clock; setting `stop` ends any wait at once."""

    def __init__(self, stop: Signal | None = None) -> None:
        self._stop = stop or Signal()

    def now_ms(self) -> int:
        return int(time() * 1000)

    def wait_until(self, ms: int) -> bool:
        return not self._stop.wait(max(ms / 1000 - time(), 0))


class Sendable(Protocol):
    @property
    def send_ms(self) -> int: ...


T = TypeVar("T")
R = TypeVar("R", bound=Sendable)

#: Waits shorter than this are put off: a wait per record costs more than the precision is worth.
SHORTEST_WAIT_MS = 10


def due_ms(at_ms: int, first_ms: int, started_ms: int, speed: float) -> int:
    """When, on the wall clock, something is to be sent that happens at `at_ms` of simulated time.

    Simulated time starts at `first_ms` when the wall clock says `started_ms`, runs `speed` times as fast until it has
    caught up with the wall clock, and never passes it.
    """
    return max(started_ms + int((at_ms - first_ms) / speed), at_ms)


def paced(things: Iterable[T], time_of: Callable[[T], int], speed: float, clock: Clock) -> Iterator[T]:
    """Hands out `things` when they are due by `time_of` (ms), until they end or the clock says stop.

    Where sending can't keep up, nothing is dropped: it lags. Of what is out of order, the older goes at once.
    `speed`: simulated seconds per second, more than 0.
    """
    if not speed > 0:
        raise ValueError(f"speed must be more than 0, not {speed}")
    started = clock.now_ms()
    first: int | None = None
    for thing in things:
        at = time_of(thing)
        first = at if first is None else first
        due = due_ms(at, first, started, speed)
        if due - clock.now_ms() >= SHORTEST_WAIT_MS and not clock.wait_until(due):
            return
        yield thing


def pace(records: Iterable[R], speed: float, clock: Clock) -> Iterator[R]:
    """`paced` by the records' `send_ms`.

    Traffic that starts in the past runs at `speed` until it has reached now, and then goes on at 1: event times never
    lie ahead of the time at which Kafka stamps the record (more than an hour ahead would be refused). At 60, three
    hours of the past pass in three minutes, and the three that go by meanwhile with them.
    """
    return paced(records, lambda record: record.send_ms, speed, clock)
