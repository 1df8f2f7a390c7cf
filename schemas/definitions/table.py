"""One table of funnels.toml while it is read: a value that is wrong becomes a problem, and reading goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from schemas.problems import Problems
from schemas.values import as_flag

T = TypeVar("T")


class Table:
    """Reads keys of `raw`, which stands at `where`, into `problems`."""

    __slots__ = ("_problems", "raw", "where")

    def __init__(self, raw: Mapping[str, object], where: str, problems: Problems) -> None:
        self.raw, self.where, self._problems = raw, where, problems

    def __contains__(self, key: str) -> bool:
        return key in self.raw

    def take(self, key: str, read: Callable[[object, str], T], default: T) -> T:
        """What `read(value, where)` makes of the key; `default` if it is absent or wrong."""
        if key not in self.raw:
            return default
        return self._problems.caught(default, read, self.raw[key], f"{self.where}, {key}")

    def flag(self, key: str, *, default: bool) -> bool:
        return self.take(key, as_flag, default)

    def need(self, key: str, read: Callable[[object, str], T], default: T, remedy: str) -> T:
        """As `take`, but absence is a problem too."""
        if key not in self.raw:
            self.blame(key, "is missing", remedy)
        return self.take(key, read, default)

    def blame(self, key: str, problem: str, remedy: str) -> None:
        self._problems.add(f"{self.where}, {key}", problem, remedy)

    def refuse_unknown(self, known: Iterable[str]) -> None:
        self._problems.refuse_unknown(self.raw, known, self.where)
