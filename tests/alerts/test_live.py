"""The whole chain at sixty times its speed: counters, the real Prometheus, the real Alertmanager, the messages."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.metrics import ALL
from schemas.rules import Links, Scale, render, rule_file
from tests.alerts.alertmanager import configuration, free_port, need_alertmanager, running
from tests.alerts.exporter import Exporter, Speeds
from tests.alerts.receivers import MailSink, WebSink, part, until
from tests.alerts.shipped import FUNNELS, SETTINGS
from tests.alerts.shop import CHECKOUT

FACTOR = 60  # a minute of the rules is a second
WHOLE, INSTAGRAM, MAIL = (ALL, ALL), ("channel", "instagram"), ("channel", "email")
EXPECTED = {WHOLE: 20.0, INSTAGRAM: 8.0, MAIL: 12.0}
WELL = Speeds(EXPECTED, EXPECTED)
ILL = Speeds(EXPECTED, {WHOLE: 12.0, INSTAGRAM: 0.0, MAIL: 12.0})


def need_prometheus() -> str:
    """The path of Prometheus; skips where there is none."""
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("Prometheus is not installed: apt-get install prometheus, or run .ci/tools as root on Debian")
    return found


@contextmanager
def prometheus(exporter: int, manager: int, folder: Path) -> Iterator[int]:
    """Prometheus with the scaled rules, on the port that is given; ended by its own pid."""
    rules, config, port = folder / "rules.yml", folder / "prometheus.yml", free_port()
    rules.write_text(render(rule_file(FUNNELS, SETTINGS.site, Links(), Scale(FACTOR))))
    target = {"targets": [f"127.0.0.1:{exporter}"], "labels": {"stage": "production", "site": "eu"}}
    document = {
        "global": {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        "scrape_configs": [{"job_name": "funnelwatch", "static_configs": [target]}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [f"127.0.0.1:{manager}"]}]}]},
    }
    config.write_text(json.dumps(document))
    command = [
        need_prometheus(), f"--config.file={config}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}", "--log.level=warn", "--rules.alert.resend-delay=1s",
    ]  # fmt: skip
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        until(lambda: process.poll() is not None or _get(port, "/-/ready") is not None, "Prometheus")
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def _get(port: int, path: str) -> str | None:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return str(answer.read().decode())
    except OSError:
        return None


def firing(port: int) -> set[str]:
    """Names of the alerts that fire now, the watchdog aside."""
    alerts = json.loads(_get(port, "/api/v1/alerts") or '{"data": {"alerts": []}}')["data"]["alerts"]
    return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"} - {"FunnelWatchdog"}


def pages(web: Any) -> list[dict[str, Any]]:
    return [one for body in web.at("/marketers") for one in body["alerts"]]


@pytest.mark.slow
def test_one_channel_falls_and_one_page_says_so(tmp_path: Path) -> None:
    need_prometheus()
    need_alertmanager()
    with ExitStack() as stack:
        mail, web = stack.enter_context(MailSink()), stack.enter_context(WebSink())
        manager = stack.enter_context(running(configuration(mail.port, web.port), tmp_path))
        worker = stack.enter_context(Exporter(WELL))
        port = stack.enter_context(prometheus(worker.port, manager.port, tmp_path))
        time.sleep(20)
        worker.restart()  # a crash, an hour's third into healthy traffic
        time.sleep(12)
        assert firing(port) == set()
        assert pages(web) == []
        worker.change(ILL)
        began = time.time()
        until(lambda: any(one["labels"]["alertname"] == "FunnelConversionDrop" for one in pages(web)), "the page", 60)
        late = time.time() - began
        until(lambda: mail.messages, "the mail")
        page = next(one for one in pages(web) if one["labels"]["alertname"] == "FunnelConversionDrop")
        assert (page["labels"]["funnel_stage"], page["labels"]["next_stage"]) == (CHECKOUT, "purchase")
        assert page["annotations"]["responsible"].startswith("channel instagram (p = 0.9")
        assert any("instagram" in part(message, "plain") for message in mail.messages)
        start = float(page["annotations"]["dashboard_url"].partition("&from=")[2].partition("&")[0]) / 1000 + 60
        assert abs(start - began) <= max(5.0, 0.25 * late) + 1.5  # a scrape and an evaluation are 1.5 s
        worker.change(WELL)
        until(lambda: firing(port) == set(), "the end", 90)
        until(lambda: web.at("/marketers")[-1]["status"] == "resolved", "its message", 30)
        drops = {one["labels"]["alertname"] for one in pages(web)}
        assert drops <= {"FunnelConversionDrop", "FunnelSegmentConversionDrop"}
