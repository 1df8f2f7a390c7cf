"""What the fields of some records hold: every path with its fill share and what its values look like."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

from schemas.currencies import CURRENCIES
from schemas.decode.times import time_ms
from schemas.errors import InvalidEvent

#: Paths and levels that are looked at, and values of each that are kept.
MOST_PATHS, LEVELS, KEPT = 300, 5, 500
#: How times are written that are neither ISO 8601 nor numbers; of two that fit, the first.
PATTERNS = (
    "%d.%m.%Y %H:%M:%S", "%d.%m.%Y %H:%M:%S.%f", "%d.%m.%Y %H:%M", "%Y/%m/%d %H:%M:%S", "%m/%d/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%d/%b/%Y:%H:%M:%S %z", "%a %b %d %H:%M:%S %Y",
    "%Y%m%d%H%M%S", "%m/%d/%Y %I:%M:%S %p",
)  # fmt: skip
_FIRST, _LAST = 946_684_800_000, 4_102_444_800_000  # the years 2000 to 2099
_ENOUGH = 0.9  # of the values must look so


class Path(msgspec.Struct):
    """A place in the records. `filled`: records that have something there; `values`: some of them."""

    name: str
    filled: int = 0
    values: list[Any] = []

    @property
    def distinct(self) -> int:
        return len(set(map(str, self.values)))

    def mostly(self, fits: Callable[[Any], bool]) -> bool:
        """Whether nearly all values fit."""
        return bool(self.values) and sum(map(fits, self.values)) >= _ENOUGH * len(self.values)


def paths_of(records: Sequence[Mapping[str, Any]]) -> dict[str, Path]:
    """All paths to single values, those of most records first."""
    found: dict[str, Path] = {}
    for record in records:
        for name, value in _leaves(record, "", LEVELS):
            path = found.get(name)
            if path is None:
                if len(found) >= MOST_PATHS:
                    continue
                path = found[name] = Path(name)
            path.filled += 1
            if len(path.values) < KEPT:
                path.values.append(value)
    return dict(sorted(found.items(), key=lambda item: -item[1].filled))


def _leaves(value: Any, at: str, levels: int) -> Iterator[tuple[str, Any]]:
    inner: Iterable[tuple[Any, Any]] = ()
    if isinstance(value, Mapping):
        inner = value.items()
    elif isinstance(value, list):
        inner = list(enumerate(value))[:1]
    elif value is not None and value != "":
        yield at, value
    for key, each in inner if levels else ():
        if str(key) and "{" not in str(key):  # what braces would mean to a mapping
            yield from _leaves(each, f"{at}.{key}" if at else str(key), levels - 1)


def is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 256


def is_id(value: Any) -> bool:
    return (isinstance(value, str) and len(value) <= 256) or (isinstance(value, int) and not isinstance(value, bool))


def is_time(value: Any) -> bool:
    """ISO 8601, or a number that is one of the 21st century's times."""
    try:
        return _FIRST <= time_ms(value) < _LAST
    except InvalidEvent:
        return False


def pattern_of(path: Path) -> str | None:
    """How the path's times are written, where that is none of the usual ways."""
    return next((pattern for pattern in PATTERNS if path.mostly(_written(pattern))), None)


def _written(pattern: str) -> Callable[[Any], bool]:
    def is_written(value: Any) -> bool:
        try:
            datetime.strptime(str(value)[:64].strip(), pattern)  # noqa: DTZ007 - only whether it can be read
        except ValueError:
            return False
        return True

    return is_written


def is_number(value: Any) -> bool:
    try:
        return not isinstance(value, bool) and Decimal(str(value)[:64].strip()).is_finite()
    except ArithmeticError:
        return False


def is_address(value: Any) -> bool:
    return isinstance(value, str) and ("://" in value or value.startswith("/") or "." in value)


def is_currency(value: Any) -> bool:
    return isinstance(value, str) and value.strip().upper() in CURRENCIES


def is_agent(value: Any) -> bool:
    return isinstance(value, str) and value.startswith(("Mozilla/", "Dalvik/", "curl/"))


def is_any(value: Any) -> bool:
    return isinstance(value, str | int | float | bool | Decimal)
