"""The committed Alertmanager configuration and the generated rules, as amtool and promtool judge them."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from schemas.rules import Links, Scale, names, render, rule_file
from tests.alerts.alertmanager import FOLDER
from tests.alerts.promtool import need_promtool
from tests.alerts.shipped import FUNNELS, RULES, SETTINGS, with_floor

CONFIG = FOLDER / "alertmanager.yml"


def amtool(*arguments: str) -> str:
    program = shutil.which("amtool")
    if program is None:
        pytest.skip(
            "amtool is not installed: apt-get install prometheus-alertmanager, or run .ci/tools as root on Debian"
        )
    ran = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout.strip()


def test_amtool_takes_the_configuration() -> None:
    assert "SUCCESS" in amtool("check-config", str(CONFIG))


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (("alertname=FunnelConversionDrop", "severity=page"), "marketers"),
        (("alertname=FunnelSegmentConversionDrop", "severity=page"), "marketers"),
        (("alertname=FunnelTrafficOutage", "severity=page"), "marketers"),
        (("alertname=FunnelTrackingBroken", "severity=page"), "marketers"),
        (("alertname=FunnelBelowFloor", "severity=page"), "marketers"),
        (("alertname=FunnelConversionDropDaily", "severity=ticket"), "tickets"),
        (("alertname=FunnelIngestStalled", "severity=page"), "operators"),
        (("alertname=FunnelMetricsAbsent", "severity=page"), "operators"),
        (("alertname=FunnelExpectationAbsent", "severity=ticket"), "operators"),
        (("alertname=FunnelDeadLettersRising", "severity=page"), "operators"),
        (("alertname=FunnelSinkFailing", "severity=ticket"), "operators"),
        (("alertname=FunnelWatchdog", "severity=none"), "watchdog"),
    ],
)
def test_each_alert_has_its_receiver(labels: tuple[str, ...], receiver: str) -> None:
    assert amtool("config", "routes", "test", f"--config.file={CONFIG}", *labels) == receiver


def test_only_alerts_that_exist_are_named() -> None:
    loaded = yaml.safe_load(CONFIG.read_text())
    named: set[str] = set()
    matchers = [one for route in loaded["route"]["routes"] for one in route["matchers"]]
    for rule in loaded["inhibit_rules"]:
        matchers += rule["source_matchers"] + rule["target_matchers"]
    for matcher in matchers:
        label, _, value = (part.strip() for part in matcher.replace("=~", "=").partition("="))
        if label == "alertname":
            prefix, _, rest = value.strip('"').rstrip(")").partition("(")
            named |= {prefix + one for one in rest.split("|")} if rest else set(prefix.split("|"))
    assert named <= set(names.ALERTS)


def test_hours_are_those_of_the_sites_zone() -> None:
    loaded = yaml.safe_load(CONFIG.read_text())
    zones = {part["location"] for interval in loaded["time_intervals"] for part in interval["time_intervals"]}
    assert zones == {SETTINGS.site.timezone}


@pytest.mark.parametrize("factor", [1, 60, 3600])
def test_promtool_takes_the_rules_at_every_scale(factor: int, tmp_path: Path) -> None:
    file = tmp_path / "rules.yml"
    file.write_text(
        render(rule_file([with_floor(funnel) for funnel in FUNNELS], SETTINGS.site, Links(), Scale(factor)))
    )
    ran = subprocess.run(
        [need_promtool(), "check", "rules", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "SUCCESS" in ran.stdout


def test_prometheus_in_compose_reads_what_is_committed() -> None:
    compose = yaml.safe_load((RULES.parents[2] / "deploy" / "compose" / "prometheus.yml").read_text())
    assert compose["rule_files"] == ["rules/*.yml"]
    assert RULES.suffix == ".yml"
    assert {funnel.name for funnel in FUNNELS} == {"purchase", "newsletter", "lead-form"}
