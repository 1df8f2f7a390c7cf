"""The sink: how fast it empties a backlog into ClickHouse and at what cost; and an outage of ClickHouse under load."""

from __future__ import annotations

import time

import msgspec
import psutil  # type: ignore[import-untyped]

from benchmarks.definitions import DENSE
from benchmarks.experiments import outage, pages, sender
from benchmarks.experiments.memory import MIB
from benchmarks.experiments.outcome import Figure, Outcome, Table, cells
from benchmarks.experiments.place import Place, Site, definition
from benchmarks.experiments.plan import Plan
from benchmarks.experiments.processes import SINK, product, ready_worker, wait
from benchmarks.experiments.records import write
from benchmarks.experiments.small import used
from benchmarks.experiments.topics import Ends
from schemas.metrics import EVENTS, SINK_ROWS
from sinks.embedded.clickhouse import EmbeddedClickHouse

PARTITIONS = 4
FIRST = 0.2  # of the rows are stored before the clock starts: connections are made, tables are there


class Stored(msgspec.Struct, frozen=True):
    """What one backlog took. `sink_cpu`, `clickhouse_cpu`: seconds; `rss`: bytes, at most seen."""

    rows: float
    seconds: float
    sink_cpu: float
    clickhouse_cpu: float
    rss: int


def run(place: Place, plan: Plan) -> Outcome:
    """Raises SinkError if a process fails, AssertionError if rows are lost."""
    with EmbeddedClickHouse(place.directory / "sink-clickhouse") as clickhouse:
        site = backlog(place, plan, clickhouse)
        stored = {events: store(site, clickhouse, events=events) for events in (False, True)}
    figures, rows = [], []
    for events, each in stored.items():
        name = "sink_with_events" if events else "sink"
        figures += [
            Figure(f"{name}_rows_per_second", each.rows / each.seconds, "rows/s"),
            Figure(f"{name}_cpu_per_row", each.sink_cpu / each.rows * 1e6, "us"),
            Figure(f"{name}_peak_rss", each.rss / MIB, "MiB"),
        ]
        rows.append(cells(
            "transitions and events" if events else "transitions", each.rows, each.rows / each.seconds, each.sink_cpu / each.rows * 1e6,
            each.clickhouse_cpu / each.rows * 1e6, each.rss / MIB,
        ))  # fmt: skip
    more, tables, charts = outage.run(place, plan)
    columns = (
        "stored",
        "rows",
        "rows/s",
        "sink, µs of CPU per row",
        "ClickHouse, µs of CPU per row",
        "sink's RSS at most, MiB",
    )
    return Outcome(
        "sink", "The sink, and an outage of ClickHouse",
        f"Throughput: the worker made transitions of {plan.backlog:,} dense events; then the sink alone stored them, and once more together with the events themselves "
        "(the default), each time under a new group into a new database. Counted from a fifth of the rows to the last. "
        + outage.done(plan),
        (*figures, *more), (Table("a backlog", columns, tuple(rows)), *tables), charts,
    )  # fmt: skip


def backlog(place: Place, plan: Plan, clickhouse: EmbeddedClickHouse) -> Site:
    """Transitions in Kafka, as the worker writes them."""
    site = place.site(
        "sink", definition(DENSE[0], window="2m", lateness="10s"), partitions=PARTITIONS,
        clickhouse=f'url = "{clickhouse.url}"\n',
    )  # fmt: skip
    order = sender.Order(site.servers, site.topic, PARTITIONS, plan.backlog / 200, 0, "")
    traffic, start = sender.traffic(order), int(time.time() * 1000) - 210_000
    write(
        place.settings, site.topic, plan.backlog, lambda number: traffic.event(start + number * 200_000 // plan.backlog)
    )
    config = site.config()
    with ready_worker(config) as worker:
        wait(lambda: pages.total(pages.page(config.port), EVENTS.name, funnel=DENSE[0].name) >= plan.backlog, worker)
    return site


def store(site: Site, clickhouse: EmbeddedClickHouse, *, events: bool) -> Stored:
    """The sink alone, from an empty database to all rows."""
    name = "both" if events else "transitions"
    groups = f'group_prefix = "{name}."'
    settings = site.settings.replace(f'group_prefix = "{site.prefix}"', groups).replace(
        "[clickhouse]\n", f'[clickhouse]\ndatabase = "{name}"\nevents = {str(events).lower()}\n'
    )
    own = msgspec.structs.replace(site, settings=settings)
    ends = Ends(site.servers, site.transitions, site.partitions)
    count = sum(ends.now().values())
    ends.close()
    if events:
        ends = Ends(site.servers, site.topic, site.partitions)
        count += sum(ends.now().values())
        ends.close()
    config, database = own.config(1 + events), psutil.Process(clickhouse.pid)
    with product(config, SINK) as sink:

        def rows() -> float:
            page = pages.page(config.sink_port)
            tables = ("transitions", "progress", *(("events",) if events else ()))
            return sum(pages.total(page, SINK_ROWS.name, table=table) for table in tables)

        wait(lambda: rows() >= FIRST * count, sink, pause=0.02)
        first, began, cpu, base = rows(), time.time(), sink.cpu(), used(database)
        most = [sink.rss()]

        def done() -> bool:
            most.append(sink.rss())
            return rows() >= count

        ended = wait(done, sink, pause=0.1)
        return Stored(count - first, ended - began, sink.cpu() - cpu, used(database) - base, max(most))
