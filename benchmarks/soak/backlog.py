"""How far behind the processes are, from outside and by their own words, and how large they are."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

import msgspec
from kafka import KafkaAdminClient

from benchmarks.experiments import pages
from benchmarks.experiments.memory import MIB
from benchmarks.experiments.topics import Ends
from benchmarks.soak.look import Watched
from benchmarks.soak.scene import PARTITIONS, Scene
from schemas.metrics import CHUNK_RECORDS, CONSUMER_LAG, SINK_BATCH, STATE_UNITS
from streams.topics import SINK, lags


class Batches(msgspec.Struct, frozen=True):
    """`rows` in `inserts` of events; `buckets`: by table, how many inserts were no larger than each bound."""

    rows: float
    inserts: float
    buckets: Mapping[str, Mapping[float, float]]

    def since(self, before: Batches) -> Batches:
        """Those that came in between."""
        buckets = {table: pages.rise(before.buckets.get(table, {}), counts) for table, counts in self.buckets.items()}
        return Batches(self.rows - before.rows, self.inserts - before.inserts, buckets)

    @property
    def mean(self) -> float:
        """Rows of an insert of events."""
        return self.rows / max(1.0, self.inserts)

    @property
    def most(self) -> float:
        """No insert had more rows than this: the bound of a bucket."""
        return max(
            (
                min(bound for bound, count in counts.items() if count == max(counts.values()))
                for counts in self.buckets.values()
            ),
            default=0.0,
        )


class Backlog:
    """Of one scene. A page that does not come in time (the process is throttled) counts as it last was."""

    def __init__(self, on: Scene) -> None:
        self._on = on
        self._ends = Ends(on.site.servers, on.site.topic, PARTITIONS)
        self._admin = KafkaAdminClient(bootstrap_servers=on.site.servers)
        self._pages: dict[str, str] = {}

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

    def batches(self) -> Batches:
        """The sink's inserts since its start."""
        page, name = self._page(self._on.sink), SINK_BATCH.name
        tables = {sample.labels["table"] for sample in pages.samples(page, f"{name}_count")}
        return Batches(
            pages.total(page, f"{name}_sum", table="events"), pages.total(page, f"{name}_count", table="events"),
            {table: pages.buckets(page, name, table=table) for table in tables},
        )  # fmt: skip

    def sizes(self) -> dict[str, float]:
        """RSS in MiB, by process."""
        return {watched.name: watched.running.rss() / MIB for watched in self._on.watched}
