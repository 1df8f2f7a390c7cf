"""What the live view shows, read again and again by a thread: reports from ClickHouse, the stream's state from the worker."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from threading import Event as Signal
from threading import Thread

import msgspec

from schemas.errors import SinkError
from schemas.funnel import Funnel
from schemas.report import Report
from schemas.settings import Settings
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.queries import read_report
from streams.demo.metrics import WorkerFigures, scrape
from streams.demo.place import TOPIC
from streams.demo.recent import Recent, latest_rows, read_recent
from streams.live_view import LATEST_ROWS, LiveFigures

#: Seconds between two readings: at least the first, and so many times what a reading takes (the engine has other work).
SHORTEST_PAUSE, PAUSE_FACTOR = 0.4, 2.0
#: Seconds over which events per second are measured.
RATE_SECONDS = 5.0
#: The segments in which a fault is looked for: each value of the first, and both together.
BY = ("device", "channel")


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """What one reading found. `worker`: None while it does not answer; `recent`: of the first funnel."""

    figures: LiveFigures
    worker: WorkerFigures | None = None
    recent: Recent | None = None
    problem: str = ""


class Reader:
    """Reads until it is stopped. `now`: the last reading."""

    def __init__(self, settings: Settings, funnels: tuple[Funnel, ...], check: Callable[[], None]) -> None:
        self._settings, self._funnels, self._check = settings, funnels, check
        self._stop = Signal()
        self._thread = Thread(target=self._run, name="figures", daemon=True)
        self._counts: deque[tuple[float, int]] = deque()
        self.now = Reading(figures=LiveFigures(reports=()))
        self.error: SinkError | None = None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the readings. Does nothing before `start`."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10)

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
            worker = scrape(self._settings.web.listen, TOPIC, self._funnels[0].name)
            try:
                client = client or connect(self._settings.clickhouse)
                self.now = self._read(client, worker)
            except SinkError as error:  # no tables yet, at first
                self.now = msgspec.structs.replace(self.now, worker=worker, problem=str(error))
            pause = max(SHORTEST_PAUSE, PAUSE_FACTOR * (time.monotonic() - began))
        if client is not None:
            client.close()

    def _read(self, client: Client, worker: WorkerFigures | None) -> Reading:
        first = self._funnels[0]
        reports = tuple(read_report(client, funnel) for funnel in self._funnels)
        watermark = _watermark(reports[0], first)
        recent: dict[str, Recent] = {}
        for funnel, report in zip(self._funnels, reports, strict=True):
            reached = _watermark(report, funnel)
            if reached is not None:
                recent[funnel.name] = read_recent(client, funnel, reached, BY if funnel is first else ())
        figures = LiveFigures(
            reports=reports,
            recent={name: found.levels for name, found in recent.items()},
            events_per_second=self._rate(reports[0].events["read"]),
            lag=None if worker is None else worker.lag,
            dead_letters=0 if worker is None else worker.dead_letters,
            watermark=watermark,
            latest=() if watermark is None else latest_rows(client, watermark, LATEST_ROWS),
        )
        return Reading(figures=figures, worker=worker, recent=recent.get(first.name))

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
