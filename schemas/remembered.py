"""What is worked out once and looked up from then on."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
#: How many are kept: more than come often, and a bound on what a flood of new ones takes.
MOST = 4_000


class Remembered(dict[K, V]):
    """A dict that works out what it lacks, and begins anew when it is full: what is worked out of the same must be the same."""

    __slots__ = ("_most", "_work_out")

    def __init__(self, work_out: Callable[[K], V], most: int = MOST) -> None:
        super().__init__()
        self._work_out, self._most = work_out, most

    def __missing__(self, key: K) -> V:
        if len(self) >= self._most:
            self.clear()
        found = self[key] = self._work_out(key)
        return found
