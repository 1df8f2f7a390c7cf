"""Sales, campaigns and holidays: when they hold, what they change, and what is refused."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.definitions import parse_funnels
from schemas.errors import ConfigError
from schemas.expectation.calendar import Calendar, Occasion
from schemas.rules import Links, Scale, render, rule_file
from schemas.settings import load_settings
from schemas.settings.sections import Site

ALL = ("all", "all")
FUNNELS = parse_funnels(
    {
        "funnels": [
            {
                "name": "shop", "unit": "session", "dimensions": ["channel", "device"],
                "stages": [{"name": "visit", "events": "visit"}, {"name": "buy", "events": "buy"}],
            }
        ]
    },
    "test",
)  # fmt: skip


def ms(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc, arg-type]


def calendar(folder: Path, text: str) -> Calendar:
    file = folder / "funnelwatch.toml"
    file.write_text(text + '\n[site]\ntimezone = "Europe/Berlin"\n')
    return load_settings(file, {}, {}).calendar


def test_a_date_is_a_day_of_the_sites_clock_and_the_last_one_counts(tmp_path: Path) -> None:
    found = calendar(tmp_path, '[[calendar]]\nname = "sale"\nfrom = 2026-11-27\nuntil = 2026-11-30\nrate = 0.8\n')
    assert found.occasions == (Occasion("sale", ms(2026, 11, 26, 23), ms(2026, 11, 30, 23), rate=0.8),)


@pytest.mark.parametrize(
    ("day", "hours", "begins"),
    [("2026-03-29", 23, ms(2026, 3, 28, 23)), ("2026-10-25", 25, ms(2026, 10, 24, 22)), ("2026-06-01", 24, ms(2026, 5, 31, 22))],
)  # fmt: skip
def test_days_of_clock_changes_are_as_long_as_they_are(day: str, hours: int, begins: int, tmp_path: Path) -> None:
    (one,) = calendar(tmp_path, f'[[calendar]]\nname = "sale"\nfrom = {day}\nuntil = {day}\ntraffic = 8\n').occasions
    assert (one.start, one.end - one.start) == (begins, hours * 3_600_000)


def test_times_are_moments_with_or_without_an_offset(tmp_path: Path) -> None:
    text = '[[calendar]]\nname = "sale"\nfrom = 2026-11-27T18:00:00\nuntil = 2026-11-27T20:00:00Z\ntraffic = 3.5\n'
    (one,) = calendar(tmp_path, text).occasions
    assert (one.start, one.end, one.traffic) == (ms(2026, 11, 27, 17), ms(2026, 11, 27, 20), 3.5)


@pytest.mark.parametrize(
    ("occasion", "segment", "stage", "factor"),
    [
        (Occasion("o", 0, 10, rate=0.8), ALL, "visit", 0.8),
        (Occasion("o", 0, 10, "shop", "visit", rate=0.8), ("device", "mobile"), "visit", 0.8),
        (Occasion("o", 0, 10, "shop", "buy", rate=0.8), ALL, "visit", 1.0),
        (Occasion("o", 0, 10, "other", rate=0.8), ALL, "visit", 1.0),
        (Occasion("o", 0, 10, dimension="channel", value="paid", rate=2.0), ALL, "visit", 1.0),
        (Occasion("o", 0, 10, dimension="channel", value="paid", rate=2.0), ("channel", "paid"), "visit", 2.0),
        (Occasion("o", 0, 10, dimension="channel", value="paid", rate=2.0), ("channel×device", "paid×mobile"), "visit", 2.0),
        (Occasion("o", 0, 10, dimension="channel", value="paid", rate=2.0), ("channel×device", "email×paid"), "visit", 1.0),
        (Occasion("o", 10, 20, rate=0.8), ALL, "visit", 1.0),
        (Occasion("o", -5, 5, rate=0.8), ALL, "visit", 1.0),
        (Occasion("o", 5, 6, traffic=8.0), ALL, "visit", 1.0),
    ],
)  # fmt: skip
def test_a_rate_is_changed_where_and_when_it_is_declared(
    occasion: Occasion, segment: tuple[str, str], stage: str, factor: float
) -> None:
    assert Calendar((occasion,)).factor("shop", stage, segment, 5) == factor


@given(
    st.lists(st.tuples(st.integers(0, 20), st.integers(1, 20), st.sampled_from([0.5, 2.0, 4.0])), max_size=5),
    st.integers(0, 50),
)
def test_what_holds_together_multiplies(spans: list[tuple[int, int, float]], at: int) -> None:
    found = Calendar(tuple(Occasion("o", start, start + length, rate=rate) for start, length, rate in spans))
    product = 1.0
    for start, length, rate in spans:
        product *= rate if at in range(start, start + length) else 1.0
    assert found.factor("shop", "visit", ALL, at) == product


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("from = 2026-01-01\nuntil = 2026-01-02\nrate = 0.5", "name: is empty"),
        ('name = "s"\nuntil = 2026-01-02\nrate = 0.5', "from: is missing"),
        ('name = "s"\nfrom = "2026-01-01"\nuntil = 2026-01-02\nrate = 0.5', "neither a date nor a time"),
        ('name = "s"\nfrom = 2026-01-03\nuntil = 2026-01-02\nrate = 0.5', "is not after"),
        ('name = "s"\nfrom = 2026-01-01\nuntil = 2026-01-02', "changes nothing"),
        ('name = "s"\nfrom = 2026-01-01\nuntil = 2026-01-02\nrate = 0', "is out of range"),
        ('name = "s"\nfrom = 2026-01-01\nuntil = 2026-01-02\nrate = nan', "is out of range"),
        ('name = "s"\nfrom = 2026-01-01\nuntil = 2026-01-02\nrate = "x"', "is not a number"),
        ('name = "s"\nfrom = 2026-01-01\nuntil = 2026-01-02\nrate = 0.5\nstage = "buy"', "without its funnel"),
        ('name = "s"\nfrom = 2026-01-01\nuntil = 2026-01-02\nrate = 0.5\nvalue = "x"', "belong together"),
        ('name = "s"\nfrom = 2026-01-01\nuntil = 2026-01-02\ntraffic = 8\ndimension = "channel"\nvalue = "x"', "of a whole funnel"),
        ('name = "s"\nfrom = 2026-01-01\nuntil = 2026-01-02\nrat = 0.5', "did you mean rate?"),
        ('name = "s"\nfrom = 9999-12-31\nuntil = 9999-12-31\nrate = 0.5', "is out of range"),
    ],
)  # fmt: skip
def test_mistakes_are_one_line_with_a_remedy(table: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        calendar(tmp_path, f"[[calendar]]\n{table}\n")
    assert said in str(caught.value)
    assert "[[calendar]]" in str(caught.value) or "calendar" in str(caught.value)


@pytest.mark.parametrize(
    ("occasion", "said"),
    [
        (Occasion("s", 0, 1, "shpo", rate=2.0), "did you mean shop?"),
        (Occasion("s", 0, 1, "shop", "byu", rate=2.0), "did you mean buy?"),
        (Occasion("s", 0, 1, "shop", "", "country", "de", rate=2.0), "not broken down by country"),
    ],
)
def test_an_occasion_of_what_is_not_there_is_refused(occasion: Occasion, said: str) -> None:
    Calendar((Occasion("s", 0, 1, "shop", "visit", "device", "mobile", rate=2.0),)).check(FUNNELS)
    with pytest.raises(ConfigError, match=said.replace("?", r"\?")):
        Calendar((occasion,)).check(FUNNELS)


def test_rules_know_declared_traffic_and_nothing_else_of_the_calendar() -> None:
    site = Site(name="shop")
    plain = render(rule_file(FUNNELS, site, Links(), Scale()))
    rates = Calendar((Occasion("s", 0, 1000, rate=0.5),))
    assert render(rule_file(FUNNELS, site, Links(), Scale(), rates)) == plain
    assert "funnel:calendar" not in plain
    traffic = Calendar((Occasion("s", 1000, 9000, "shop", traffic=8), Occasion("h", 1000, 9000, "shop", traffic=0.1)))
    text = render(rule_file(FUNNELS, site, Links(), Scale(), traffic))
    assert (
        "(1 - 0.875 * (time() - 604800 > bool 1.000) * (time() - 605400 < bool 9.000))" in text
    )  # ten minutes, a week ago
    assert "(1 - 0.9 * (time() > bool 1.000) * (time() - 600 < bool 9.000))" in text  # fewer now
