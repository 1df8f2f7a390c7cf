"""What the live view shows, read again and again by a thread: reports from ClickHouse, the stream's state from the worker."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

import msgspec

from schemas.errors import SinkError
from schemas.funnel import Funnel
from schemas.report import Report
from schemas.settings import Settings
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.queries import read_progress, read_report
from streams.demo.background import Background
from streams.demo.metrics import worker_lag
from streams.demo.place import TOPIC
from streams.demo.recent import Recent, latest_rows, read_recent
from streams.live_view import LATEST_ROWS, LiveFigures

#: Seconds between two readings: as long as the last one took (the engine has other work), within these bounds.
SHORTEST_PAUSE, LONGEST_PAUSE = 1.0, 3.0
#: Seconds after which the worker is asked again how far it is behind: each time it writes thousands of series for it.
LAG_SECONDS = 6.0
#: Seconds over which events per second are measured.
RATE_SECONDS = 5.0
#: The segments in which a fault is looked for: each value of the first, and both together.
BY = ("device", "channel")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one reading found. `recent`: of the first funnel; `problem`: why there is nothing new."""

    figures: LiveFigures
    recent: Recent | None = None
    problem: str = ""


class Reader(Background):
    """Reads until it is stopped. `now`: the last reading."""

    def __init__(self, settings: Settings, funnels: tuple[Funnel, ...], check: Callable[[], None]) -> None:
        super().__init__("figures", self._run)
        self._settings, self._funnels, self._check = settings, funnels, check
        self._counts: deque[tuple[float, int]] = deque()
        self._known: dict[str, tuple[Report, Recent | None]] = {}
        self._readings = 0
        self._lag: int | None = None
        self._lag_asked = 0.0
        self.now = Reading(figures=LiveFigures(reports=()))

    def _run(self) -> None:
        client: Client | None = None
        pause = SHORTEST_PAUSE
        while not self._stop.wait(pause):
            began = time.monotonic()
            try:
                self._check()
            except SinkError as error:
                self.error = error
                break
            try:
                client = client or connect(self._settings.clickhouse)
                self.now = self._read(client)
            except SinkError as error:  # no tables yet, at first
                self.now = msgspec.structs.replace(self.now, problem=str(error))
            pause = min(max(SHORTEST_PAUSE, time.monotonic() - began), LONGEST_PAUSE)
        if client is not None:
            client.close()

    def _read(self, client: Client) -> Reading:
        """Reads the first funnel, and the others in turn. Raises SinkError."""
        first, *others = self._funnels
        if read_progress(client, first)[0] is None:
            return Reading(figures=LiveFigures(reports=()), problem="no events yet")
        turn = [others[self._readings % len(others)]] if others and self._known else others
        for funnel in (first, *turn):
            self._known[funnel.name] = self._read_funnel(client, funnel)
        self._readings += 1
        report, recent = self._known[first.name]
        watermark = _watermark(report, first)
        figures = LiveFigures(
            reports=tuple(self._known[funnel.name][0] for funnel in self._funnels),
            recent={name: shares.levels for name, (_, shares) in self._known.items() if shares is not None},
            events_per_second=self._rate(report.events["read"]),
            lag=self._waiting(),
            dead_letters=report.events["invalid"],
            watermark=watermark,
            latest=() if watermark is None else latest_rows(client, watermark, LATEST_ROWS),
        )
        return Reading(figures=figures, recent=recent)

    def _read_funnel(self, client: Client, funnel: Funnel) -> tuple[Report, Recent | None]:
        report = read_report(client, funnel)
        reached = _watermark(report, funnel)
        if reached is None:
            return report, None
        return report, read_recent(client, funnel, reached, BY if funnel is self._funnels[0] else ())

    def _waiting(self) -> int | None:
        """Records that the worker had not applied some seconds ago."""
        if self._lag is None or time.monotonic() - self._lag_asked >= LAG_SECONDS:
            self._lag, self._lag_asked = worker_lag(self._settings.web.listen, TOPIC), time.monotonic()
        return self._lag

    def _rate(self, read: int) -> float:
        """Records a second, over the last seconds."""
        now = time.monotonic()
        self._counts.append((now, read))
        while len(self._counts) > 2 and now - self._counts[1][0] >= RATE_SECONDS:
            self._counts.popleft()
        seconds = now - self._counts[0][0]
        return (read - self._counts[0][1]) / seconds if seconds > 0 else 0.0


def _watermark(report: Report, funnel: Funnel) -> int | None:
    return None if report.horizon is None else report.horizon + funnel.lateness
