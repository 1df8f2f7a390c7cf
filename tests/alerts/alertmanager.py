"""A real Alertmanager with the committed configuration, whose receivers are the tests' own."""

from __future__ import annotations

import json
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.alerts.receivers import until

FOLDER = Path(__file__).parents[2] / "grafana" / "alertmanager"
#: Below the ports that the system hands out for outgoing connections.
_PORTS = range(15_000, 20_000)


def need_alertmanager() -> str:
    """The path of Alertmanager; skips where there is none."""
    for name in ("prometheus-alertmanager", "alertmanager"):
        found = shutil.which(name)
        if found is not None:
            return found
    pytest.skip("Alertmanager is not installed: apt-get install prometheus-alertmanager, or run .ci/tools as root")


def configuration(mail: int, web: int) -> dict[str, Any]:
    """The committed configuration: receivers on these ports of loopback, messages at once, active all day."""
    loaded = yaml.safe_load((FOLDER / "alertmanager.yml").read_text())
    assert isinstance(loaded, dict)
    loaded["templates"] = [str(FOLDER / "templates" / "*.tmpl")]
    loaded["global"] |= {"smtp_smarthost": f"127.0.0.1:{mail}", "smtp_require_tls": False, "smtp_hello": "localhost"}
    for receiver in loaded["receivers"]:
        for webhook in receiver.get("webhook_configs", ()):
            webhook["url"] = f"http://127.0.0.1:{web}/{receiver['name']}"
        for slack in receiver.get("slack_configs", ()):
            del slack["api_url_file"]
            slack["api_url"] = f"http://127.0.0.1:{web}/slack"
    for route in (loaded["route"], *loaded["route"]["routes"]):
        route |= {"group_wait": "1s", "group_interval": "1s"}
    for interval in loaded["time_intervals"]:
        interval["time_intervals"] = [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]
    return loaded


class Alertmanager:
    """A running one. `post` takes alerts as Prometheus sends them."""

    def __init__(self, port: int) -> None:
        self.port = port
        self._base = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self._base}/-/ready", timeout=5) as answer:
                return int(answer.status) == 200
        except (urllib.error.URLError, ConnectionError):
            return False

    def silence(self, matcher: str) -> str:
        """Adds a silence by amtool; its id."""
        command = ["amtool", "silence", "add", matcher, "--comment=test", "--author=test", "--duration=10m"]
        ran = subprocess.run([*command, f"--alertmanager.url={self._base}"], capture_output=True, text=True, check=True)
        return ran.stdout.strip()

    def post(self, alerts: Sequence[dict[str, Any]]) -> None:
        request = urllib.request.Request(
            f"{self._base}/api/v2/alerts", json.dumps(list(alerts)).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200


@contextmanager
def running(config: dict[str, Any], folder: Path) -> Iterator[Alertmanager]:
    """Alertmanager with this configuration; ended by its own pid."""
    program = need_alertmanager()
    file, port = folder / "alertmanager.yml", free_port()
    file.write_text(json.dumps(config))
    command = [
        program, f"--config.file={file}", f"--storage.path={folder / 'am'}", f"--web.listen-address=127.0.0.1:{port}",
        "--cluster.listen-address=", "--log.level=warn",
    ]  # fmt: skip
    with (folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    try:
        manager = Alertmanager(port)
        until(lambda: process.poll() is not None or manager.ready(), "Alertmanager")
        assert process.poll() is None, (folder / "alertmanager.log").read_text()
        yield manager
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


def fired(labels: dict[str, str], annotations: dict[str, str], *, over: bool = False) -> dict[str, Any]:
    """An alert as Prometheus posts it; times are of the moment, and in no message."""
    now = time.time()
    alert = {"labels": labels, "annotations": annotations, "startsAt": _rfc3339(now - 300)}
    return {**alert, "endsAt": _rfc3339(now - 1)} if over else {**alert, "endsAt": _rfc3339(now + 600)}


def _rfc3339(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))


def free_port() -> int:
    """A port on which nothing listens now."""
    for port in random.sample(_PORTS, 50):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)):
                return port
    raise AssertionError("no free port")
