"""One run of the worker as it is in production: a process of its own, durable state, transitions out, metrics on."""

from __future__ import annotations

import socket
import sys
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import broker
from benchmarks.child import Child
from benchmarks.definitions import load
from benchmarks.oracle import Expected, WrongCounts
from benchmarks.workloads import PARTITIONS, Workload
from schemas import topics, transitions
from schemas.funnel import Unit
from schemas.progress import Progress
from schemas.rows import End, Kind, Row
from sinks.embedded.kafka import EmbeddedKafka

#: `funnelwatch run`, whether or not the command is installed.
COMMAND = (sys.executable, "-c", "from streams.commands.run import run; run()")


class Backlog(msgspec.Struct, frozen=True):
    """A stream as it lies in a topic, and what it comes to."""

    topic: str
    workload: Workload
    expected: Expected


class Run(msgspec.Struct, frozen=True):
    """What one run took. `cpu`, `wall`: seconds from readiness until all was durable; `startup`: CPU seconds before.

    `peak_rss`: bytes. `transition_bytes`, `state_bytes`: written; what lies in Kafka as it lies in the broker's log.
    """

    events: int
    cpu: float
    wall: float
    startup: float
    peak_rss: int
    transition_bytes: int
    state_bytes: int


class Home(msgspec.Struct, frozen=True):
    """Where one run's monitor lives: its settings, its ports, the prefix of its topics and groups."""

    name: str
    directory: Path
    port: int
    sink_port: int

    @property
    def prefix(self) -> str:
        return f"{self.name}."

    @property
    def settings(self) -> Path:
        return self.directory / "funnelwatch.toml"


def move_in(kafka: EmbeddedKafka, directory: Path, backlog: Backlog, name: str, extra: str = "") -> Home:
    """Writes definitions and settings. `extra`: TOML at the end."""
    home = Home(name, directory / name, free_port(), free_port())
    home.directory.mkdir()
    load(backlog.workload.walks, backlog.workload.dimensions, home.directory)
    home.settings.write_text(
        f'funnels = "{home.directory / "funnels.toml"}"\n'
        f'[kafka]\nservers = ["{kafka.bootstrap_servers}"]\ntopic_prefix = "{home.prefix}"\n'
        f'group_prefix = "{home.prefix}"\nreplication_factor = 1\npartitions = {PARTITIONS}\n'
        f'[[sources]]\ntopic = "{backlog.topic}"\nkeyed_by = "{backlog.workload.keyed_by}"\n'
        'idle_after = "1h"\n'  # no ticks after the last event: what the run comes to does not depend on when it is looked at
        f'[web]\nlisten = "127.0.0.1:{home.port}"\nsink_listen = "127.0.0.1:{home.sink_port}"\n{extra}'
    )
    return home


def run(kafka: EmbeddedKafka, directory: Path, backlog: Backlog, name: str) -> Run:
    """The worker alone follows the preloaded topic from its beginning, under topics and a group named after `name`.

    Raises WrongCounts if the rows written are not those that the workload comes to.
    """
    home = move_in(kafka, directory, backlog, name)
    with Child([*COMMAND, "--only", "worker", "--config", str(home.settings)], home.directory / "worker.log") as worker:
        began = worker.wait(lambda: ready(home.port), 0.02)
        for topic in followed(backlog, home):
            progress = broker.Progress(kafka.bootstrap_servers, topic, f"{home.prefix}worker")
            worker.wait(lambda at=progress: at.left() == 0, 0.1)  # type: ignore[misc]
            progress.close()
        ended = worker.usage()
    check(kafka.bootstrap_servers, topics.transitions(home.prefix), backlog.expected)
    written, state = written_by(home)
    made = Run(
        backlog.expected.events, ended.cpu - began.cpu,
        broker.last_written(kafka.bootstrap_servers, state) - began.at, began.cpu, ended.peak_rss,
        broker.bytes_on_disk(kafka.directory, written), broker.bytes_on_disk(kafka.directory, [state]),
    )  # fmt: skip
    broker.delete(kafka.bootstrap_servers, home.prefix)
    return made


def followed(backlog: Backlog, home: Home) -> Iterator[str]:
    """The topics that the worker must have committed, in this order; the internal log's end is known once the source is done."""
    yield backlog.topic
    if not backlog.workload.direct:
        yield topics.unit_log(home.prefix, Unit.SESSION)


def written_by(home: Home) -> tuple[list[str], str]:
    """The worker's output topics (an internal log, too, if it has one), and that of its state."""
    outputs = [
        topics.transitions(home.prefix),
        topics.drop_offs(home.prefix),
        topics.unit_log(home.prefix, Unit.SESSION),
    ]
    return outputs, topics.state_log(home.prefix, Unit.SESSION)


def ready(port: int) -> bool:
    """Whether the process behind this port says that it is ready."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def free_port() -> int:
    """A port of loopback that nobody holds now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def rows_in(record: Any) -> tuple[Row, ...]:
    """The rows in a record of the transitions topic: the one place that knows how they lie there."""
    carried = transitions.unpack(record.key, record.value)
    return () if isinstance(carried, Progress) else tuple(carried)


class Found:
    """Counts rows as they come."""

    def __init__(self, expected: Expected) -> None:
        self.entered: Counter[tuple[str, str]] = Counter()
        self.converted = Counter(dict.fromkeys(expected.converted, 0))
        self.dropped = Counter(dict.fromkeys(expected.dropped, 0))
        self.revenue = 0

    def take(self, record: Any) -> None:
        """All rows of a record. Each is one of its own: no stream here is out of order, so none is ever taken back."""
        for row in rows_in(record):
            if row.is_deleted:
                raise WrongCounts(f"the worker took back a row of {row.unit_id}, though nothing was out of order")
            if row.kind == Kind.ENTER.value:
                self.entered[row.funnel, row.to_stage] += 1
                self.revenue += row.value or 0
            elif row.kind == Kind.END.value:
                (self.converted if row.outcome == End.CONVERTED.value else self.dropped)[row.funnel] += 1


def check(servers: str, topic: str, expected: Expected) -> None:
    """Holds the transitions topic against the plain count. Raises WrongCounts."""
    found = Found(expected)
    broker.read_back(servers, topic, found.take)
    same(
        Expected(expected.events, dict(found.entered), dict(found.converted), dict(found.dropped), found.revenue),
        expected,
        "the worker's",
    )


def same(found: Expected, expected: Expected, whose: str) -> None:
    """Raises WrongCounts if two counts differ."""
    if found != expected:
        raise WrongCounts(f"{whose} counts are wrong: {found}, not {expected}")
