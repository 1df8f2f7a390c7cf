"""The site's wall clock in PromQL: Alertmanager's templates know no time zones, so that annotations carry local times.

The offset from UTC is a sum over the clock changes of a fixed span of years, as the time zone database has them. After
the last one it stays as it is: generate the rules anew before that.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cache
from zoneinfo import ZoneInfo

import msgspec

from schemas.metrics import SITE
from schemas.rules import names as n
from schemas.rules.model import Record
from schemas.rules.promql import select

FIRST_YEAR, LAST_YEAR = 2025, 2037
_DAY = 86_400


class Change(msgspec.Struct, frozen=True):
    """A clock change: at `moment` (seconds since 1970 UTC) the offset from UTC grows by `seconds`."""

    moment: int
    seconds: int


@cache
def changes(zone: str) -> tuple[int, tuple[Change, ...]]:
    """The offset at the start of FIRST_YEAR, in seconds, and all clock changes up to the end of LAST_YEAR."""
    place = ZoneInfo(zone)
    start = int(datetime(FIRST_YEAR, 1, 1, tzinfo=UTC).timestamp())
    end = int(datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC).timestamp())
    return _offset(place, start), tuple(_changes(place, start, end))


def local(moment: str, zone: str) -> str:
    """PromQL: the seconds that a wall clock in `zone` shows at `moment` (an expression of seconds since 1970 UTC)."""
    base, turns = changes(zone)
    parts = [f"{moment} + {base}" if base >= 0 else f"{moment} - {-base}"]
    for turn in turns:
        sign = "+" if turn.seconds > 0 else "-"
        parts.append(f"{sign} {abs(turn.seconds)} * ({moment} >= bool {turn.moment})")
    return "\n".join(parts)


def clocks(site: str, zone: str) -> list[Record]:
    """The offset now (0 is UTC), and the beginning of each fall on the site's clock."""
    now = local("time()", zone).replace("time()", "0", 1)
    return [
        Record(n.UTC_OFFSET, f"vector(\n{now}\n)", {SITE: site}),
        Record(n.LOCAL_START, local(select(n.START, **{SITE: site}), zone)),
    ]


def _changes(place: ZoneInfo, start: int, end: int) -> Iterator[Change]:
    for day in range(start, end, _DAY):
        before, after = _offset(place, day), _offset(place, day + _DAY)
        if before != after:
            yield Change(_moment(place, day, before), after - before)


def _moment(place: ZoneInfo, day: int, before: int) -> int:
    """The first second of the day after `day` at which the offset is no longer `before`."""
    low, high = day, day + _DAY
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _offset(place, middle) == before else (low, middle)
    return high


def _offset(place: ZoneInfo, moment: int) -> int:
    offset = datetime.fromtimestamp(moment, place).utcoffset()
    return int(offset.total_seconds()) if offset is not None else 0
