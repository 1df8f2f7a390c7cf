"""Amounts of money as text: the one way in which funnelwatch writes them."""

from __future__ import annotations

from schemas.event import MONEY_SCALE

_DIGITS = len(str(MONEY_SCALE)) - 1


def format_money(amount: int) -> str:
    """`amount` (integer of 1/MONEY_SCALE) as a plain decimal: two decimals at least, no zeros beyond ("1234.50")."""
    whole, fraction = divmod(abs(amount), MONEY_SCALE)
    decimals = f"{fraction:0{_DIGITS}d}".rstrip("0").ljust(2, "0")
    return f"{'-' if amount < 0 else ''}{whole}.{decimals}"


def parse_money(text: str) -> int:
    """The integer of 1/MONEY_SCALE of a plain decimal with at most nine decimals, as databases print it."""
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, _, fraction = digits.partition(".")
    return sign * (int(whole or "0") * MONEY_SCALE + int(fraction.ljust(_DIGITS, "0")))
