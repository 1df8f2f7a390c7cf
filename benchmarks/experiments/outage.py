"""ClickHouse stalls, then refuses, under load: the sink's memory stays bounded, and nothing is missing once it is back."""

from __future__ import annotations

import time
import urllib.request
from contextlib import suppress
from urllib.parse import quote

import msgspec
from kafka import KafkaConsumer, TopicPartition

from benchmarks.experiments import pages, sender
from benchmarks.experiments.latency import PARTITIONS, Stack, stack
from benchmarks.experiments.memory import MIB
from benchmarks.experiments.outcome import Chart, Figure, Line, Table, cells
from benchmarks.experiments.place import Place
from benchmarks.experiments.plan import Plan
from benchmarks.experiments.processes import wait
from benchmarks.product import rows_in
from schemas.errors import SinkError
from schemas.metrics import SINK_QUEUE_AGE, SINK_ROWS
from sinks.embedded.faults import Faults

CALM = 8.0  # seconds of load before the outage
LOOK = 0.5  # seconds between two looks
FOREVER = 1_000_000
STALL_SECONDS = 35.0  # longer than the sink waits for an answer
ROWS = "SELECT uniqExact(funnel, attempt_id, kind, item) FROM transitions"
EVENTS = "SELECT uniqExact(event_id) FROM events WHERE event != 'marker'"


class Looked(msgspec.Struct, frozen=True):
    """The sink at one moment. `at`: seconds since the load began; `rss`: bytes; `rows`: stored by then, all tables."""

    at: float
    rss: int
    queue_age: float
    rows: float


def done(plan: Plan) -> str:
    """What was done, for the document."""
    return (
        f"Outage: {plan.load:,} realistic events a second; after {CALM:.0f} s ClickHouse answers nothing for {plan.outage:.0f} s, then refuses for {plan.outage:.0f} s, then works again, "
        "while the load goes on for as long as the outage took. In the end distinct rows and events in ClickHouse are counted "
        "against those in Kafka."
    )


def run(place: Place, plan: Plan) -> tuple[list[Figure], list[Table], tuple[Chart, ...]]:
    """Raises SinkError if a process fails."""
    seconds = CALM + 4 * plan.outage
    with stack(place, "outage", faults=True) as on:
        order = sender.Order(
            on.site.servers,
            on.site.topic,
            PARTITIONS,
            plan.load,
            seconds,
            str(on.site.home / "sent.json"),
            realistic=True,
        )
        looked: list[Looked] = []
        with sender.sending(order) as running:
            began = time.time()
            marks = [CALM, CALM + plan.outage, CALM + 2 * plan.outage]
            faults = [Faults(stall=FOREVER, stall_seconds=STALL_SECONDS), Faults(refuse=FOREVER), Faults()]
            for mark, fault in zip(marks, faults, strict=True):
                watch(on, looked, began, mark)
                on.clickhouse.inject(fault)
            back = time.time() - began
            watch(on, looked, began, seconds)
            sent = sender.result(order, running)
        wait(lambda: stored(on, "events") >= sent.events, on.worker, on.sink)
        caught_up = time.time() - began
        written = distinct_rows(on)
        with suppress(SinkError):  # what is missing after a minute is told as missing
            wait(lambda: ask(on, ROWS) >= written and ask(on, EVENTS) >= sent.events, on.sink, pause=1.0, longest=60)
        rows, events = ask(on, ROWS), ask(on, EVENTS)
    return told(looked, (CALM, back), caught_up, abs(written - rows) + abs(sent.events - events))


def watch(on: Stack, looked: list[Looked], began: float, until: float) -> None:
    """Looks at the sink until so many seconds after the load began."""
    while (at := time.time() - began) < until:
        page = pages.page(on.config.sink_port)
        looked.append(
            Looked(at, on.sink.rss(), pages.total(page, SINK_QUEUE_AGE.name), pages.total(page, SINK_ROWS.name))
        )
        time.sleep(LOOK)


def told(
    looked: list[Looked], span: tuple[float, float], caught_up: float, missing: int
) -> tuple[list[Figure], list[Table], tuple[Chart, ...]]:
    """The figures, and the memory over time."""
    start, back = span
    before = max(look.rss for look in looked if look.at <= start)
    during = max((look.rss for look in looked if start < look.at <= back), default=before)
    after = max((look.rss for look in looked if look.at > back), default=during)
    halted = max((look.rows for look in looked if look.at <= back), default=0.0)
    again = min((look.at for look in looked if look.at > back and look.rows > halted), default=caught_up)
    figures = [
        Figure("outage_rss_before", before / MIB, "MiB"), Figure("outage_rss_during", during / MIB, "MiB"),
        Figure("outage_rss_after", after / MIB, "MiB"), Figure("outage_seconds_until_rows_again", again - back, "s"),
        Figure("outage_missing_rows", missing, "rows", 0.0),
    ]  # fmt: skip
    texts = (
        ("RSS before, MiB", before / MIB), ("RSS during, at most, MiB", during / MIB), ("RSS after, at most, MiB", after / MIB),
        ("ClickHouse back until rows are stored again, s", again - back),
        ("ClickHouse back until all of the load is stored (it went on meanwhile), s", caught_up - back),
        ("distinct rows and events by which Kafka and ClickHouse differ", float(missing)),
    )  # fmt: skip
    table = Table("an outage of ClickHouse", ("", "value"), tuple(cells(*text) for text in texts))
    line = Line("the sink's RSS", tuple((look.at, look.rss / MIB) for look in looked))
    title = f"The sink's memory; ClickHouse is away from {start:.0f} s to {back:.0f} s"
    return figures, [table], (Chart("sink-outage", title, "seconds", "MiB", (line,)),)


def stored(on: Stack, table: str) -> float:
    """Rows that the sink says are in the table."""
    return pages.total(pages.page(on.config.sink_port), SINK_ROWS.name, table=table)


def distinct_rows(on: Stack) -> int:
    """Keys of the rows in the transitions topic."""
    consumer = KafkaConsumer(bootstrap_servers=on.site.servers, enable_auto_commit=False, max_poll_records=20_000)
    keys: set[int] = set()
    try:
        places = [TopicPartition(on.site.transitions, number) for number in range(PARTITIONS)]
        ends = consumer.end_offsets(places)
        consumer.assign(places)
        consumer.seek_to_beginning(*places)
        while any(consumer.position(place) < ends[place] for place in places):
            for batch in consumer.poll(timeout_ms=500).values():
                rows = (row for record in batch for row in rows_in(record))
                keys.update(hash((row.funnel, row.attempt_id, row.kind, row.item)) for row in rows)
    finally:
        consumer.close()
    return len(keys)


def ask(on: Stack, query: str) -> int:
    """A number from ClickHouse."""
    url = f"{on.clickhouse.url}/?database=funnelwatch&query={quote(query)}"
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=60) as answer:
        return int(answer.read())
