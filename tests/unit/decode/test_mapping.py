"""Mapping files: several paths, defaults, written times, and names of events in parts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.decode import DecodeOptions, Format, decoder, load_mapping
from schemas.errors import InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason
from tests.unit.decode.records import NOW, TS

IDS = '[fields]\ntimestamp = "t"\nvisitor_id = "v"\n'


def decoded(tmp_path: Path, toml: str, record: dict[str, Any]) -> Event:
    path = tmp_path / "m.toml"
    path.write_text(toml, encoding="utf-8")
    decode = decoder(DecodeOptions(format=Format.MAPPING, mapping=load_mapping(path)))
    return decode(json.dumps({"t": TS, "v": "v", "e": "x", **record}).encode(), NOW)


@pytest.mark.parametrize(
    "record, name",
    [
        ({"category": "cart", "action": "add"}, "cart.add"),
        ({"category": "cart", "action": ""}, "x"),
        ({"action": "add"}, "x"),
        ({"category": {"a": 1}, "action": "add"}, "x"),
    ],
)
def test_an_events_name_is_composed_or_else_taken_from_the_next_path(
    tmp_path: Path, record: dict[str, Any], name: str
) -> None:
    assert decoded(tmp_path, 'event = ["{category}.{action}", "e"]\n' + IDS, record).event == name


def test_a_composed_name_is_cast_and_translated(tmp_path: Path) -> None:
    toml = 'event = "{a}-{b}"\n' + IDS + '[casts]\nevent = "lower"\n[values.event]\n"CART-ADD" = "ADD_TO_CART"\n'
    assert decoded(tmp_path, toml, {"a": "CART", "b": "ADD"}).event == "add_to_cart"
    assert decoded(tmp_path, toml, {"a": "CART", "b": "DROP"}).event == "cart-drop"


@pytest.mark.parametrize(
    "record, visitor",
    [
        ({"user": {"cookie": "c"}, "device": "d"}, "c"),
        ({"user": {"cookie": ""}, "device": "d"}, "d"),
        ({"device": 7}, "7"),
    ],
)
def test_the_first_path_that_leads_to_something_counts(tmp_path: Path, record: dict[str, Any], visitor: str) -> None:
    toml = '[fields]\nevent = "e"\ntimestamp = "t"\nvisitor_id = ["user.cookie", "device", "never"]\n'
    assert decoded(tmp_path, toml, record).visitor_id == visitor


def test_defaults_stand_in_and_constants_give_way_to_the_record(tmp_path: Path) -> None:
    toml = (
        'event = "e"\n' + IDS + 'currency = "cur"\ncountry = "land"\n[constants]\nsite = "shop"\ncountry = "DE"\n'
        '[defaults]\ncurrency = "EUR"\n"properties.plan" = "free"\n'
    )
    found = decoded(tmp_path, toml, {"cur": "USD", "land": "AT"})
    assert (found.currency, found.country, found.site, found.properties) == ("USD", "AT", "shop", {"plan": "free"})
    assert decoded(tmp_path, toml, {"cur": ""}).currency == "EUR"
    assert decoded(tmp_path, toml, {}).country == "DE"


@pytest.mark.parametrize(
    "cast, written",
    [
        ("s", 1_714_566_896.789), ("ms", "1714566896789"), ("us", 1_714_566_896_789_000), ("ns", 1_714_566_896_789_000_000),
        ("%d.%m.%Y %H:%M:%S.%f", "01.05.2024 14:34:56.789"), ("%Y%m%d %H%M%S %f%z", "20240501 123456 789+0000"),
    ],
)  # fmt: skip
def test_times_as_they_are_written(tmp_path: Path, cast: str, written: Any) -> None:
    toml = f'timezone = "Europe/Berlin"\nevent = "e"\n{IDS}[casts]\ntimestamp = "{cast}"\n'
    assert decoded(tmp_path, toml, {"t": written}).ts == TS


@pytest.mark.parametrize("written", ["1.5.", "99.99.2024 10:00", "", [1], True])
def test_a_time_that_is_not_written_so(tmp_path: Path, written: Any) -> None:
    toml = f'event = "e"\n{IDS}[casts]\ntimestamp = "%d.%m.%Y %H:%M"\n'
    with pytest.raises(InvalidEvent) as caught:
        decoded(tmp_path, toml, {"t": written})
    assert caught.value.reason in (Reason.BAD_TIMESTAMP, Reason.MISSING_TIMESTAMP, Reason.WRONG_TYPE)
