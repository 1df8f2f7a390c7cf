"""`funnelwatch annotate`: what its options mean, what is refused, and which annotations are shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.annotation import Annotation, Kind, newest, pack, unpack
from schemas.errors import ConfigError
from schemas.settings import Settings, Site
from streams.annotations import Annotations
from streams.commands.annotate import annotation, silence

BERLIN = Settings(site=Site(name="shop 'x'", timezone="Europe/Berlin"))
NOW = 1_795_356_300_000  # 2026-11-22 14:05 UTC


def test_now_is_the_default_and_times_are_on_the_sites_clock() -> None:
    assert annotation(" release  42 ", None, "release", None, BERLIN, NOW) == Annotation("release 42", NOW)
    assert annotation("r", "2026-11-22T15:05", "price", None, BERLIN, 0) == Annotation("r", NOW, Kind.PRICE)
    assert annotation("r", "2026-11-22T14:05Z", "release", None, BERLIN, 0).at == NOW
    assert annotation("r", "2026-10-25T04:00", "release", None, BERLIN, 0).at == 1_792_897_200_000  # clocks went back
    assert annotation("r", "2026-03-29T04:00", "release", None, BERLIN, 0).at == 1_774_749_600_000  # and forward


def test_an_end_is_a_time_or_a_duration() -> None:
    assert annotation("r", None, "release", "2h", BERLIN, NOW).until == NOW + 7_200_000
    assert annotation("r", None, "release", "2026-11-22T16:05", BERLIN, NOW).until == NOW + 3_600_000


@pytest.mark.parametrize(
    ("name", "at", "until", "said"),
    [
        ("", None, None, "NAME: is empty"),
        ("a\x00b", None, None, "control characters"),
        ("x" * 121, None, None, "write at most 120"),
        ("r", "yesterday", None, "--at: 'yesterday' is not a time"),
        ("r", "1969-01-01", None, "--at: '1969-01-01' is out of range"),
        ("r", "9999-12-31T23:59:59-12:00", None, "--at"),
        ("r", None, "2026-11-22T12:00", "is not after the beginning"),
        ("r", None, "soon", "--until: 'soon' is not a time"),
    ],
)
def test_mistakes_are_one_line(name: str, at: str | None, until: str | None, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        annotation(name, at, "release", until, BERLIN, NOW)
    assert said in str(caught.value)


def test_the_command_that_silences_is_safe_to_paste() -> None:
    made = annotation("move; rm -rf 'x'", None, "maintenance", "30m", BERLIN, NOW)
    assert silence(made, "shop.example") == (
        "amtool silence add 'funnel_site=\"shop.example\"' --start=2026-11-22T14:05:00Z --end=2026-11-22T14:35:00Z "
        "--comment='move; rm -rf '\"'\"'x'\"'\"''"
    )


@given(
    st.lists(st.tuples(st.sampled_from("abcdefghijklmnop"), st.one_of(st.none(), st.integers(0, 10**12))), max_size=40)
)
def test_the_last_word_on_a_name_counts_and_ten_are_shown(records: list[tuple[str, int | None]]) -> None:
    held, oracle = Annotations(Settings().kafka, "topic"), dict[str, int]()
    for name, at in records:
        key, value = pack(Annotation(name, at or 0))
        held.take(key, None if at is None else value)
        oracle.pop(name, None)
        if at is not None:
            oracle[name] = at
    expected = sorted(((-at, name) for name, at in oracle.items()))[:10]
    assert [(-one.at, one.name) for one in held.newest()] == expected


def test_a_record_that_is_none_is_passed_over() -> None:
    held = Annotations(Settings().kafka, "topic")
    for value in (b"", b"{", b'{"name": 1}', b'{"name": "x", "at": "now"}', b'{"name":"x","at":1,"kind":"else"}'):
        held.take(b"x", value)
    assert held.newest() == []
    assert unpack(pack(Annotation("x", 1, Kind.PRICE, 2))[1]) == Annotation("x", 1, Kind.PRICE, 2)
    assert newest([]) == []
