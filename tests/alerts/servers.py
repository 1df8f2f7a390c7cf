"""A real Prometheus with rules whose durations are divided, and what it answers."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from schemas.rules.model import MINUTE
from tests.alerts.alertmanager import free_port
from tests.alerts.receivers import until

Labels = dict[str, str]


def need_prometheus() -> str:
    """The path of Prometheus; skips where there is none."""
    found = shutil.which("prometheus")
    if found is None:
        pytest.skip("Prometheus is not installed: apt-get install prometheus, or run .ci/tools as root on Debian")
    return found


class Prometheus:
    """A running one."""

    def __init__(self, port: int) -> None:
        self._base = f"http://127.0.0.1:{port}"

    def get(self, path: str) -> str | None:
        """A page; None while nothing answers."""
        try:
            with urllib.request.urlopen(f"{self._base}{path}", timeout=10) as answer:
                return str(answer.read().decode())
        except OSError:
            return None

    def ask(self, expression: str, at: float | None = None) -> list[tuple[Labels, float]]:
        """What an expression is now, or was at a time (seconds since 1970), by its labels."""
        return [(one["metric"], float(one["value"][1])) for one in self._results(expression, at)]

    def number(self, expression: str, at: float | None = None) -> float | None:
        """The same of what has one value at most."""
        return next((value for _, value in self.ask(expression, at)), None)

    def samples(self, series: str) -> list[tuple[float, float]]:
        """All that there is of one series: times (seconds since 1970) and values."""
        return [(float(at), float(value)) for one in self._results(f"{series}[1h]") for at, value in one["values"]]

    def _results(self, expression: str, at: float | None = None) -> list[dict[str, Any]]:
        asked = {"query": expression} | ({} if at is None else {"time": f"{at:.3f}"})
        text = self.get("/api/v1/query?" + urllib.parse.urlencode(asked))
        return list(json.loads(text)["data"]["result"]) if text else []

    def firing(self) -> set[str]:
        """Names of the alerts that fire now, the watchdog aside."""
        text = self.get("/api/v1/alerts")
        alerts = json.loads(text)["data"]["alerts"] if text else []
        return {one["labels"]["alertname"] for one in alerts if one["state"] == "firing"} - {"FunnelWatchdog"}


@contextmanager
def prometheus(
    rules: str, factor: int, target: int, manager: int, folder: Path, workers: int = 1
) -> Iterator[Prometheus]:
    """Prometheus with these rules, whose durations are divided by `factor`: two scrapes in each of their minutes. Ended by its own pid.

    Its target, at the port `target`, carries labels `stage` and `site` of its own, as many do. It is scraped as so many `workers`,
    each at times of its own.
    """
    often = f"{MINUTE // factor // 2}ms"
    file, config, port = folder / "rules.yml", folder / "prometheus.yml", free_port()
    file.write_text(rules)
    document: dict[str, Any] = {
        "global": {"scrape_interval": often, "scrape_timeout": often, "evaluation_interval": "1s"},
        "rule_files": [str(file)],
        "scrape_configs": [
            {
                "job_name": "funnelwatch",
                "static_configs": [
                    {
                        "targets": [f"127.0.0.1:{target}"],
                        "labels": {"stage": "production", "site": "eu", "pod": f"worker-{number}"},
                    }
                    for number in range(workers)
                ],
            }
        ],
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
        running = Prometheus(port)
        until(lambda: process.poll() is not None or running.get("/-/ready") is not None, "Prometheus")
        assert process.poll() is None, (folder / "prometheus.log").read_text()
        yield running
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
