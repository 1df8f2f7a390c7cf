"""Dated exchange rates into the reporting currency, exact to the last digit."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec

from schemas.errors import ConfigError
from schemas.problems import Problems
from schemas.settings.currency import as_currency
from schemas.toml import show
from schemas.values import as_tables

_REMEDY = "write from = 2026-01-01 and rates such as USD = 0.92 (reporting currency for one dollar)"
_LARGEST = Decimal(10) ** 9
_MOST_PLACES = 12


class Rate(msgspec.Struct, frozen=True):
    """From `start` (ms since 1970 UTC) on, one of the currency is numerator/denominator of the reporting currency."""

    start: int
    numerator: int
    denominator: int


class Rates(msgspec.Struct, frozen=True):
    """The reporting currency ("" = none) and for each other currency its rates, oldest first."""

    currency: str = ""
    by_currency: tuple[tuple[str, tuple[Rate, ...]], ...] = ()

    def convert(self, value: int, currency: str, ts_ms: int) -> int | None:
        """`value` (any integer unit, such as 1/MONEY_SCALE) of `currency` in the reporting currency, in the same unit.

        The rate is the one in force at `ts_ms` (ms since 1970 UTC); halves round to even. None where no rate is known
        for that currency and time, or no reporting currency is set.
        """
        if not self.currency:
            return None
        if currency == self.currency:
            return value
        for name, rates in self.by_currency:
            if name == currency:
                position = bisect_right(rates, ts_ms, key=lambda rate: rate.start)
                return _times(value, rates[position - 1]) if position else None
        return None


def _times(value: int, rate: Rate) -> int:
    quotient, rest = divmod(value * rate.numerator, rate.denominator)
    twice = 2 * rest
    return quotient + (twice > rate.denominator or (twice == rate.denominator and quotient % 2 == 1))


def parse_rates(value: object, currency: str, zone: ZoneInfo, where: str) -> Rates:
    """`[[site.rates]]` tables: `from`, a date (its midnight in `zone`), and for each currency its decimal rate.

    A currency keeps its last rate until a later table states another. Raises ConfigError.
    """
    problems = Problems()
    tables = as_tables(value, where, "[[site.rates]]")
    if tables and not currency:
        problems.add(where, "there are rates, but no reporting currency", 'write currency = "EUR" in [site]')
    dated: dict[int, dict[str, Rate]] = {}
    for number, table in enumerate(tables, 1):
        at = f"{where} {number}"
        start = problems.caught(None, _start, table.get("from"), zone, f"{at}, from")
        if start is None:
            continue
        if start in dated:
            problems.add(f"{at}, from", f"{show(table['from'])} is there twice", "write one table for each date")
        dated[start] = _rates(table, start, currency, at, problems)
    problems.raise_any()
    return Rates(currency, _by_currency(dated))


def _by_currency(dated: Mapping[int, Mapping[str, Rate]]) -> tuple[tuple[str, tuple[Rate, ...]], ...]:
    names = sorted({name for rates in dated.values() for name in rates})
    starts: Sequence[int] = sorted(dated)
    return tuple((name, tuple(dated[start][name] for start in starts if name in dated[start])) for name in names)


def _rates(table: Mapping[str, object], start: int, reporting: str, at: str, problems: Problems) -> dict[str, Rate]:
    rates: dict[str, Rate] = {}
    for key, value in table.items():
        if key == "from":
            continue
        where = f"{at}, {key if key.isidentifier() else show(key)}"
        name = problems.caught("", as_currency, key, where)
        rate = problems.caught(None, _rate, value, start, where)
        if name and name == reporting:
            problems.add(where, "is the reporting currency itself", "leave it out: its rate is 1")
        elif name and rate:
            rates[name] = rate
    if len(table) == 1:
        problems.add(at, "states no rate", _REMEDY)
    return rates


def _rate(value: object, start: int, where: str) -> Rate:
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise ConfigError(where, f"{show(value)} is not a decimal number", _REMEDY)
    rate = Decimal(value)
    if not rate.is_finite() or not 0 < rate <= _LARGEST or -int(rate.as_tuple().exponent) > _MOST_PLACES:
        remedy = f"write a number above 0, at most {_LARGEST}, with at most {_MOST_PLACES} decimals"
        raise ConfigError(where, f"{show(value)} is not a rate", remedy)
    return Rate(start, *rate.as_integer_ratio())


def _start(value: object, zone: ZoneInfo, where: str) -> int:
    if isinstance(value, datetime) or not isinstance(value, date):
        problem = "is missing" if value is None else f"{show(value)} is not a date"
        raise ConfigError(where, problem, _REMEDY)
    try:
        midnight = datetime(value.year, value.month, value.day, tzinfo=zone)
        return int(midnight.timestamp()) * 1000
    except (OverflowError, ValueError):
        raise ConfigError(where, f"{show(value)} is out of range", "write a date from 1970 on") from None
