"""Many mistakes in one file are told together: a collector, and the error that carries them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import ParamSpec, TypeVar

from schemas.errors import ConfigError
from schemas.toml import show

T = TypeVar("T")
P = ParamSpec("P")


class ConfigErrors(ConfigError):
    """All that is wrong in one place. `errors` are its parts; its text has one line for each."""

    def __init__(self, errors: Iterable[ConfigError]) -> None:
        self.errors: tuple[ConfigError, ...] = tuple(errors)
        first = self.errors[0]
        super().__init__(first.where, first.problem, first.remedy)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


def parts_of(error: ConfigError) -> tuple[ConfigError, ...]:
    """The single mistakes that `error` carries, itself if it is one."""
    return error.errors if isinstance(error, ConfigErrors) else (error,)


class Problems:
    """Collects ConfigErrors while reading goes on, so that the user sees all of them in one run."""

    __slots__ = ("_errors",)

    def __init__(self) -> None:
        self._errors: list[ConfigError] = []

    def __bool__(self) -> bool:
        return bool(self._errors)

    @property
    def count(self) -> int:
        return len(self._errors)

    def add(self, where: str, problem: str, remedy: str = "") -> None:
        self._errors.append(ConfigError(where, problem, remedy))

    def caught(self, otherwise: T, read: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """The result of `read(…)`; if it raises ConfigError, that is kept and `otherwise` stands in."""
        try:
            return read(*args, **kwargs)
        except ConfigError as error:
            self._errors.extend(parts_of(error))
            return otherwise

    def refuse_unknown(self, table: Mapping[str, object], known: Iterable[str], where: str) -> None:
        """Adds one problem for each key of `table` that is not in `known`, with the nearest known one."""
        names = tuple(known)
        for key in table:
            if key not in names:
                self.add(f"{where}, {key if key.isidentifier() else show(key)}", "unknown key", nearest(key, names))

    def raise_any(self) -> None:
        """Raises ConfigErrors (one mistake alone: that ConfigError) if there were any."""
        if len(self._errors) == 1:
            raise self._errors[0]
        if self._errors:
            raise ConfigErrors(self._errors)


def close_match(word: str, known: Iterable[str]) -> str | None:
    """The one of `known` that `word` was probably meant to be."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower()[:100], by_lower, n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def nearest(word: str, known: Iterable[str]) -> str:
    """The remedy for a word that isn't in `known`: "did you mean …?", else the list of what is."""
    names = tuple(known)
    close = close_match(word, names)
    return f"did you mean {close}?" if close else "known: " + ", ".join(names)
