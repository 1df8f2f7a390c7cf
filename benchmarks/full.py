"""One run of the whole product: `funnelwatch run` with its worker and its sink, and ClickHouse, each a process measured apart."""

from __future__ import annotations

from pathlib import Path

import msgspec
import psutil  # type: ignore[import-untyped]

from benchmarks import broker, product
from benchmarks.child import Child, Usage, usage_of
from benchmarks.oracle import Expected
from benchmarks.product import Backlog, Home, Run
from schemas import topics
from schemas.errors import SinkError
from schemas.event import MONEY_SCALE
from schemas.settings import load_settings
from sinks.clickhouse.client import Client, connect
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka


class SinkRun(msgspec.Struct, frozen=True):
    """What the sink took. `rows`: of all tables. `cpu`, `clickhouse_cpu`: seconds from the sink's readiness until it had
    acknowledged the last row; `wall`: seconds from the worker's."""

    rows: int
    cpu: float
    clickhouse_cpu: float
    wall: float
    peak_rss: int


class FullRun(msgspec.Struct, frozen=True):
    """The worker beside a sink that is at work, and that sink."""

    worker: Run
    sink: SinkRun


class Marks(msgspec.Struct, frozen=True):
    """What the three processes had used at one moment."""

    worker: Usage
    sink: Usage
    clickhouse: Usage


def run(
    kafka: EmbeddedKafka, clickhouse: EmbeddedClickHouse, directory: Path, backlog: Backlog, name: str
) -> FullRun:  # fmt: skip
    """Follows the preloaded topic from its beginning. Raises WrongCounts if what ClickHouse answers is not what it comes to."""
    database = name.replace("-", "_")
    home = product.move_in(
        kafka, directory, backlog, name, f'[clickhouse]\nurl = "{clickhouse.url}"\ndatabase = "{database}"\n'
    )
    servers, outputs = kafka.bootstrap_servers, topics.transitions(home.prefix)
    with Child([*product.COMMAND, "--config", str(home.settings)], home.directory / "run.log") as both:
        both.wait(lambda: product.ready(home.port), 0.02)
        worker = role(both, "worker")
        began = usage_of(worker)
        both.wait(lambda: product.ready(home.sink_port), 0.02)
        sink = role(both, "sink")
        before = Marks(began, usage_of(sink), usage_of(clickhouse.pid))
        for topic in product.followed(backlog, home):
            committed(both, servers, topic, f"{home.prefix}worker")
        done = usage_of(worker)
        for topic in (backlog.topic, outputs):
            committed(both, servers, topic, f"{home.prefix}sink")
        after = Marks(done, usage_of(sink), usage_of(clickhouse.pid))
    client = connect(load_settings(home.settings, {}, {}).clickhouse)
    rows = check(client, backlog.expected)
    client.command(f"DROP DATABASE {database}")
    made = FullRun(worker_run(kafka, home, backlog, before, after), sink_run(rows, before, after))
    broker.delete(servers, home.prefix)
    return made


def worker_run(kafka: EmbeddedKafka, home: Home, backlog: Backlog, before: Marks, after: Marks) -> Run:
    """The worker's part."""
    written, state = product.written_by(home)
    return Run(
        backlog.expected.events, after.worker.cpu - before.worker.cpu,
        broker.last_written(kafka.bootstrap_servers, state) - before.worker.at, before.worker.cpu, after.worker.peak_rss,
        broker.bytes_on_disk(kafka.directory, written), broker.bytes_on_disk(kafka.directory, [state]),
    )  # fmt: skip


def sink_run(rows: int, before: Marks, after: Marks) -> SinkRun:
    """The sink's part."""
    return SinkRun(
        rows, after.sink.cpu - before.sink.cpu, after.clickhouse.cpu - before.clickhouse.cpu,
        after.sink.at - before.worker.at, after.sink.peak_rss,
    )  # fmt: skip


def committed(both: Child, servers: str, topic: str, group: str) -> None:
    """Waits until the group has acknowledged all that is in the topic now."""
    progress = broker.Progress(servers, topic, group)
    both.wait(lambda: progress.left() == 0, 0.1)
    progress.close()


def role(both: Child, name: str) -> int:
    """The pid of the supervised process that plays this role."""
    for process in psutil.Process(both.pid).children():
        command = process.cmdline()
        if "--only" in command and command[command.index("--only") + 1] == name:
            return int(process.pid)
    raise SinkError(f"the supervisor has no process for the {name}: {both.tail()}")


def check(client: Client, expected: Expected) -> int:
    """Holds ClickHouse's answers against the plain count; returns the rows of both tables."""
    rows = client.query(
        "SELECT funnel, kind, if(kind = 'enter', to_stage, if(outcome = 'converted', 'converted', 'dropped')) AS what, "
        f"count(), toInt64(sum(if(kind = 'enter', ifNull(value, 0), 0)) * {MONEY_SCALE}) "
        "FROM transitions FINAL GROUP BY funnel, kind, what"
    ).result_rows
    entered = {(funnel, what): number for funnel, kind, what, number, _ in rows if kind == "enter"}
    ends = {(funnel, what): number for funnel, kind, what, number, _ in rows if kind == "end"}
    events = int(client.command("SELECT count() FROM events"))  # type: ignore[arg-type]
    found = Expected(
        events, entered, {name: ends.get((name, "converted"), 0) for name in expected.converted},
        {name: ends.get((name, "dropped"), 0) for name in expected.dropped}, sum(money for *_, money in rows),
    )  # fmt: skip
    product.same(found, expected, "ClickHouse's")
    return events + expected.rows
