"""Money, exact: from a decimal text to an integer of 1/MONEY_SCALE and back."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

import msgspec

from schemas.errors import InvalidEvent
from schemas.event import MONEY_SCALE
from schemas.reasons import Reason

_NUMBER = re.compile(r"([+-]?)(\d{0,40})(?:\.(\d{0,60}))?(?:[eE]([+-]?\d{1,3}))?", re.ASCII)
_LIMIT = 2**63  # what packs into the state and the log: about 9.2 billion units, whatever the currency
_PLACES = 9
_LONGEST_TOKEN = 64
_DIGITS = b"-0123456789"


def amount(text: str) -> int:
    """A decimal number → integer of 1/MONEY_SCALE.

    Raises InvalidEvent: bad_revenue (not a number, more than nine decimals, 2**63 or more of 1/MONEY_SCALE), negative_revenue.
    """
    match = _NUMBER.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        raise InvalidEvent(Reason.BAD_REVENUE, f"{text[:40]!r} is not a finite number")
    whole, fraction = match[2], (match[3] or "").rstrip("0")
    digits = int((whole + fraction) or "0")
    shift = int(match[4] or "0") - len(fraction) + _PLACES
    if digits == 0:
        return 0
    if match[1] == "-":
        raise InvalidEvent(Reason.NEGATIVE_REVENUE, f"{text[:40]} is negative: refunds are events of their own")
    if shift > 40:
        raise InvalidEvent(Reason.BAD_REVENUE, f"{text[:40]} has too many digits")
    if shift < 0 and digits % 10**-shift:
        raise InvalidEvent(Reason.BAD_REVENUE, f"{text[:40]} has more than nine decimals")
    scaled: int = digits * 10**shift if shift >= 0 else digits // 10**-shift
    if scaled >= _LIMIT:
        raise InvalidEvent(Reason.BAD_REVENUE, f"{text[:40]} has too many digits")
    return scaled


def money(value: object, field: str) -> int | None:
    """A number or a numeric text → integer of 1/MONEY_SCALE; None for null and empty text. Raises like `amount`."""
    if value is None:
        return None
    if isinstance(value, str):
        return amount(value.strip()) if value.strip() else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise InvalidEvent(Reason.BAD_REVENUE, f"{field} is {type(value).__name__}, not a number")
    if isinstance(value, int) and abs(value) >= _LIMIT:
        raise InvalidEvent(Reason.BAD_REVENUE, f"{field} has too many digits")
    return amount(str(value))


@lru_cache(maxsize=65_536)
def token_money(token: bytes) -> int | None:
    """`money` for a JSON token as it stands in the record, of ordinary length; longer ones are a ValueError.

    Shops have few prices: the last 65,536 are remembered.
    """
    if len(token) > _LONGEST_TOKEN:  # nor is it worth remembering
        raise ValueError(token[:40])
    return money(token.decode() if token[0] in _DIGITS else msgspec.json.decode(token), "revenue")


def money_text(scaled: int) -> str:
    """Integer of 1/MONEY_SCALE → its shortest decimal text: 19990000000 → `19.99`."""
    whole, fraction = divmod(abs(scaled), MONEY_SCALE)
    text = f"{whole}.{fraction:09d}".rstrip("0").rstrip(".")
    return f"-{text}" if scaled < 0 else text
