"""When markers become visible: looked for from outside, again and again, from a thread of its own."""

from __future__ import annotations

import http.client
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self
from urllib.parse import quote

from benchmarks.experiments import pages
from benchmarks.experiments.place import MARKER
from schemas.metrics import ATTEMPTS_STARTED

#: How many markers of each partition are visible now.
Look = Callable[[], Mapping[int, int]]


class Watch:
    """Looks every `pause` seconds while the context lasts. `seen[p][k]`: when marker k of partition p was first visible, in ms."""

    def __init__(self, look: Look, pause: float) -> None:
        self.seen: dict[int, list[int]] = {}
        self.looks, self.problem = 0, ""
        self._look, self._pause, self._ended = look, pause, threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join(30)

    def has(self, count: int) -> bool:
        """Whether so many markers were seen. Raises AssertionError if it can't look any more."""
        assert not self.problem, self.problem
        return sum(map(len, self.seen.values())) >= count

    def _watch(self) -> None:
        while not self._ended.wait(self._pause):
            try:
                found = self._look()
            except (OSError, ValueError, http.client.HTTPException) as error:
                self.problem = f"markers can't be looked for: {error!r}"
                return
            now = int(time.time() * 1000)
            self.looks += 1
            for partition, count in found.items():
                known = self.seen.setdefault(partition, [])
                known += [now] * (count - len(known))


def on_page(port: int) -> Look:
    """Looks at a worker's metrics page."""

    def look() -> dict[int, int]:
        found = pages.samples(pages.page(port), ATTEMPTS_STARTED.name, funnel=MARKER, dimension="campaign")
        return {int(s.labels["value"][1:]): int(s.value) for s in found if s.labels["value"][:1] == "p"}

    return look


def in_clickhouse(port: int, database: str) -> Look:
    """Looks into the table of transitions."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    query = (
        f"SELECT entry_dims[1], uniqExact(attempt_id) FROM {database}.transitions "
        f"WHERE funnel = '{MARKER}' AND kind = 'enter' GROUP BY 1 FORMAT TabSeparated"
    )

    def look() -> dict[int, int]:
        connection.request("GET", f"/?query={quote(query)}")
        answer = connection.getresponse()
        body = answer.read().decode()
        if answer.status != http.client.OK:
            raise ValueError(body[:200])
        return {int(line.split("\t")[0][1:]): int(line.split("\t")[1]) for line in body.splitlines()}

    return look


def latencies(sent: Mapping[int, list[int]], seen: Mapping[int, list[int]], skip: int = 0) -> list[int]:
    """Milliseconds from append to sight of every marker but the first `skip` of each partition. Raises AssertionError if one is missing."""
    found: list[int] = []
    for partition, appended in sent.items():
        times = seen.get(partition, [])
        assert len(times) == len(appended), f"partition {partition}: {len(times)} of {len(appended)} markers were seen"
        found += [at - when for when, at in list(zip(appended, times, strict=True))[skip:]]
    return found
