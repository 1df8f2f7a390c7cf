"""When each unit is due: a calendar by time, in order for what is near.

A heap of all units costs 96 bytes and seventeen scattered reads a unit; a page of the calendar only lists 16.
"""

from __future__ import annotations

from array import array
from bisect import insort
from collections.abc import Iterable

#: Span of a page of the calendar: 2^16 ms, about a minute (`_lane.h` has the same).
PAGE = 16


class Wakes:
    """Keys of units by the watermark (ms) at which they are due.

    A unit that is due at another time than thought is entered again; what it was entered under before is found stale when its time
    comes. `near`: entries of times before `edge`, (−time, key), sorted: the first that is due stands last, where it is taken from.
    """

    __slots__ = ("_pages", "edge", "near")

    def __init__(self) -> None:
        self._pages: dict[int, tuple[array[int], list[str]]] = {}
        self.near: list[tuple[int, str]] = []
        self.edge = -(1 << 62)

    def enter(self, wake: int, key: str) -> None:
        """Enters a unit, with when it is due."""
        if wake < self.edge:
            insort(self.near, (-wake, key))
        else:
            times, keys = self._page(wake >> PAGE)
            times.append(-wake)
            keys.append(key)

    def add(self, dues: Iterable[tuple[int, bytes, list[str]]]) -> None:
        """Enters many that are not near: pages, and for each what is to be entered there, packed −time and key."""
        for number, packed, added in dues:
            times, keys = self._page(number)
            times.frombytes(packed)
            keys += added

    def _page(self, number: int) -> tuple[array[int], list[str]]:
        page = self._pages.get(number)
        if page is None:
            page = self._pages[number] = (array("q"), [])
        return page

    @property
    def soonest(self) -> int:
        """Before this time there is nothing to do."""
        return -self.near[-1][0] if self.near else self.edge

    def turn(self, time: int) -> None:
        """Turns the pages up to this time."""
        if time <= self.edge:
            return
        last = time >> PAGE
        self.edge = (last + 1) << PAGE
        for number in [number for number in self._pages if number <= last]:
            self.near += zip(*self._pages.pop(number), strict=True)
        self.near.sort()

    def first_before(self, time: int) -> tuple[int, str] | None:
        """Takes out the entry that is due first, if it is due before this time."""
        self.turn(time)
        if not self.near or -self.near[-1][0] >= time:
            return None
        wake, key = self.near.pop()
        return -wake, key

    def __bool__(self) -> bool:
        return bool(self.near or self._pages)

    def __len__(self) -> int:
        return len(self.near) + sum(len(keys) for _, keys in self._pages.values())
