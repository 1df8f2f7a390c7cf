"""funnels.toml: what a bad one is told. Each mistake is one line with place, value and remedy; all are told at once."""

import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions import FUNNEL_KEYS, STAGE_KEYS, load_funnels, parse_funnels, preset_names, render_funnel
from schemas.definitions.conditions import OPERATORS
from schemas.definitions.fields import CONDITION_FIELDS
from schemas.errors import ConfigError
from schemas.event import FIELDS
from schemas.problems import parts_of
from schemas.toml import parse_toml

GOOD: dict[str, Any] = {
    "name": "f",
    "unit": "session",
    "stages": [{"name": "a", "events": ["a"]}, {"name": "b", "events": ["b"]}, {"name": "c", "events": ["c"]}],
}


def told(funnel: dict[str, Any]) -> list[str]:
    """The lines that a file with this funnel is answered with."""
    try:
        parse_funnels({"funnels": [funnel]}, "f.toml")
    except ConfigError as error:
        return [str(part).removeprefix("f.toml, ") for part in parts_of(error)]
    return []


def with_stage(index: int, **keys: Any) -> dict[str, Any]:
    stages = [dict(stage) for stage in GOOD["stages"]]
    stages[index] |= keys
    return GOOD | {"stages": stages}


def test_the_base_of_these_tests_is_good() -> None:
    assert told(GOOD) == []


@pytest.mark.parametrize(
    "change, line",
    [
        (
            {"unit": "sesion"},
            'funnel "f", unit: "sesion" is none of "session", "visitor", "account"; did you mean "session"?',
        ),
        ({"windw": "1h"}, 'funnel "f", windw: unknown key; did you mean window?'),
        ({"name": "a/b"}, 'funnel 1, name: "a/b" can\'t be a name; use letters, digits, _ - . and spaces between them'),
        ({"name": "x" * 65}, f'funnel 1, name: "{"x" * 65}" has 65 characters; write at most 64'),
        ({"window": "0h"}, "is not positive"),
        ({"window": "5m"}, '"10m" (the default) is not shorter than window "5m"; write lateness = "2m30s" or less'),
        ({"lateness": "24h"}, 'funnel "f", lateness: "1d" is not shorter than window "1d"; write lateness = "12h"'),
        ({"stages": []}, 'funnel "f", stages: there are none; write at least one [[funnels.stages]]'),
        ({"stages": 3}, 'funnel "f", stages: 3 is not an array of tables; write [[funnels.stages]] above each one'),
        ({"dimensions": ["chanel"]}, 'can be a dimension; did you mean "channel"?'),
        ({"dimensions": ["user_id"]}, '"user_id" is an id: each would be a value; name a field with few values'),
        ({"dimensions": ["channel×device"]}, 'names several fields; name each alone, such as ["channel", "device"]'),
        ({"dimensions": ["channel", "channel"]}, "names a field twice; name each field once"),
        ({"dimensions": ["properties."]}, '"properties." is not a path'),
        ({"refunds": [""]}, 'funnel "f", refunds: is empty'),
        ({"preset": "ecomerce"}, 'funnel "f", preset: "ecomerce" is not a preset; did you mean "ecommerce"?'),
        ({"preset": "aida"}, 'stage 1, name: "a" is not a stage of the preset "aida"; its stages: attention, interest'),
    ],
)
def test_mistakes_in_a_funnel(change: dict[str, Any], line: str) -> None:
    lines = told(GOOD | change)
    assert any(line in said for said in lines), lines


@pytest.mark.parametrize(
    "index, change, line",
    [
        (1, {"evens": "x"}, 'stage "b", evens: unknown key; did you mean events?'),
        (1, {"events": []}, 'stage "b", events: is empty; write at least one text, such as ["a", "b"]'),
        (1, {"events": ["$heartbeat"]}, "is no event, but an order to funnelwatch; leave it out"),
        (1, {"name": "a"}, 'stage "a": there are several of this name; give each stage a name of its own'),
        (0, {"optional": True}, 'stage "a", optional: the first stage is the entry; leave optional out'),
        (2, {"optional": True}, 'stage "c", optional: the last stage is the conversion; leave optional out'),
        (0, {"within": "1h"}, 'stage "a", within: the first stage has no stage before it; put within on a later stage'),
        (0, {"exclude": "x"}, 'stage "a", exclude: no attempt waits for the first stage; put exclude on a later stage'),
        (0, {"floor": 0.5}, 'stage "a", floor: the first stage\'s rate is always 1; put floor on a later stage'),
        (1, {"target": 1.5}, 'stage "b", target: 1.5 is not a share above 0 and at most 1; write 0.35 for 35 %'),
        (
            1,
            {"target": 0.3, "floor": 0.4},
            'stage "b", floor: 0.4 lies above target 0.3; write a floor below the target',
        ),
        (1, {"floor_minimum": 3}, 'stage "b", floor_minimum: has no floor to go with; write floor = 0.2 as well'),
        (1, {"within": 30}, 'stage "b", within: 30 has no unit; write a text such as "30m"'),
        (
            1,
            {"value": "cost"},
            'stage "b", value: "cost" is no field with money; write "revenue" or "properties.amount"',
        ),
        (1, {"alert": "yes"}, 'stage "b", alert: "yes" is neither true nor false; write true or false, without quotes'),
        (1, {"exclude": ["b"]}, 'stage "b", exclude: "b" is also an event of stage "b", which is awaited then'),
        (1, {"where": {"devise": "x"}}, 'stage "b", where.devise: is not a field of events; did you mean "device"?'),
        (1, {"where": {"device": 3}}, 'stage "b", where.device: 3 is not a text; write it in double quotes'),
        (1, {"where": {"device": []}}, "where.device: is empty: nothing would fit; write at least one value"),
        (1, {"where": {"device": {"ge": 3}}}, "where.device.ge: device is not a number; compare texts with"),
        (1, {"where": {"revenue": {"gte": 3}}}, "where.revenue.gte: unknown operator; did you mean"),
        (
            1,
            {"where": {"revenue": {"ge": "3"}}},
            'where.revenue.ge: "3" is not a number; write a number without quotes',
        ),
        (1, {"where": {"revenue": [1, 2]}}, "where.revenue: 1 can't be looked up: revenue is an amount"),
        (1, {"where": {"revenue": {"ge": float("nan")}}}, "where.revenue.ge: nan is not a number that events have"),
        (1, {"where": {"url": {"exists": 1}}}, "where.url.exists: 1 is neither true nor false"),
        (1, {"where": {"properties": "x"}}, 'where.properties: "properties" is not a path; write "properties.plan"'),
    ],
)
def test_mistakes_in_a_stage(index: int, change: dict[str, Any], line: str) -> None:
    lines = told(with_stage(index, **change))
    assert any(line in said for said in lines), lines


@pytest.mark.parametrize("key, value", [("optional", True), ("within", "1h"), ("exclude", ["x"])])
def test_unordered_mode_has_no_order(key: str, value: object) -> None:
    lines = told(with_stage(1, **{key: value}) | {"mode": "unordered"})
    assert lines == [
        f'funnel "f", stage "b", {key}: does not exist in unordered mode; leave {key} out, or write mode = "ordered"'
    ]


def test_an_excluded_event_may_be_a_stage_that_is_not_awaited_or_has_a_condition() -> None:
    assert told(with_stage(2, exclude=["a", "b"])) == []  # once b is reached, c alone is awaited
    skipping = with_stage(1, optional=True)
    skipping["stages"][2]["exclude"] = ["b"]
    assert len(told(skipping)) == 1  # while b may still come, it is awaited together with c
    skipping["stages"][1]["where"] = {"device": "mobile"}
    assert told(skipping) == []


def test_sixty_two_stages_and_no_more() -> None:
    stages = [{"name": f"s{k}", "events": [f"e{k}"]} for k in range(63)]
    assert told(GOOD | {"stages": stages[:62]}) == []
    assert told(GOOD | {"stages": stages}) == ['funnel "f", stages: there are 63; write at most 62']


def test_a_stage_without_anything() -> None:
    assert told(GOOD | {"stages": [{}]}) == [
        'funnel "f", stage 1, name: is missing; write name = "purchase"',
        'funnel "f", stage 1, events: is missing; write events = ["purchase"]',
    ]


def test_all_mistakes_of_a_file_are_told_together() -> None:
    document = {"funels": [], "funnels": [GOOD | {"unit": 3}, with_stage(1, within="soon"), {"preset": "x"}]}
    with pytest.raises(ConfigError) as caught:
        parse_funnels(document, "f.toml")
    lines = str(caught.value).split("\n")
    assert [line.split(": ")[0] for line in lines] == [
        "f.toml, funels",
        'f.toml, funnel "f", unit',
        'f.toml, funnel "f", stage "b", within',
        "f.toml, funnel 3, preset",
        'f.toml, funnel "f"',
    ]


def test_a_file_without_funnels() -> None:
    with pytest.raises(ConfigError, match=r"^f\.toml: defines no funnel; write \[\[funnels\]\]"):
        parse_funnels({}, "f.toml")


def test_a_missing_file_and_bad_syntax_name_file_and_line(tmp_path: Path) -> None:
    path = tmp_path / "funnels.toml"
    with pytest.raises(ConfigError) as missing:
        load_funnels(path)
    assert str(missing.value) == f"{path}: no such file; check the path, or create the file"
    path.write_text('[[funnels]]\nname = "a"\nunit = session\n')
    with pytest.raises(ConfigError) as syntax:
        load_funnels(path)
    assert str(syntax.value).startswith(f"{path}, line 3, column 8: not valid TOML: ")
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="byte 0 is not UTF-8"):
        load_funnels(path)
    path.write_text("a = " + "[" * 5000)
    with pytest.raises(ConfigError, match="not valid TOML"):
        load_funnels(path)
    path.write_text("a = " + "9" * 5000)
    with pytest.raises(ConfigError, match="a number has too many digits"):
        load_funnels(path)


def test_the_fields_of_conditions_are_the_fields_of_events() -> None:
    others = {"ts", "bot", "properties", "variant"}
    assert set(CONDITION_FIELDS) == set(FIELDS) - others


WORDS = st.sampled_from([*FUNNEL_KEYS, *STAGE_KEYS, *OPERATORS, *CONDITION_FIELDS, *preset_names(), "properties", "1h"])
SCALARS = (
    st.text(max_size=8)
    | WORDS
    | st.booleans()
    | st.integers()
    | st.just(10**300)
    | st.floats()
    | st.sampled_from(
        [date(2026, 1, 1), time(1, 2), datetime(2026, 1, 1, tzinfo=UTC), "session", "unordered", "\ud800"]
    )
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=5)
)
STAGES = st.fixed_dictionaries({}, optional=dict.fromkeys(STAGE_KEYS, VALUES))
FUNNELS = st.fixed_dictionaries({}, optional=dict.fromkeys(FUNNEL_KEYS, VALUES) | {"stages": st.lists(STAGES)})


def refused(read: Callable[[], object]) -> list[ConfigError]:
    """What the ConfigError carries, if there is one; anything else that is raised fails the test."""
    try:
        read()
    except ConfigError as error:
        return list(parts_of(error))
    return []


def all_usable(parts: list[ConfigError]) -> bool:
    """Each is one printable line that begins with the file and ends with a remedy."""
    return all(str(part).isprintable() and part.where.startswith("f.toml") and part.remedy for part in parts)


def test_an_operator_of_control_characters_is_shown_escaped() -> None:
    parts = refused(lambda: parse_funnels({"funnels": [with_stage(0, where={"event": {"\x1f": 1}})]}, "f.toml"))
    assert [part.where for part in parts] == ['f.toml, funnel "f", stage "a", where.event."\\u001f"']
    assert all_usable(parts)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(st.text(max_size=5), VALUES) | st.fixed_dictionaries({"funnels": VALUES | st.lists(FUNNELS)}))
def test_any_document_is_read_or_refused(document: dict[str, object]) -> None:
    assert all_usable(refused(lambda: parse_funnels(document, "f.toml")))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(FUNNEL_KEYS), VALUES)
def test_any_value_in_a_good_funnel_is_read_or_refused(key: str, value: object) -> None:
    assert all_usable(refused(lambda: parse_funnels({"funnels": [GOOD | {key: value}]}, "f.toml")))


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(STAGE_KEYS), VALUES | st.dictionaries(WORDS, VALUES), st.sampled_from([0, 1, 2]))
def test_any_value_in_a_good_stage_is_read_or_refused(key: str, value: object, index: int) -> None:
    document = {"funnels": [with_stage(index, **{key: value})]}
    parts = refused(lambda: parse_funnels(document, "f.toml"))
    assert all_usable(parts)
    if not parts:  # then it can be written down again, and means the same
        (funnel,) = parse_funnels(document, "f.toml")
        assert parse_funnels(tomllib.loads(render_funnel(funnel)), "f.toml") == (funnel,)


@settings(max_examples=200, deadline=None)
@given(st.text() | st.text(alphabet='[]{}="\n.funels0'))
def test_any_text_is_read_or_refused(text: str) -> None:
    assert all_usable(refused(lambda: parse_funnels(parse_toml(text, "f.toml"), "f.toml")))


@pytest.mark.parametrize("key", ["window", "unit", "dimensions", "stages"])
def test_a_number_of_thousands_of_digits_is_told_shortly(key: str) -> None:
    assert any("huge number" in line for line in told(GOOD | {key: 10**5000}))


def test_good_documents_exist_among_those_of_a_file() -> None:
    assert parse_funnels(tomllib.loads('[[funnels]]\npreset = "newsletter"'), "f")[0].name == "newsletter"
