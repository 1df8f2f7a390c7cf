"""The version of a definition changes when, and only when, what is counted changes."""

import copy
from typing import Any

import pytest

from schemas.definitions import parse_funnels, preset_names

BASE: dict[str, Any] = {
    "name": "f",
    "unit": "session",
    "mode": "ordered",
    "window": "1h",
    "lateness": "10m",
    "session_gap": "30m",
    "dimensions": ["channel", "device"],
    "refunds": ["refund", "storno"],
    "stages": [
        {"name": "a", "events": ["a1", "a2"], "where": {"device": ["mobile", "app"], "country": "DE"}},
        {"name": "b", "events": ["b"], "optional": True, "within": "20m", "exclude": ["x", "y"]},
        {"name": "c", "events": ["c"], "value": "revenue", "where": {"revenue": {"ge": 100}}},
    ],
}


def version(document: dict[str, Any]) -> str:
    return parse_funnels({"funnels": [document]}, "f.toml")[0].version


def changed(path: str, value: object) -> dict[str, Any]:
    """BASE with the value at `path` (`window`, `stages.1.within`)."""
    document = copy.deepcopy(BASE)
    target: Any = document
    *parents, last = path.split(".")
    for step in parents:
        target = target[int(step)] if step.isdigit() else target[step]
    target[last] = value
    return document


def test_it_is_twelve_hex_digits_that_never_move() -> None:
    assert version(BASE) == "9c83be3c03d2"
    assert version({"preset": "ecommerce"}) == "63c8ca308ec8"


@pytest.mark.parametrize(
    "path, value",
    [
        ("unit", "visitor"),
        ("mode", "strict"),
        ("window", "2h"),
        ("lateness", "5m"),
        ("session_gap", "31m"),
        ("dimensions", ["channel"]),
        ("dimensions", ["device", "channel"]),
        ("refunds", ["refund"]),
        ("stages", BASE["stages"][::2]),
        ("stages.0.name", "A"),
        ("stages.0.events", ["a1"]),
        ("stages.0.where", {"device": ["mobile"], "country": "DE"}),
        ("stages.0.where", {"device": {"not_in": ["mobile", "app"]}, "country": "DE"}),
        ("stages.1.optional", False),
        ("stages.1.within", "21m"),
        ("stages.1.exclude", ["x"]),
        ("stages.2.value", "properties.margin"),
        ("stages.2.where", {"revenue": {"gt": 100}}),
    ],
)
def test_what_changes_counting_changes_it(path: str, value: object) -> None:
    assert version(changed(path, value)) != version(BASE)


@pytest.mark.parametrize(
    "path, value",
    [
        ("name", "other name"),
        ("owner", "ann"),
        ("team", "shop"),
        ("stages.1.owner", "ann"),
        ("stages.1.team", "shop"),
        ("stages.1.target", 0.5),
        ("stages.1.floor", 0.5),
        ("stages.1.alert", False),
        ("stages.1.indicator", "Rate"),
        ("window", "60m"),
        ("lateness", "600s"),
        ("refunds", ["storno", "refund"]),
        ("stages.0.events", ["a2", "a1", "a2"]),
        ("stages.0.where", {"country": ["DE"], "device": {"in": ["app", "mobile"]}}),
        ("stages.1.exclude", ["y", "x"]),
        ("stages.2.where", {"revenue": {"ge": 100.0}}),
    ],
)
def test_what_doesnt_leaves_it(path: str, value: object) -> None:
    assert version(changed(path, value)) == version(BASE)


def test_the_order_of_keys_and_defaults_spelt_out_leave_it() -> None:
    turned = {key: BASE[key] for key in reversed(BASE)}
    turned["stages"] = [{key: stage[key] for key in reversed(stage)} for stage in BASE["stages"]]
    assert version(turned) == version(BASE)
    bare = {"name": "f", "unit": "visitor", "stages": [{"name": "a", "events": "a"}]}
    spelt = {
        "mode": "ordered",
        "window": "1d",
        "lateness": "10m",
        "session_gap": "1800s",
        "dimensions": [],
        "refunds": [],
    }
    assert version(bare | spelt) == version(bare)


def test_presets_have_versions_of_their_own() -> None:
    assert len({version({"preset": name}) for name in preset_names()}) == 8
