"""The shipped rules under promtool: each alert fires, keeps silent and resolves; and every mutant of them is caught."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import msgspec
import pytest

from schemas.rules import Links, Scale, render, rule_file
from schemas.rules import names as n
from tests.alerts.promtool import run
from tests.alerts.scenarios import BY_NAME, EVERYTHING, RUNS, rules_for
from tests.alerts.shipped import FUNNELS, RULES, SETTINGS
from tests.alerts.together import together

Ran = subprocess.CompletedProcess[str]


def test_the_committed_rules_are_those_of_the_definitions() -> None:
    """After a change: funnelwatch rules --config examples/funnelwatch.toml -o grafana/rules/funnelwatch.yml"""
    assert RULES.read_text() == render(rule_file(FUNNELS, SETTINGS.site, Links(), Scale()))


class Mutant(msgspec.Struct, frozen=True):
    """A wrong rule file, and the scenario that must notice, at the minute `until` at the latest. `pattern` is replaced by `by` everywhere."""

    name: str
    pattern: str
    by: str
    scenario: str
    until: int = 10**9


MUTANTS = (
    Mutant("threshold-too-high", r"vector\(8\)$", "vector(10000)", "total-fall", 131),
    Mutant("threshold-too-low", r"vector\(8\)$", "vector(3.6)", "twelve-visitors"),
    Mutant("no-dead-zone", r"0\.9 \+ 0 \* ", "1 + 0 * ", "mild-fall", 200),
    Mutant("moderate-slope-gone", r"0\.333333 \* ", "0 * ", "moderate-fall"),
    Mutant("counts-wrong-way", r"- 0\.405465", "+ 0.405465", "mild-fall"),
    Mutant("no-keep-firing", r"keep_firing_for: 15m", "keep_firing_for: 1s", "total-fall", 190),
    Mutant("waits-too-long", r"for: 1m", "for: 20m", "total-fall", 131),
    Mutant("no-recovery", r"> 4\.605170", "> 9999", "total-fall", 204),
    Mutant("recovery-ends-too-much", r"\) >= on \(", ") >= bool on (", "second-fall"),
    Mutant("retractions-forgotten", r"-\(\(funnel_retracted_total", "0*((funnel_retracted_total", "retracted"),
    Mutant("resets-count-back", r"\) >= 0$", ") > -1e9", "fall-across-restart"),
    Mutant("one-worker-only", r"funnel_stage_conversions_total\{", 'funnel_stage_conversions_total{instance="worker-1:6066",', "two-workers"),
    Mutant("reads-target-labels", r"funnel_stage, dimension, value\)", "stage, dimension, value)", "total-fall", 131),
    Mutant("reads-target-site", r"funnel_site=", "site=", "total-fall", 131),
    Mutant("team-lost", r"next_stage, team, owner", "next_stage", "total-fall", 131),
    Mutant("segments-not-looked-at", r'dimension!="all",dimension!~"\.\*×\.\*"', 'dimension="none"', "one-channel"),
    Mutant("outage-needs-too-much", r"> 10$", "> 100000", "outage"),
    Mutant("outage-compares-nothing", r"offset (6d23h|7d1h|7d)\b", "offset 1m", "outage"),
    Mutant("outage-of-every-night", r"3\.218876 \* \(.*$", "0", "quiet-night"),
    Mutant("stall-unseen", r"== 0 and", "< 0 and", "silence-upstream"),
    Mutant("stall-of-idle-partition", r"\[10m\]\) > 0, ", "[10m]) >= 0, ", "idle-partition"),
    Mutant("latency-unseen", r"histogram_quantile\(0\.5", "histogram_quantile(0.01", "late-work"),
    Mutant("absence-unseen", r"absent_over_time\((funnel_build_info[^\[]*)\[5m\]", r"absent_over_time(\1[5d]", "gone"),
    Mutant("one-funnel-absent-unseen", r"\n.*absent_over_time.*newsletter.*", "", "other-definitions"),
    Mutant("dead-letters-unseen", r">= 20$", ">= 2000", "refused"),
    Mutant("dead-letters-any-share", r"0\.01 \* max", "0.001 * max", "few-refused"),
    Mutant("sink-unseen", r"\(increase\(funnel_sink_errors_total", "(-increase(funnel_sink_errors_total", "sink"),
    Mutant("queue-unseen", r"> 900$", "> 9000", "old-queue"),
    Mutant("silent-step-unseen", r"== 1$", "== 2", "required-step-silent"),
    Mutant("silent-optional-unseen", r'need="optional"', 'need="none"', "optional-step-silent"),
    Mutant("silence-without-skips", r'direction="skip"\}\[30m\]\), (.*)\) >= 5\)', r'direction="skip"}[30m]), \1) >= 0)', "step-without-visitors"),
    Mutant("daily-needs-too-much", r"> 0\.15\)", "> 0.9)", "daily-fall"),
    Mutant("sale-forgotten", r"- 0\.875 \*", "- 0 *", "sales"),
    Mutant("floor-too-low", r"< 0\.25$", "< 0.01", "below-floor"),
    Mutant("floor-without-minimum", r">= 200", ">= 0", "floor-few-entries"),
)  # fmt: skip


def ran(name: str, folder: Path) -> Ran:
    """The shipped rules on scenarios that run together."""
    scenarios = RUNS[name]
    alerts = () if name == EVERYTHING else n.ALERTS
    return run(together(name, scenarios), rules_for(scenarios), folder, alerts)


def mutated(mutant: Mutant) -> str:
    """The wrong rules."""
    changed, count = re.subn(mutant.pattern, mutant.by, rules_for([BY_NAME[mutant.scenario]]), flags=re.MULTILINE)
    assert count, "the mutant changes nothing: its pattern is out of date"
    return changed


def ran_mutant(mutant: Mutant, folder: Path) -> Ran:
    """Only the alerts that the scenario is about."""
    scenario = BY_NAME[mutant.scenario]
    seen = tuple(moment for moment in scenario.moments if moment.minute <= mutant.until)
    shorter = msgspec.structs.replace(scenario, moments=seen)
    return run(together(mutant.name, [shorter]), mutated(mutant), folder, scenario.about)


Runs = dict[str, "Future[Ran]"]


@pytest.fixture(scope="module")
def runs(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    """What was asked for, by name; two at a time, the longest first."""
    folder, chosen = tmp_path_factory.mktemp("promtool"), {item.name for item in request.session.items}
    asked: dict[str, Callable[[], Ran]] = {
        **{name: partial(ran, name, folder) for name in RUNS},
        **{mutant.name: partial(ran_mutant, mutant, folder) for mutant in MUTANTS},
    }
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(work) for name, work in asked.items() if any(f"[{name}]" in item for item in chosen)}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("name", RUNS)
def test_what_stands_when(name: str, runs: Runs) -> None:
    ran = runs[name].result()
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: str(mutant.name))
def test_a_wrong_rule_is_caught(mutant: Mutant, runs: Runs) -> None:
    ran = runs[mutant.name].result()
    assert ran.returncode != 0, f"{mutant.name} passes {mutant.scenario}"
    assert "exp:" in ran.stdout + ran.stderr, "the mutant is no valid rule file: " + ran.stdout + ran.stderr
