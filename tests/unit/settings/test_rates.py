"""Amounts in the reporting currency: exact, by the rate of the day, halves to even."""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError
from schemas.event import MONEY_SCALE
from schemas.problems import parts_of
from schemas.settings import Rates
from schemas.settings.rates import parse_rates

ZONE = ZoneInfo("Europe/Berlin")
TABLES = [
    {"from": date(2026, 7, 1), "USD": Decimal("0.9")},
    {"from": date(2026, 1, 1), "USD": Decimal("0.85"), "JPY": Decimal("0.0061")},
]
RATES = parse_rates(TABLES, "EUR", ZONE, "f.toml, [site], rates")


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


@pytest.mark.parametrize(
    "currency, at, converted",
    [
        ("USD", ms(2026, 3, 1), 85 * MONEY_SCALE),
        ("USD", ms(2026, 6, 30, 21, 59), 85 * MONEY_SCALE),
        ("USD", ms(2026, 6, 30, 22), 90 * MONEY_SCALE),  # midnight in Berlin
        ("USD", ms(2025, 12, 31, 22, 59), None),  # before the first rate
        ("JPY", ms(2026, 8, 1), 610_000_000),  # the last rate stays in force
        ("EUR", ms(1999, 1, 1), 100 * MONEY_SCALE),
        ("GBP", ms(2026, 8, 1), None),
        ("", ms(2026, 8, 1), None),
    ],
)
def test_the_rate_in_force_at_that_time_counts(currency: str, at: int, converted: int | None) -> None:
    assert RATES.convert(100 * MONEY_SCALE, currency, at) == converted


def test_without_a_reporting_currency_nothing_is_converted() -> None:
    assert Rates().convert(5, "EUR", 0) is None


def test_halves_round_to_even_also_below_zero() -> None:
    half = parse_rates([{"from": date(1970, 1, 2), "USD": Decimal("0.5")}], "EUR", ZONE, "f")
    converted = [half.convert(value, "USD", ms(2026, 1, 1)) for value in (1, 2, 3, 5, 7, -1, -2, -3, -5)]
    assert converted == [0, 1, 2, 2, 4, 0, -1, -2, -2]


@given(st.integers(-(10**24), 10**24), st.decimals("0.000000000001", "1000000000", places=12))
def test_it_is_exact_decimal_arithmetic(value: int, rate: Decimal) -> None:
    rates = parse_rates([{"from": date(1970, 1, 2), "USD": rate}], "EUR", ZONE, "f")
    context = Context(prec=100, rounding=ROUND_HALF_EVEN)
    wanted = context.quantize(context.multiply(Decimal(value), rate), Decimal(1))
    assert rates.convert(value, "USD", ms(2026, 1, 1)) == int(wanted)


@pytest.mark.parametrize(
    "tables, currency, line",
    [
        ([{"from": date(2026, 1, 1), "USD": Decimal(1)}], "", "f: there are rates, but no reporting currency; write"),
        ([{"USD": Decimal(1)}], "EUR", "f 1, from: is missing; write from = 2026-01-01 and rates"),
        ([{"from": "soon", "USD": Decimal(1)}], "EUR", 'f 1, from: "soon" is not a date; write from = 2026-01-01'),
        ([{"from": date(2026, 1, 1)}], "EUR", "f 1: states no rate; write from = 2026-01-01"),
        ([{"from": date(2026, 1, 1), "EUR": 1}], "EUR", "f 1, EUR: is the reporting currency itself; leave it out"),
        ([{"from": date(2026, 1, 1), "usd": 1}], "EUR", 'f 1, usd: "usd" is not a currency code; write three capital'),
        ([{"from": date(2026, 1, 1), "USD": 0}], "EUR", "f 1, USD: 0 is not a rate; write a number above 0"),
        ([{"from": date(2026, 1, 1), "USD": Decimal("NaN")}], "EUR", "f 1, USD: NaN is not a rate"),
        ([{"from": date(2026, 1, 1), "USD": "1"}], "EUR", 'f 1, USD: "1" is not a decimal number'),
        ([TABLES[0], TABLES[0]], "EUR", "f 2, from: 2026-07-01 is there twice; write one table for each date"),
        (3, "EUR", "f: 3 is not an array of tables; write [[site.rates]] above each one"),
    ],
)
def test_bad_rates_are_refused(tables: object, currency: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rates(tables, currency, ZONE, "f")
    assert any(str(part).startswith(line) for part in parts_of(caught.value)), str(caught.value)
