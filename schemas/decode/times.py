"""Times as records write them, as integer milliseconds since 1970 UTC."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from math import floor, isfinite
from typing import Any

from schemas.errors import InvalidEvent
from schemas.reasons import Reason

# Below this many, a number is seconds (until the year 5138), then milliseconds, then microseconds, then nanoseconds.
FIRST_MILLIS, FIRST_MICROS, _FIRST_NANOS = 100_000_000_000, 100_000_000_000_000, 100_000_000_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_from_iso = datetime.fromisoformat


def epoch_ms(number: float | Decimal) -> int:
    """Epoch seconds, milliseconds, microseconds or nanoseconds, recognised by magnitude; fractions are cut off."""
    size = -number if number < 0 else number
    if size < FIRST_MILLIS:
        if isinstance(number, float):
            return floor(number * 1000 + 0.0005)  # 1714566896.789 is not exact in binary
        return floor(number * 1000)
    if size < FIRST_MICROS:
        return floor(number)
    return floor(number) // (1000 if size < _FIRST_NANOS else 1_000_000)


def iso_ms(text: str, zone: tzinfo = UTC) -> int:
    """ISO 8601, with `T` or a space; `zone` is that of times that name none. Raises ValueError or OverflowError."""
    if text[4:5] != "-":  # fromisoformat would read thirteen digits as a date of the 18th century
        raise ValueError(text[:40])
    moment = _from_iso(text)
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=zone)
    since = moment - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000


def time_ms(value: Any, zone: tzinfo = UTC) -> int:
    """Any form of a time → ms. Raises InvalidEvent: bad_timestamp (can't be read), wrong_type (no text or number)."""
    kind = value.__class__
    if kind is str:
        return _text_ms(value, zone)
    if kind is int or kind is float or kind is Decimal:
        if kind is not int and not isfinite(value):
            raise InvalidEvent(Reason.BAD_TIMESTAMP, f"timestamp is {value}")
        if abs(value) > 1e21:
            raise InvalidEvent(Reason.BAD_TIMESTAMP, "timestamp has too many digits")
        return epoch_ms(value)
    raise InvalidEvent(Reason.WRONG_TYPE, f"timestamp is {kind.__name__}, not text or number")


def _text_ms(text: str, zone: tzinfo) -> int:
    text = text.strip()
    try:
        if text[4:5] != "-" and len(text) <= 40:
            try:
                number = Decimal(text)
            except InvalidOperation:
                pass
            else:
                return time_ms(number)
        return iso_ms(text.removesuffix(" UTC") + "Z" if text.endswith(" UTC") else text, zone)
    except (ValueError, OverflowError):
        raise InvalidEvent(Reason.BAD_TIMESTAMP, f"timestamp {text[:40]!r} is neither ISO 8601 nor a number") from None
