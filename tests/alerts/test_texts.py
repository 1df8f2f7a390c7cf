"""The texts of alerts as Prometheus renders them: golden files, and what an unkind value does to them."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest

from schemas import metrics as m
from schemas.rules import Links, Scale, render, rule_file
from schemas.rules import names as n
from schemas.rules.zone import local
from tests.alerts.promtool import LATER, Moment, Phase, Scenario, document, need_promtool, only
from tests.alerts.shipped import FUNNELS, SETTINGS
from tests.alerts.shop import WHOLE, at_risk, background, checkout, series, steady

GOLDEN = Path(__file__).parent / "golden"
INSTAGRAM, MOBILE, MAIL, DESKTOP = (
    ("channel", "instagram"),
    ("device", "mobile"),
    ("channel", "email"),
    ("device", "desktop"),
)


def _fall_of_instagram(minutes: int = 200, name: str = "instagram", release: str = "release 42") -> Scenario:
    """From minute 120 on Instagram, 40 % of all, converts a tenth as well; a purchase is worth 50 euros; a release at 126."""
    whole, mine, rest = 5.0, 2.0, 3.0
    fallen = 0.2
    channel = ("channel", name)
    rates = {
        WHOLE: (whole, rest + fallen), channel: (mine, fallen), MAIL: (rest, rest),
        MOBILE: (3, 3 - (mine - fallen) / 2), DESKTOP: (2, 2 - (mine - fallen) / 2),
    }  # fmt: skip

    def since(healthy: float, wrong: float) -> tuple[Phase, ...]:
        return (Phase(120, healthy), Phase(minutes - 120, wrong))

    expected = {segment: steady(minutes, healthy) for segment, (healthy, _) in rates.items()}
    observed = {segment: since(*both) for segment, both in rates.items()}
    counted = {segment: since(healthy, at_risk(healthy, left)) for segment, (healthy, left) in rates.items()}
    funnel = (("funnel", "purchase"), ("dimension", m.ALL), ("value", m.ALL))
    revenue = series(m.CONVERSION_VALUE, steady(minutes, 250), *funnel, ("currency", "EUR"))
    dollars = series(m.CONVERSION_VALUE, steady(minutes, 0), *funnel, ("currency", "USD"))
    change = series(m.ANNOTATION, steady(minutes, 0), ("name", release), ("kind", "release"), start=7560)
    bought = series(m.STAGE_ENTERED, steady(minutes, 5), *funnel, ("funnel_stage", "purchase"))
    scraped = (*background(minutes), *checkout(observed, expected, counted=counted), revenue, dollars, bought, change)
    groups = ("definitions", "steps", "long windows", "drops")
    return Scenario("texts", scraped, (Moment(minutes - 10 + LATER, ()),), groups=groups)


def rendered(alert: str, scenario: Scenario, folder: Path, says: str = "") -> dict[str, str]:
    """The annotations of the first `alert` at the scenario's moment that `says` so, taken from promtool's complaint."""
    need_promtool()
    rules, file = folder / "rules.yml", folder / "texts.test.yml"
    text = render(rule_file(FUNNELS, SETTINGS.site, Links(), Scale()))
    rules.write_text(only(scenario.groups, text))
    asked = json.loads(document(scenario, rules))
    test = asked["tests"][0]
    del test["promql_expr_test"]
    test["alert_rule_test"] = [{"eval_time": f"{scenario.moments[0].minute}m", "alertname": alert, "exp_alerts": []}]
    file.write_text(json.dumps(asked))
    ran = subprocess.run(
        ["nice", "-n", "15", "promtool", "test", "rules", str(file)],
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    found = [text for text in re.findall(r"Annotations:\{(.*)\}", ran.stdout + ran.stderr) if says in text]
    assert found, ran.stdout + ran.stderr
    return {key: json.loads(f'"{value}"') for key, value in re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', found[0])}


def test_the_text_of_a_fall(tmp_path: Path) -> None:
    told = rendered(n.DROP, _fall_of_instagram(), tmp_path)
    text = json.dumps(told, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    file = GOLDEN / "drop.annotations.json"
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text()
    assert told["summary"].startswith("purchase: begin_checkout → purchase fell 3")
    assert told["responsible"].startswith("channel instagram (p = ")
    assert told["change"] == "began 5 min after release 42"  # or 4: scrapes are a minute apart here
    assert (
        told["since"] == "Thu 1 Jan, 03:10 (Europe/Berlin)"
    )  # 02:00 UTC, as well as windows of 60 and 80 minutes tell


def test_the_text_of_one_segment(tmp_path: Path) -> None:
    told = rendered(n.SEGMENT_DROP, _fall_of_instagram(), tmp_path, "(channel")
    assert "(channel instagram)" in told["summary"]
    assert told["fell"] == "79 %"  # over 80 minutes, 70 of which are the fall


def test_an_unkind_value_is_only_a_value(tmp_path: Path) -> None:
    name = '<b>{{ $labels.job }}</b>" or vector(1) # `x` \\'
    told = rendered(n.SEGMENT_DROP, _fall_of_instagram(name=name, release=name), tmp_path, "(channel")
    assert f"(channel {name})" in told["summary"]
    assert told["fell"] == "79 %"
    assert told["responsible"].startswith(f"channel {name} (p = ")
    assert told["change"] == f"began at about the time of {name}"  # a segment is looked at over fewer windows


@pytest.mark.parametrize(
    ("zone", "moment", "shown"),
    [
        ("Europe/Berlin", 1774745999, 1774745999 + 3600),  # 2026-03-29 01:59:59, the last second of winter
        ("Europe/Berlin", 1774746000, 1774746000 + 7200),
        ("Europe/Berlin", 1792889999, 1792889999 + 7200),  # 2026-10-25 02:59:59, the last second of summer
        ("Europe/Berlin", 1792890000, 1792890000 + 3600),
        ("America/New_York", 1772953200, 1772953200 - 4 * 3600),
        ("Asia/Kathmandu", 1792890000, 1792890000 + 20700),
        ("Australia/Lord_Howe", 1790000000, 1790000000 + 37800),
    ],
)
def test_local_times_follow_both_clock_changes(zone: str, moment: int, shown: int, tmp_path: Path) -> None:
    need_promtool()
    expectation = {
        "expr": local(f"vector({moment})", zone),
        "eval_time": "1m",
        "exp_samples": [{"labels": "{}", "value": shown}],
    }
    rules = tmp_path / "none.yml"
    rules.write_text(json.dumps({"groups": []}))
    test = {"interval": "1m", "input_series": [{"series": "x", "values": "1x3"}], "promql_expr_test": [expectation]}
    file = tmp_path / "zone.test.yml"
    file.write_text(json.dumps({"rule_files": [str(rules)], "tests": [test]}))
    ran = subprocess.run(
        ["promtool", "test", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
