"""The alarm of the demo, where Prometheus and Alertmanager are installed: rules many times as fast, and a receiver."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import msgspec

from schemas.errors import SinkError
from schemas.rules import Links, Scale
from schemas.settings import Settings
from sinks.embedded.process import ServerProcess
from streams.commands.rules import rules_text
from streams.demo.background import Background
from streams.demo.place import free_addresses
from streams.demo.story import Story

#: The rules' durations are divided by this: less than the traffic's own speed, so that a small machine is not kept busy with scrapes.
FACTOR = 20
#: Two of them fit into a step of the rules, which is a minute.
SCRAPE = f"{60_000 // FACTOR // 2}ms"
#: As Debian calls it, and as its own releases do.
ALERTMANAGER = ("prometheus-alertmanager", "alertmanager")
#: Seconds between two looks whether the worker is ready.
LOOK = 0.5
LARGEST_MESSAGE = 1_000_000
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never through a proxy

#: The alerts that a marketer gets; those of operators, which may fire while a small machine is busy starting all, are only shown.
_MARKETERS = "Funnel(ConversionDrop|SegmentConversionDrop|BelowFloor|TrafficOutage|TrackingBroken)"
#: What says nothing new beside another alert, as in grafana/alertmanager/alertmanager.yml; but a stall holds nothing back: thirty seconds are
#: ten minutes here, a busy machine has such moments, and the word that all is over would wait for their end.
_INHIBITED = (
    ("FunnelMetricsAbsent", "Funnel(Conversion|Segment|Below|Traffic|Tracking).*", ["funnel_site"]),
    ("FunnelTrafficOutage|FunnelTrackingBroken", "Funnel(Conversion|Segment|Below).*", ["funnel_site", "funnel"]),
    ("FunnelConversionDrop", "Funnel(Segment|Below).*", ["funnel_site", "funnel", "funnel_stage"]),
)


class Programs(msgspec.Struct, frozen=True):
    """Paths of what is installed here."""

    prometheus: str
    alertmanager: str


def installed() -> Programs | None:
    """Both programs, or None."""
    prometheus = shutil.which("prometheus")
    alertmanager = next(filter(None, map(shutil.which, ALERTMANAGER)), None)
    return None if prometheus is None or alertmanager is None else Programs(prometheus, alertmanager)


class Alarm(Background):
    """Starts Prometheus and Alertmanager as soon as the worker is ready; what they send goes into `story`.

    `address`: where Alertmanager will listen. Data and logs lie in `directory`.
    """

    def __init__(self, programs: Programs, directory: Path) -> None:
        super().__init__("alarm", self._run)
        self._programs, self._directory = programs, directory
        self.address, self.prometheus = free_addresses(2)
        self._settings: Settings | None = None
        self._story = Story()
        self._processes: list[ServerProcess] = []
        self._receiver: ThreadingHTTPServer | None = None

    def watch(self, settings: Settings, story: Story) -> None:
        """Begins."""
        self._settings, self._story = settings, story
        self.start()

    def stop(self) -> None:
        super().stop()
        for process in self._processes:
            process.stop()
        if self._receiver is not None:
            self._receiver.shutdown()
            self._receiver.server_close()

    def kill(self) -> None:
        """Ends both at once. Safe in a signal handler."""
        for process in self._processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)

    def _run(self) -> None:
        assert self._settings is not None  # noqa: S101 - `watch` has set it
        while not ready(self._settings.web.listen):
            if self._stop.wait(LOOK):
                return
        try:
            self._begin(self._settings)
        except (SinkError, OSError) as error:
            self._story.tell(f"no alarm: {error}")

    def _begin(self, settings: Settings) -> None:
        folder = self._directory
        folder.mkdir(exist_ok=True)
        self._receiver = receiver(self._story.alerts)
        (folder / "alertmanager.yml").write_text(
            json.dumps(alertmanager_file(self._receiver.server_port), indent=1), encoding="utf-8"
        )
        rules = rules_text(settings, Links(f"http://{settings.web.listen}"), Scale(FACTOR))
        (folder / "rules.yml").write_text(rules, encoding="utf-8")
        targets = [settings.web.listen, settings.web.sink_listen]
        (folder / "prometheus.yml").write_text(
            json.dumps(prometheus_file(targets, self.address), indent=1), encoding="utf-8"
        )
        for command in commands(self._programs, folder, self.address, self.prometheus):
            if not self._stop.is_set():
                self._processes.append(ServerProcess(command, folder / f"{Path(command[0]).name}.log"))


def commands(programs: Programs, folder: Path, alertmanager: str, prometheus: str) -> tuple[list[str], list[str]]:
    """How they are started: on loopback alone, with all they write in `folder`."""
    return (
        [
            programs.alertmanager, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'alerts'}",
            f"--web.listen-address={alertmanager}", "--cluster.listen-address=", "--log.level=warn",
        ],
        [
            programs.prometheus, f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
            f"--web.listen-address={prometheus}", "--rules.alert.resend-delay=1s", "--log.level=warn",
        ],
    )  # fmt: skip


def prometheus_file(targets: list[str], alertmanager: str) -> dict[str, Any]:
    """Prometheus' configuration."""
    return {
        "global": {"scrape_interval": SCRAPE, "scrape_timeout": SCRAPE, "evaluation_interval": "1s"},
        "rule_files": ["rules.yml"],
        "scrape_configs": [{"job_name": "funnelwatch", "static_configs": [{"targets": targets}]}],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]},
    }


def alertmanager_file(port: int) -> dict[str, Any]:
    """Alertmanager's configuration: a marketer's pages go to the demo itself, all else is kept and shown."""
    page = {"matchers": ["severity = page", f'alertname =~ "{_MARKETERS}"'], "receiver": "demo"}
    timing = {"group_wait": "1s", "group_interval": "1s", "repeat_interval": "1h"}
    return {
        "route": {"receiver": "nobody", "group_by": ["funnel", "funnel_stage"], **timing, "routes": [page]},
        "receivers": [
            {"name": "nobody"},
            {"name": "demo", "webhook_configs": [{"url": f"http://127.0.0.1:{port}/", "send_resolved": True}]},
        ],
        "inhibit_rules": [
            {"source_matchers": [f'alertname =~ "{cause}"'], "target_matchers": [f'alertname =~ "{effect}"'], "equal": equal}
            for cause, effect, equal in _INHIBITED
        ],
    }  # fmt: skip


def receiver(take: Callable[[dict[str, Any]], None]) -> ThreadingHTTPServer:
    """A server on a free port of loopback that hands Alertmanager's messages to `take`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), LARGEST_MESSAGE))
            with contextlib.suppress(ValueError):
                message = json.loads(body)
                if isinstance(message, dict):
                    take(message)
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, name="receiver", daemon=True).start()
    return server


def ready(listen: str) -> bool:
    """Whether the worker at host:port has its partitions."""
    try:
        with _OPENER.open(f"http://{listen}/readyz", timeout=2):
            return True
    except OSError:
        return False
