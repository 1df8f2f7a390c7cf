"""Durations as people write them ("30m", "1h30m") and as the engine takes them (integer milliseconds)."""

from __future__ import annotations

import re

from schemas.errors import ConfigError
from schemas.toml import show

#: Units from the longest to the shortest, in milliseconds.
UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
#: Longest duration that is taken: a hundred years. Beyond, sums with a time of day leave the databases' range.
LONGEST = 36_500 * UNITS["d"]

_PART = re.compile(r"([0-9]{1,15})(ms|[wdhms])")
_WHOLE = re.compile(r"(?:[0-9]{1,15}(?:ms|[wdhms]))+")
_REMEDY = 'write a text such as "30m", "24h", "7d" or "1h30m" (units w, d, h, m, s, ms)'


def parse_duration(value: object, where: str, *, zero: bool = False) -> int:
    """Milliseconds of a text such as "1h30m": units from long to short, each at most once, whole numbers.

    `where` names file and key for the error. A number without unit is refused, and so is zero unless `zero`.
    Raises ConfigError.
    """
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ConfigError(where, f"{show(value)} has no unit", _REMEDY)
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise ConfigError(where, f"{show(value)} is not a duration", _REMEDY)
    parts = _PART.findall(value)
    order = [list(UNITS).index(unit) for _, unit in parts]
    if order != sorted(set(order)):
        raise ConfigError(where, f"{show(value)} has its units out of order or twice", 'write "1h30m", longest first')
    total = sum(int(number) * UNITS[unit] for number, unit in parts)
    if total > LONGEST:
        raise ConfigError(where, f"{show(value)} is too long", f'write at most "{LONGEST // UNITS["d"]}d"')
    if total == 0 and not zero:
        raise ConfigError(where, f"{show(value)} is not positive", _REMEDY)
    return total


def format_duration(milliseconds: int) -> str:
    """The shortest text that `parse_duration` reads as `milliseconds` (not negative): 5400000 → "1h30m". No weeks."""
    if milliseconds == 0:
        return "0s"
    parts, rest = [], milliseconds
    for unit in ("d", "h", "m", "s", "ms"):
        number, rest = divmod(rest, UNITS[unit])
        if number:
            parts.append(f"{number}{unit}")
    return "".join(parts)
