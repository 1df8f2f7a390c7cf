"""The rule file: what it holds, what the time scale changes, what unkind texts do to it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.definitions import parse_funnels
from schemas.durations import format_duration, parse_duration
from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.metrics import METRICS
from schemas.rules import Alert, Group, Links, Record, RuleFile, Scale, names, render, rule_file
from schemas.rules.promql import select
from schemas.rules.windows import SETTLED, STEP
from schemas.settings.rates import Rate, Rates
from schemas.settings.sections import Site

ROOT = Path(__file__).parents[3]
SHOP = Site(
    name="shop",
    timezone="Europe/Berlin",
    currency="EUR",
    rates=Rates("EUR", (("USD", (Rate(1000, 9, 10), Rate(2000, 8, 10))),)),
)


def funnels(**keys: object) -> tuple[Funnel, ...]:
    """visit → cart (optional) → pay → buy, with `keys` on the last stage."""
    stages = [
        {"name": "visit", "events": "visit"},
        {"name": "cart", "events": "cart", "optional": True},
        {"name": "pay", "events": "pay", "team": "payments"},
        {"name": "buy", "events": "buy", "value": "revenue", **keys},
    ]
    table = {"name": "shop", "unit": "session", "team": "web", "owner": "ann", "stages": stages}
    return parse_funnels({"funnels": [table]}, "test")


def rendered(defined: tuple[Funnel, ...], site: Site = SHOP, factor: int = 1) -> str:
    return render(rule_file(defined, site, Links(), Scale(factor)))


def rules(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def recorded(text: str, name: str) -> list[dict[str, Any]]:
    return [rule for rule in rules(text) if rule.get("record") == name]


def test_each_step_between_required_stages_has_a_threshold_and_who_is_told() -> None:
    found = [rule["labels"] for rule in recorded(rendered(funnels()), names.THRESHOLD)]
    assert found == [
        {"funnel_site": "shop", "funnel": "shop", "funnel_stage": "visit", "next_stage": "pay", "team": "payments", "owner": "ann"},
        {"funnel_site": "shop", "funnel": "shop", "funnel_stage": "pay", "next_stage": "buy", "team": "web", "owner": "ann"},
    ]  # fmt: skip


def test_a_stage_that_must_not_alert_has_no_threshold() -> None:
    found = [rule["labels"]["next_stage"] for rule in recorded(rendered(funnels(alert=False)), names.THRESHOLD)]
    assert found == ["pay"]


def test_unordered_levels_are_watched_by_their_numbers() -> None:
    stages = [{"name": name, "events": name} for name in "abc"]
    table = {"name": "f", "unit": "session", "mode": "unordered", "team": "t", "stages": stages}
    text = rendered(parse_funnels({"funnels": [table]}, "test"))
    found = [(rule["labels"]["funnel_stage"], rule["labels"]["next_stage"]) for rule in recorded(text, names.THRESHOLD)]
    assert found == [("1 of 3", "2 of 3"), ("2 of 3", "3 of 3")]
    assert recorded(text, names.ORDER) == []


def test_a_goal_has_nothing_that_could_fall() -> None:
    goal = parse_funnels(
        {"funnels": [{"name": "g", "unit": "session", "stages": [{"name": "a", "events": "a"}]}]}, "test"
    )
    assert recorded(rendered(goal), names.THRESHOLD) == []


def test_a_floor_has_a_rule_of_its_own_with_its_minimum_sample() -> None:
    assert not any(rule.get("alert") == names.FLOOR for rule in rules(rendered(funnels())))
    (rule,) = [
        rule for rule in rules(rendered(funnels(floor=0.2, floor_minimum=300))) if rule.get("alert") == names.FLOOR
    ]
    assert rule["labels"] == {
        "severity": "page", "funnel_stage": "pay", "next_stage": "buy", "team": "web", "owner": "ann",
    }  # fmt: skip
    assert ">= 300" in rule["expr"]
    assert "< 0.2" in rule["expr"]


def test_without_a_reporting_currency_or_money_there_is_no_revenue_at_risk() -> None:
    assert recorded(rendered(funnels()), names.MISSING_VALUE)
    assert not recorded(rendered(funnels(), Site(name="shop")), names.MISSING_VALUE)
    assert not recorded(rendered(funnels(value="properties.x"), Site(name="shop")), names.MISSING_VALUE)


def test_rates_step_on_their_dates_and_are_none_before_the_first() -> None:
    own, dollar = recorded(rendered(funnels()), names.CURRENCY_RATE)
    assert own["expr"] == "vector(1)"
    assert dollar["labels"]["currency"] == "USD"
    assert dollar["expr"] == "vector(0.9 + (0.8 - 0.9) * (time() >= bool 2)) and on () (vector(time()) >= 1)"


def test_every_alert_has_a_severity_a_text_and_a_section_in_the_runbook() -> None:
    runbook = (ROOT / "docs" / "alerts.md").read_text()
    sections = {line.removeprefix("## ").strip().lower() for line in runbook.splitlines() if line.startswith("## ")}
    alerts = [rule for rule in rules(rendered(funnels(floor=0.2))) if "alert" in rule]
    assert {rule["alert"] for rule in alerts} >= set(names.ALERTS) - {names.EXPECTATION_ABSENT}
    for rule in alerts:
        assert rule["labels"]["severity"] in ("page", "ticket", "none")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook_url"].rpartition("#")[2] in sections
    assert {name.lower() for name in names.ALERTS} <= sections


def test_pages_wait_a_minute_and_stay_a_quarter_of_an_hour() -> None:
    for rule in rules(rendered(funnels(floor=0.2))):
        if rule.get("labels", {}).get("severity") == "page":
            assert (rule["for"], rule["keep_firing_for"]) == ("1m", "15m")


def test_only_metrics_that_are_declared_are_read() -> None:
    known = {metric.name for metric in METRICS}
    for rule in rules(rendered(funnels(floor=0.2))):
        for name in re.findall(r"\bfunnel_\w+(?=\{)", rule["expr"]):
            assert re.sub("_(bucket|count|sum)$", "", name) in known, name


def test_what_is_read_is_recorded_first_or_scraped() -> None:
    text = rendered(funnels(floor=0.2))
    made = {rule["record"] for rule in rules(text) if "record" in rule}
    read = {name for rule in rules(text) for name in re.findall(r"\bfunnel:[\w:]+", rule["expr"])}
    assert read <= made


# --- the time scale

#: The beginning of a step: the sum of two durations, each of them rounded.
SINCE = format_duration(STEP + SETTLED)


@pytest.mark.parametrize("factor", [2, 10, 60, 360])
def test_the_time_scale_divides_every_duration_and_changes_nothing_else(factor: int) -> None:
    plain, scaled = _tokens(rendered(funnels(floor=0.2))), _tokens(rendered(funnels(floor=0.2), factor=factor))
    assert len(plain) == len(scaled)
    changed = 0
    for before, after in zip(plain, scaled, strict=True):
        if _is_duration(before):
            rounded = 1.0 if before == SINCE else 0.5
            assert parse_duration(after, "") == pytest.approx(parse_duration(before, "") / factor, abs=rounded), before
            changed += 1
        elif before != after:  # seconds, compared with time(); each is a duration of the plain file
            assert float(after) == pytest.approx(float(before) / factor, abs=0.0005), before
            changed += 1
    assert changed > 300


def test_no_duration_hides_in_a_text() -> None:
    """Between two factors all that may stay is dimensionless."""
    seconds = {
        token for token in _tokens(rendered(funnels())) if re.fullmatch(r"(60|300|600|900|3600|86400|604800)", token)
    }
    kept = {token for token in _tokens(rendered(funnels(), factor=13)) if token in seconds}
    assert kept <= {"3600"}  # the site's offset from UTC, which is no duration of the rules


def _tokens(text: str) -> list[str]:
    """The tokens of all texts of the file but the names of windows, which stay."""
    found = []
    for leaf in _leaves(yaml.safe_load(text)):
        plain = re.sub(r'\b(window|back)(=~|!=|=)"[^"]*"', r"\1\2", leaf)
        found += re.findall(r"(?:\d+(?:ms|[smhdw]))+\b|\d+(?:\.\d+)?(?:e[+-]?\d+)?|[A-Za-z_:]+|\S", plain)
    return found


def _leaves(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            yield from () if key in ("window", "back") else _leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from _leaves(value)
    else:
        yield str(node)


def _is_duration(token: str) -> bool:
    return re.fullmatch(r"(?:\d+(?:ms|[smhdw]))+", token) is not None


@pytest.mark.parametrize("factor", [0, -1, 3601])
def test_a_scale_out_of_range_is_refused(factor: int) -> None:
    with pytest.raises(ConfigError, match="--time-scale"):
        Scale(factor)


# --- texts from outside

_UNKIND = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=40)


@settings(max_examples=100, deadline=None)
@given(text=_UNKIND)
def test_any_text_is_carried_unchanged(text: str) -> None:
    record = Record("funnel:x", f"vector(1) # {text}", {"team": text})
    alert = Alert("X", select("funnel_x", team=text), {"team": text}, {"summary": text})
    made = render(RuleFile(("heading",), (Group(text, "1m", (record, alert)),)))
    (group,) = yaml.safe_load(made)["groups"]
    assert group["name"] == text
    assert group["rules"][0] == {"record": "funnel:x", "expr": f"vector(1) # {text}", "labels": {"team": text}}
    assert json.loads(group["rules"][1]["expr"].removeprefix("funnel_x{team=").removesuffix("}")) == text
    assert group["rules"][1]["annotations"] == {"summary": text}


def test_template_syntax_in_a_site_is_a_literal() -> None:
    text = render(rule_file(funnels(), Site(name='{{ "x" }}'), Links(), Scale()))
    (watchdog,) = [rule for rule in rules(text) if rule.get("alert") == names.WATCHDOG]
    assert watchdog["labels"]["funnel_site"] == r'{{ "{{ \"x\" }}" }}'
