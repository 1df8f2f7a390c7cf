"""The numbers behind the series: integer sums that never fall, and the 0 that each new series shows first."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar

#: Milliseconds of a clock that never goes back.
Clock = Callable[[], int]

#: How long a new series may stay at 0 while nobody scrapes, in ms. Prometheus' own default interval is one minute.
HOLD = 60_000

Key = TypeVar("Key", bound=Hashable)


def monotonic() -> int:
    """The process's monotonic clock, in ms."""
    return time.monotonic_ns() // 1_000_000


class _Fresh:
    """A series that no scrape has seen yet: what it holds back, since when (None: it has counted nothing), and whether its 0 has been
    shown."""

    __slots__ = ("amount", "born", "shown")

    def __init__(self, amount: int, born: int | None) -> None:
        self.amount, self.born, self.shown = amount, born, False


class Cells(Generic[Key]):
    """The sums of one counter, by key.

    `increase()` of a series first seen at 5 is 0, not 5. So what a new series counts is held back until one scrape has
    read its 0, or `HOLD` has passed; also of those that are known beforehand (`at_once`): a worker that comes into a backlog has counted
    thousands before anybody scrapes it.
    """

    __slots__ = ("_fresh", "_seen")

    def __init__(self, at_once: Iterable[Key] = ()) -> None:
        self._seen: dict[Key, int] = {}
        self._fresh: dict[Key, _Fresh] = {key: _Fresh(0, None) for key in at_once}

    def open(self, key: Key, now: int) -> None:
        """Let the series stand at 0 from the next scrape on."""
        if key not in self._seen and key not in self._fresh:
            self._fresh[key] = _Fresh(0, now)

    def add(self, amounts: Mapping[Key, int], now: int) -> None:
        """Add to each key its amount (0 or more)."""
        seen = self._seen
        for key, amount in amounts.items():
            if key in seen:
                seen[key] += amount
            else:
                self.open(key, now)
                fresh = self._fresh[key]
                fresh.amount += amount
                if fresh.born is None:
                    fresh.born = now

    def total(self, key: Key) -> int:
        """All that was added, shown or held back."""
        fresh = self._fresh.get(key)
        return self._seen.get(key, 0) if fresh is None else fresh.amount

    def totals(self) -> dict[Key, int]:
        """All that was added, by key."""
        found = self._seen.copy()
        for key, fresh in self._fresh.items():
            found[key] = fresh.amount
        return found

    def scrape(self, now: int) -> Iterator[tuple[Key, int]]:
        """What one scrape reads: (key, sum)."""
        for key, fresh in list(self._fresh.items()):
            if fresh.shown or (fresh.born is not None and now - fresh.born >= HOLD):
                self._seen[key] = fresh.amount
                del self._fresh[key]
            else:
                fresh.shown = True
        yield from self._seen.items()
        for key in self._fresh:
            yield key, 0


class Distribution:
    """A histogram over integers: `counts` by bucket (the last is +Inf; not cumulative), `total` their exact sum."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[int]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0

    def observe(self, values: Iterable[int]) -> None:
        """Take a chunk's values at once: one sort costs less than a search for each."""
        ordered = sorted(values)
        start = 0
        for index, bound in enumerate(self.bounds):
            end = bisect_right(ordered, bound, start)
            self.counts[index] += end - start
            start = end
        self.counts[-1] += len(ordered) - start
        self.total += sum(ordered)
