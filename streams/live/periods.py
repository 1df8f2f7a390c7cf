"""The periods that the page can show, and what each is compared with."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from zoneinfo import ZoneInfo

import msgspec

from schemas.live import MINUTE
from streams.live.history import QUARTER, Span

HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Period(StrEnum):
    """As it stands in the page's address."""

    FIVE_MINUTES = "5m"
    QUARTER = "15m"
    HOUR = "1h"
    TODAY = "today"
    DAY = "24h"


#: Of those that are counted back from now: how far (ms).
LENGTHS = {
    Period.FIVE_MINUTES: 5 * MINUTE,
    Period.QUARTER: QUARTER,
    Period.HOUR: HOUR,
    Period.DAY: DAY,
}


class Times(msgspec.Struct, frozen=True):
    """`shown`: up to now, the running minute included. `before`: what it is compared with. `course`: what the small curves show,
    in steps of `step` ms."""

    shown: Span
    before: Span
    course: Span
    step: int


def times(period: Period, now: int, zone: ZoneInfo) -> Times:
    """The times of a period at `now` (ms UTC); days begin at midnight in `zone`."""
    minute = now // MINUTE * MINUTE
    end = minute + HOUR  # workers' clocks may be ahead
    fine = Span(minute - HOUR + MINUTE, minute + MINUTE), MINUTE
    quarter = now // QUARTER * QUARTER
    coarse = Span(quarter - DAY + QUARTER, quarter + QUARTER), QUARTER
    if period is Period.TODAY:
        today = midnight(now, zone)
        yesterday = midnight(today - HOUR, zone)
        return Times(Span(today, end), Span(yesterday, yesterday + (quarter - today)), *coarse)
    length = LENGTHS[period]
    since = (quarter if period is Period.DAY else minute) - length
    return Times(Span(since, end), Span(since - length, since), *(coarse if period is Period.DAY else fine))


def midnight(now: int, zone: ZoneInfo) -> int:
    """The last midnight in `zone`, ms UTC."""
    local = datetime.fromtimestamp(now / 1000, UTC).astimezone(zone)
    start = local.replace(hour=0, minute=0, second=0, microsecond=0)
    return int(start.timestamp() * 1000)
