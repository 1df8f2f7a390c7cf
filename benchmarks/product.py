"""One run of the worker as it is in production: a process of its own, durable state, transitions out, metrics on."""

from __future__ import annotations

import socket
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks import broker
from benchmarks.child import Child, Usage
from benchmarks.definitions import load
from benchmarks.workloads import Expected, Workload
from schemas import topics
from schemas.errors import SinkError
from schemas.funnel import Unit
from schemas.progress import PROGRESS_KEY
from schemas.rows import End, Kind, Row
from sinks.embedded.kafka import EmbeddedKafka

#: `funnelwatch run --only worker`, whether or not the command is installed.
COMMAND = (sys.executable, "-c", "from streams.commands.run import run; run()", "--only", "worker", "--config")
LONGEST = 900.0  # seconds a run may take
decode_row = msgspec.msgpack.Decoder(Row).decode


class Run(msgspec.Struct, frozen=True):
    """What one run took. `cpu`, `wall`: seconds from readiness until all was committed; `startup`: CPU seconds before.

    `peak_rss`: bytes. `transition_bytes`, `state_bytes`: written, as they lie in the broker's log.
    """

    events: int
    cpu: float
    wall: float
    startup: float
    peak_rss: int
    transition_bytes: int
    state_bytes: int


def run(kafka: EmbeddedKafka, directory: Path, source: str, workload: Workload, name: str) -> Run:
    """Follows the preloaded topic `source` from its beginning, under topics and a group named after `name`.

    Raises AssertionError if the rows written are not those that the workload comes to.
    """
    servers, prefix = kafka.bootstrap_servers, f"{name}."
    port = free_port()
    home = directory / name
    home.mkdir()
    load(workload.walks, workload.dimensions, home)
    (home / "funnelwatch.toml").write_text(
        f'funnels = "{home / "funnels.toml"}"\n'
        f'[kafka]\nservers = ["{servers}"]\ntopic_prefix = "{prefix}"\ngroup_prefix = "{prefix}"\n'
        f"replication_factor = 1\npartitions = 4\n"
        f'[[sources]]\ntopic = "{source}"\nkeyed_by = "session"\n'
        f'[web]\nlisten = "127.0.0.1:{port}"\n'
    )
    with Child([*COMMAND, str(home / "funnelwatch.toml")], home / "worker.log") as worker:
        began = wait(worker, lambda: ready(port), 0.02)
        progress = broker.Progress(servers, source, f"{prefix}worker")
        ended = wait(worker, lambda: progress.left() == 0, 0.1)
        progress.close()
        ended, peak = worker.usage(), worker.peak_rss()
    check(servers, topics.transitions(prefix), workload.expected())
    state = topics.state_log(prefix, Unit.SESSION)
    written = [topics.transitions(prefix), topics.drop_offs(prefix)]
    return Run(
        len(workload.steps), ended.cpu - began.cpu, broker.last_written(servers, state) - began.at, began.cpu, peak,
        broker.bytes_on_disk(kafka.directory, written), broker.bytes_on_disk(kafka.directory, [state]),
    )  # fmt: skip


def wait(child: Child, done: Callable[[], bool], pause: float) -> Usage:
    """Asks until it is done; returns what the process had used when it was asked for the last time."""
    deadline = time.monotonic() + LONGEST
    while time.monotonic() < deadline:
        usage = child.usage()
        if done():
            return usage
        time.sleep(pause)
    raise SinkError(f"a benchmark did not end within {LONGEST:.0f} s: {child.tail()}")


def ready(port: int) -> bool:
    """Whether the worker says that it is ready."""
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


def check(servers: str, topic: str, expected: Expected) -> None:
    """Holds the transitions topic against the plain count."""
    entered: Counter[tuple[str, str]] = Counter()
    converted, dropped = Counter(dict.fromkeys(expected.converted, 0)), Counter(dict.fromkeys(expected.dropped, 0))
    revenue = 0
    for record in broker.read_back(servers, topic):
        if record.key == PROGRESS_KEY:
            continue
        row = decode_row(record.value)
        if row.kind == Kind.ENTER.value:
            entered[row.funnel, row.to_stage] += 1
            revenue += row.value or 0
        elif row.kind == Kind.END.value:
            (converted if row.outcome == End.CONVERTED.value else dropped)[row.funnel] += 1
    found = Expected(dict(entered), dict(converted), dict(dropped), revenue)
    assert found == expected, f"the worker's counts are wrong: {found}, not {expected}"
