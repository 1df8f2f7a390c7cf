"""How far behind the processes are, from outside and by their own words, and how large they are."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from kafka import KafkaAdminClient

from benchmarks.experiments import pages
from benchmarks.experiments.memory import MIB
from benchmarks.experiments.topics import Ends
from benchmarks.soak.look import Watched
from benchmarks.soak.scene import PARTITIONS, Scene
from schemas.metrics import CHUNK_RECORDS, CONSUMER_LAG, SINK_ROWS, STATE_UNITS
from streams.topics import SINK, lags


class Backlog:
    """Of one scene. A page that does not come in time (the process is throttled) counts as it last was."""

    def __init__(self, on: Scene) -> None:
        self._on = on
        self._ends = Ends(on.site.servers, on.site.topic, PARTITIONS)
        self._admin = KafkaAdminClient(bootstrap_servers=on.site.servers)
        self._pages: dict[str, str] = {}
        self._rows = 0.0
        self.largest_batch = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ends.close()
        self._admin.close()

    def read(self) -> None:
        """Takes the workers' pages."""
        for watched in self._on.workers:
            self._page(watched)

    def _page(self, watched: Watched) -> str:
        found = pages.page(watched.port)
        if found:
            self._pages[watched.name] = found
        return self._pages.get(watched.name, "")

    def _total(self, name: str) -> int:
        return int(sum(pages.total(self._pages.get(watched.name, ""), name) for watched in self._on.workers))

    @property
    def applied(self) -> int:
        """Records that the workers have done with."""
        return self._total(f"{CHUNK_RECORDS.name}_sum")

    @property
    def told(self) -> int:
        """The lag that the workers report."""
        return self._total(CONSUMER_LAG.name)

    @property
    def units(self) -> int:
        """Units that the workers keep state of."""
        return self._total(STATE_UNITS.name)

    def appended(self) -> int:
        """Records of the source."""
        return sum(self._ends.now().values())

    def unstored(self) -> int:
        """Records that Kafka holds for the sink."""
        site = self._on.site
        found = lags(self._admin, f"{site.prefix}{SINK}", [site.topic, site.transitions])
        return sum(behind or 0 for behind in found.values())

    def look_at_batches(self, *, keep: bool) -> None:
        """Keeps the most rows that the sink stored between two looks: of one batch, where a batch takes longer than that."""
        rows = pages.total(self._page(self._on.sink), SINK_ROWS.name)
        if keep:
            self.largest_batch = max(self.largest_batch, int(rows - self._rows))
        self._rows = rows

    def sizes(self) -> dict[str, float]:
        """RSS in MiB, by process."""
        return {watched.name: watched.running.rss() / MIB for watched in self._on.watched}
