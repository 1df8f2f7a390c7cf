"""promtool's own unit tests, written from what a scenario says: series by phases, and which alerts stand when."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import pytest
import yaml

#: Labels in their order: (("funnel", "purchase"), …).
Labels = tuple[tuple[str, str], ...]


class Phase(msgspec.Struct, frozen=True):
    """For `steps` scrapes a series grows by `rate` each. `absent`: no samples at all. `reset`: begins at 0 anew."""

    steps: int
    rate: float
    absent: bool = False
    reset: bool = False


class Series(msgspec.Struct, frozen=True):
    """One scraped series; `phases` follow each other. A gauge is a Series of rate 0 that starts at `start`."""

    metric: str
    labels: Labels
    phases: tuple[Phase, ...]
    start: float = 0

    def notation(self) -> str:
        """promtool's: `0+5x60`."""
        value, parts = self.start, [f"{self.start:g}"]
        for phase in self.phases:
            if phase.absent:
                parts.append(f"_x{phase.steps}")
                continue
            value = 0.0 if phase.reset else value + phase.rate
            parts.append(f"{value:.10g}{phase.rate:+.10g}x{phase.steps - 1}")
            value += phase.rate * (phase.steps - 1)
        return " ".join(parts)


class Moment(msgspec.Struct, frozen=True):
    """At `minute` after the start exactly `firing` alerts fire (the watchdog aside), each with at least these labels.

    `among`: a matcher of labels, `funnel="purchase"`; only these are looked at.
    """

    minute: int
    firing: tuple[Labels, ...]
    among: str = ""


class Scenario(msgspec.Struct, frozen=True):
    """`interval` in minutes: of the scrapes and of the evaluations. `series`: all that is scraped.

    `groups`: parts of the rule file that are looked at (empty: all), `without` rules that match, so that a run takes seconds.
    `silent`: the alert that it is about, where none fires.
    """

    name: str
    series: tuple[Series, ...]
    moments: tuple[Moment, ...]
    interval: int = 1
    groups: tuple[str, ...] = ()
    without: str = ""
    silent: str = ""

    @property
    def about(self) -> set[str]:
        """Names of the alerts that it says something of."""
        fired = {dict(labels)["alertname"] for moment in self.moments for labels in moment.firing}
        return fired | ({self.silent} if self.silent else set())


#: Minutes after a scrape that a rule counts it, where both come at full minutes: a step ends before it is looked at.
LATER = 1

#: What the expectations look at: enough to tell who is hit and who is told.
SHOWN = (
    "alertname", "severity", "funnel_site", "funnel", "funnel_stage", "next_stage", "dimension", "value", "team",
    "owner", "source",
)  # fmt: skip


def need_promtool() -> str:
    """The path of promtool; skips where there is none."""
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: apt-get install prometheus, or run .ci/tools as root on Debian")
    return found


def only(groups: Sequence[str], rules: str, without: str = "") -> str:
    """The rule file `rules` with these groups (by the end of their names) alone; as it is if none is named.

    `without`: rules that match this expression are left out.
    """
    loaded = yaml.load(rules, yaml.CSafeLoader)  # ten times as fast
    kept = [group for group in loaded["groups"] if not groups or group["name"].rpartition(": ")[2] in groups]
    if without:
        for group in kept:
            group["rules"] = [rule for rule in group["rules"] if not re.search(without, json.dumps(rule))]
    return json.dumps({"groups": kept})


#: What the rules record, as it stands in expressions.
_RECORDED = re.compile(r"\b[a-z_]+:[a-z_:]+")


def needed(alerts: Iterable[str], rules: str) -> str:
    """The rule file (JSON) with these alerts alone, without their texts, and all that they read, directly or not."""
    loaded = json.loads(rules)
    every = [rule for group in loaded["groups"] for rule in group["rules"]]
    wanted, found = set(alerts), set[str]()
    while wanted:
        found |= wanted
        read = (rule["expr"] for rule in every if rule.get("record", rule.get("alert")) in wanted)
        wanted = {name for expression in read for name in _RECORDED.findall(expression)} - found
    for group in loaded["groups"]:
        group["rules"] = [
            {key: value for key, value in rule.items() if key != "annotations"}
            for rule in group["rules"]
            if rule.get("record", rule.get("alert")) in found
        ]
    return json.dumps(loaded)


def document(scenario: Scenario, rules: Path) -> str:
    """promtool's test file (JSON, which is YAML)."""
    test = {
        "name": scenario.name,
        "interval": f"{scenario.interval}m",
        "input_series": [
            {"series": _selector(one.metric, one.labels), "values": one.notation()} for one in scenario.series
        ],
        "promql_expr_test": [_expectation(moment) for moment in scenario.moments],
    }
    interval = f"{scenario.interval}m"
    order = [group["name"] for group in json.loads(rules.read_text())["groups"]]  # else it is a different one each time
    whole = {
        "rule_files": [str(rules)],
        "group_eval_order": order,
        "evaluation_interval": interval,
        "tests": [test],
    }
    return json.dumps(whole, indent=1)


def run(scenario: Scenario, rules: str, folder: Path, alerts: Iterable[str] = ()) -> subprocess.CompletedProcess[str]:
    """`promtool test rules` on this scenario and the text of a rule file. `alerts`: only these and what they read."""
    subset, file = folder / f"{scenario.name}.rules.yml", folder / f"{scenario.name}.test.yml"
    kept = only(scenario.groups, rules, scenario.without)
    subset.write_text(needed(alerts, kept) if alerts else kept)
    file.write_text(document(scenario, subset))
    return verdict(file)


def verdict(file: Path) -> subprocess.CompletedProcess[str]:
    """`promtool test rules` on its test file. It allocates much and keeps little: collected less often it is a third faster."""
    command = ["nice", "-n", "15", need_promtool(), "test", "rules", str(file)]
    environment = os.environ | {"GOGC": "400"}
    return subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=environment)


def _expectation(moment: Moment) -> dict[str, object]:
    shown, among = ", ".join(SHOWN), f", {moment.among}" if moment.among else ""
    return {
        "expr": f'count by ({shown}) (ALERTS{{alertstate="firing", alertname!="FunnelWatchdog"{among}}})',
        "eval_time": f"{moment.minute}m",
        "exp_samples": [{"labels": _selector("", labels), "value": 1} for labels in moment.firing],
    }


def _selector(metric: str, labels: Labels) -> str:
    return metric + "{" + ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels) + "}"
