"""Durations: what is read, what is refused, and that text and number say the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.durations import LONGEST, format_duration, parse_duration
from schemas.errors import ConfigError


@pytest.mark.parametrize(
    "text, milliseconds",
    [
        ("30m", 1_800_000),
        ("24h", 86_400_000),
        ("7d", 604_800_000),
        ("1h30m", 5_400_000),
        ("2w", 1_209_600_000),
        ("5ms", 5),
    ],
)
def test_texts_with_units_are_read(text: str, milliseconds: int) -> None:
    assert parse_duration(text, "f.toml, window") == milliseconds


@pytest.mark.parametrize(
    "wrong", ["", "30", "m", "1.5h", "-3m", "30m1h", "1h1h", "1 h", "1H", "٣m", None, [], True, "0s"]
)
def test_all_else_is_refused(wrong: object) -> None:
    with pytest.raises(ConfigError, match=r"f\.toml, window: "):
        parse_duration(wrong, "f.toml, window")


def test_a_number_without_unit_says_what_to_write() -> None:
    with pytest.raises(ConfigError) as caught:
        parse_duration(30, "f.toml, window")
    assert str(caught.value) == (
        'f.toml, window: 30 has no unit; write a text such as "30m", "24h", "7d" or "1h30m" (units w, d, h, m, s, ms)'
    )


def test_zero_only_where_it_is_allowed() -> None:
    assert parse_duration("0s", "x", zero=True) == 0


def test_longer_than_a_century_is_refused() -> None:
    assert parse_duration("36500d", "x") == LONGEST
    with pytest.raises(ConfigError, match="too long"):
        parse_duration("36501d", "x")


@given(st.integers(0, LONGEST))
def test_what_is_formatted_reads_back(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds), "x", zero=True) == milliseconds


def test_formatted_texts() -> None:
    assert [format_duration(ms) for ms in (0, 90_000, 86_400_000, 5_400_001)] == ["0s", "1m30s", "1d", "1h30m1ms"]
