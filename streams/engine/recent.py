"""Ids of events that no funnel looks at, kept to recognise those that are sent again."""

from __future__ import annotations

from typing import Protocol


class Recent(Protocol):
    """The last ids: at least `most` of them, and at most twice as many, in memory only. Its length: how many."""

    def seen(self, event_id: str, /) -> bool:
        """Whether the id was seen lately; it is from now on."""
        ...

    def __len__(self) -> int: ...


class RecentIds:
    """The same as the compiled part's, which keeps hashes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._fresh: set[str] = set()
        self._old: set[str] = set()

    def seen(self, event_id: str, /) -> bool:
        """Whether the id was seen lately; it is from now on."""
        if event_id in self._fresh or event_id in self._old:
            return True
        self._fresh.add(event_id)
        if len(self._fresh) >= self._most:
            self._fresh, self._old = set(), self._fresh
        return False

    def __len__(self) -> int:
        return len(self._fresh) + len(self._old)
