"""A monitor for long runs: two workers that stay, and the sink, on a broker whose topics are bounded and ClickHouse."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import msgspec

from benchmarks.definitions import REALISTIC
from benchmarks.experiments import pages
from benchmarks.experiments.place import Config, Place, Site, definition
from benchmarks.experiments.processes import SINK, WORKER, Running, product, wait
from benchmarks.soak.look import Watched
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka

PARTITIONS = 6
#: Short, so that sessions end all the time.
WINDOW, LATENESS = "60s", "2s"
#: Of workers that come and go. The product's own is longer: whoever has hardly any time to run must stay a member.
SHORT, USUAL = 10, 45
#: Of the source: a run of hours must not fill the disk. The load is read within seconds; ten times too much is kept by size.
BOUNDED = {"message.timestamp.type": "LogAppendTime", "retention.ms": "1800000", "segment.bytes": str(64 << 20)}
INSIDE_SECONDS = 5.0


class Scene(msgspec.Struct, frozen=True):
    """All that runs. `workers`: the two that stay."""

    site: Site
    clickhouse: EmbeddedClickHouse
    database: str
    workers: tuple[Watched, ...]
    sink: Watched
    third: Config

    @property
    def watched(self) -> tuple[Watched, ...]:
        return (*self.workers, self.sink)

    def ask(self, query: str) -> int:
        """A number from ClickHouse."""
        url = f"{self.clickhouse.url}/?database={self.database}&query={quote(query)}"
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=300) as answer:
            return int(answer.read())


def worker(config: Config) -> Watched:
    """A worker that tells of itself."""
    inside = config.path.with_suffix(".inside.json")
    command = [
        sys.executable, "-m", "benchmarks.soak.inside", str(inside), str(INSIDE_SECONDS), "run", "--config", str(config.path),
        "--only", WORKER,
    ]  # fmt: skip
    running = Running(command, config.path.parent, f"{config.path.stem}-{WORKER}.log")
    return Watched(config.path.stem, running, config.port, inside)


@contextmanager
def scene(
    directory: Path, kafka: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str = "funnelwatch", session: int = SHORT
) -> Iterator[Scene]:  # fmt: skip
    """Everything ready, and ended at the end. `session`: its timeout in seconds. Raises SinkError if something does not start."""
    funnels = "".join(
        definition(walk, window=WINDOW, lateness=LATENESS, dimensions=("channel", "device")) for walk in REALISTIC
    )
    site = Place(kafka, directory).site(
        "soak", funnels, partitions=PARTITIONS, kafka=f'session_timeout = "{session}s"\n',
        clickhouse=f'url = "{clickhouse.url}"\ndatabase = "{database}"\nevents = true\n', topic_configs=BOUNDED,
    )  # fmt: skip
    with ExitStack() as stack:
        configs = [site.config(number) for number in range(3)]
        workers = tuple(worker(config) for config in configs[:2])
        sink = Watched("sink", product(configs[0], SINK), configs[0].sink_port, None)
        for watched in (*workers, sink):
            stack.callback(watched.running.stop)
        for watched in (*workers, sink):
            wait(lambda port=watched.port: pages.status(port, "readyz") == "ok", watched.running)  # type: ignore[misc]
        yield Scene(site, clickhouse, database, workers, sink, configs[2])


@contextmanager
def whole_scene(directory: Path, session: int = SHORT) -> Iterator[Scene]:
    """The same, with a broker and ClickHouse of its own."""
    with (
        EmbeddedKafka(directory / "kafka") as kafka,
        EmbeddedClickHouse(directory / "clickhouse", faults=True) as clickhouse,
        scene(directory, kafka, clickhouse, session=session) as on,
    ):
        yield on
