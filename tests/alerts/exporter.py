"""A worker as Prometheus sees it, whose counters follow the clock: so many a second, until something is wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from http.server import ThreadingHTTPServer

import msgspec

from schemas import metrics as m
from tests.alerts.loopback import Loopback, Quiet
from tests.alerts.shop import CHECKOUT, FUNNELS, SITE

Segment = tuple[str, str]


class Speeds(msgspec.Struct, frozen=True):
    """Conversions a second by segment: expected, and as they are."""

    expected: Mapping[Segment, float]
    observed: Mapping[Segment, float]


class Exporter(Loopback):
    """Serves /metrics on loopback. `change(speeds)`: from now on. `restart()`: every counter begins anew. `busy`: seconds that an
    answer takes."""

    def __init__(self, speeds: Speeds, busy: float = 0.0) -> None:
        self._lock = threading.Lock()
        self._speeds, self._since = speeds, time.monotonic()
        self._counted: dict[tuple[str, Segment], float] = {}
        exporter = self

        class Answer(Quiet):
            def do_GET(self) -> None:  # noqa: N802 - the base class calls it so
                body = exporter.text().encode()
                time.sleep(busy)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                with suppress(ConnectionError):  # who asked has ended
                    self.end_headers()
                    self.wfile.write(body)

        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), Answer))

    def change(self, speeds: Speeds) -> None:
        with self._lock:
            self._count()
            self._speeds = speeds

    def restart(self) -> None:
        with self._lock:
            self._counted.clear()
            self._since = time.monotonic()

    def text(self) -> str:
        """The page, in Prometheus' text format."""
        with self._lock:
            self._count()
            lines = [
                f'{name}{{funnel_site="{SITE}",funnel="purchase",funnel_stage="{CHECKOUT}",'
                f'dimension="{segment[0]}",value="{segment[1]}"}} {amount}'
                for (name, segment), amount in sorted(self._counted.items())
            ]
        lines.append(f'{m.BUILD_INFO.name}{{funnel_site="{SITE}",version="1",python="3"}} 1')
        for funnel in FUNNELS:
            of_funnel = f'funnel_site="{SITE}",funnel="{funnel}"'
            lines.append(f'{m.ATTEMPTS_STARTED.name}{{{of_funnel},dimension="all",value="all"}} {time.monotonic()}')
            ready = f'{m.EXPECTATION_READY.name}{{{of_funnel},funnel_stage="first"}}'
            lines.append(f"{ready} {time.time() + 1_000_000}")
            lines.append(f'{m.EVENTS.name}{{{of_funnel},outcome="matched"}} {10 * time.monotonic()}')
        return "\n".join([*lines, ""])

    def _count(self) -> None:
        now = time.monotonic()
        passed, self._since = now - self._since, now
        for segment, speed in self._speeds.expected.items():
            rates = {
                m.STAGE_EXPECTED_CONVERSIONS.name: speed,
                m.STAGE_CONVERSIONS.name: self._speeds.observed[segment],
                m.STAGE_ENTERED.name: 2 * speed,
            }
            for name, rate in rates.items():
                self._counted[name, segment] = self._counted.get((name, segment), 0.0) + rate * passed
