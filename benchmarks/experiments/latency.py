"""Latency at half load: from Kafka's append to the counter, and to the row in ClickHouse, seen from outside; and what the product says."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from benchmarks.definitions import REALISTIC
from benchmarks.experiments import pages, sender
from benchmarks.experiments.markers import Look, Watch, in_clickhouse, latencies, on_page
from benchmarks.experiments.outcome import Chart, Figure, Line, Outcome, Table, cells, quantile
from benchmarks.experiments.place import Config, Place, Site, definition, marker_funnel, marker_labels
from benchmarks.experiments.plan import Plan
from benchmarks.experiments.processes import SINK, WORKER, Running, product, ready_worker, wait
from benchmarks.experiments.records import write
from schemas.metrics import COUNTING_LATENCY, EVENTS, SINK_LATENCY, SINK_ROWS
from sinks.embedded.clickhouse import EmbeddedClickHouse

BARS = {"counter": 1.0, "clickhouse": 3.0}  # seconds, at p99
SHARES = (0.5, 0.95, 0.99)
MARKERS = 20.0  # a second
SCRAPE, POLL = 0.1, 0.1  # seconds between two looks
WARM = 3  # seconds of the load that are left out
PARTITIONS = 4
LEAST = 60_000  # events of the backlog: with fewer it is over before it can be watched
WINDOW = "20s"  # short, so that attempts also end while it is measured

NOTES = (
    (
        "The product's histograms are read as Prometheus' `histogram_quantile` reads them: evenly spread within a bucket. Every hundredth "
        "record of a chunk stands for it in both."
    ),
    (
        "The sink gathers rows for `clickhouse.flush_after` (1 s) and looks every quarter of it whether that has passed: most of the way to "
        "ClickHouse is this wait."
    ),
)


class Maximum(msgspec.Struct, frozen=True):
    """Events a second with everything on: the worker's, and the sink's."""

    worker: float
    sink: float


class Stack(msgspec.Struct, frozen=True):
    """All that runs."""

    site: Site
    config: Config
    worker: Running
    sink: Running
    clickhouse: EmbeddedClickHouse


def run(place: Place, plan: Plan) -> Outcome:
    """The maximum first, unless the rate is given; then the load. Raises SinkError if a process fails."""
    top = None if plan.rate else maximum(place, plan)
    rate = plan.rate if top is None else min(top.worker, top.sink) / 2
    with stack(place, "latency") as on:
        order = sender.Order(
            on.site.servers, on.site.topic, PARTITIONS, rate, plan.seconds + WARM, str(on.site.home / "sent.json"), MARKERS,
            realistic=True,
        )  # fmt: skip
        with Watch(on_page(on.config.port), SCRAPE) as counter, Watch(look_in(on), POLL) as rows:
            with sender.sending(order) as running:
                time.sleep(WARM)
                began = pages.page(on.config.port), pages.page(on.config.sink_port), cpu(on), time.monotonic()
                sent = sender.result(order, running)
            passed, used = time.monotonic() - began[3], cpu(on)
            markers = sum(map(len, sent.markers.values()))
            wait(lambda: counter.has(markers) and rows.has(markers), on.worker, on.sink, longest=180)
        ended = pages.page(on.config.port), pages.page(on.config.sink_port)
    skip = int(WARM * MARKERS / PARTITIONS)
    outside = {
        "counter": latencies(sent.markers, counter.seen, skip),
        "clickhouse": latencies(sent.markers, rows.seen, skip),
    }
    told = {
        "counter": pages.rise(*(pages.buckets(page, COUNTING_LATENCY.name) for page in (began[0], ended[0]))),
        "clickhouse": pages.rise(
            *(pages.buckets(page, SINK_LATENCY.name, table="transitions") for page in (began[1], ended[1]))
        ),
    }
    shares = {name: (used[name] - began[2][name]) / passed for name in used}
    return outcome(plan, sent, top, outside, told, shares)


def outcome(
    plan: Plan, sent: sender.Sent, top: Maximum | None, outside: dict[str, list[int]], told: dict[str, dict[float, float]],
    shares: dict[str, float],
) -> Outcome:  # fmt: skip
    """All of it in figures."""
    figures, rows = [Figure("latency_rate", sent.rate, "events/s")], []
    if top is not None:
        figures += [
            Figure("latency_maximum_worker", top.worker, "events/s"),
            Figure("latency_maximum_sink", top.sink, "events/s"),
        ]
    for name, values in outside.items():
        seen = [quantile(values, share) / 1000 for share in SHARES]
        own = [pages.histogram_quantile(told[name], share) for share in SHARES]
        for share, value in zip(SHARES, seen, strict=True):
            bar = BARS[name] if share == SHARES[-1] else None
            figures.append(Figure(f"latency_{name}_p{share * 100:.0f}", value, "s", bar))
        rows += [cells(f"{name}, seen from outside", *seen), cells(f"{name}, the product's histogram", *own)]
    lines = tuple(
        Line(name, tuple((share / 100, quantile(values, share / 100) / 1000) for share in range(1, 100)))
        for name, values in outside.items()
    )
    used = Table("cores used under this load", ("process", "cores"), tuple(cells(*each) for each in shares.items()))
    return Outcome(
        "latency", "Latency at half load",
        f"{sent.rate:,.0f} realistic events a second for {plan.seconds:.0f} s, evenly paced (three funnels and four events of five that fit "
        f"none; {PARTITIONS} partitions; the sender was at most {sent.behind * 1000:.0f} ms behind its pace), and {MARKERS:.0f} markers a second "
        "of a fourth funnel. A marker's latency begins with the broker's append time; it ends when a scrape of the worker's page shows it "
        f"(every {SCRAPE * 1000:.0f} ms), and when a query shows its row (every {POLL * 1000:.0f} ms): both include the wait for that look. "
        "The maximum was measured with the same processes on a backlog: all events worked on by the worker, all stored by the sink.",
        tuple(figures),
        (Table("seconds", ("way", *(f"p{share * 100:.0f}" for share in SHARES)), tuple(rows)), used),
        (Chart("latency", "Latency of markers by share of them", "share of the markers", "s", lines),),
        NOTES,
    )  # fmt: skip


@contextmanager
def stack(place: Place, name: str, *, events: bool = True, faults: bool = False, backlog: int = 0) -> Iterator[Stack]:
    """ClickHouse, worker and sink, ready (with a backlog: just started). `events`: whether events are stored, too (the default in production). `backlog`:
    realistic events that are in the topic before worker and sink start."""
    funnels = "".join(
        definition(walk, window=WINDOW, lateness="2s", dimensions=("channel", "device")) for walk in REALISTIC
    )
    with EmbeddedClickHouse(place.directory / f"{name}-clickhouse", faults=faults) as clickhouse:
        site = place.site(
            name, funnels + marker_funnel(), partitions=PARTITIONS, labels=marker_labels(PARTITIONS),
            clickhouse=f'url = "{clickhouse.url}"\nevents = {str(events).lower()}\n',
        )  # fmt: skip
        write_backlog(place, site, backlog)
        config = site.config()
        with product(config, WORKER) if backlog else ready_worker(config) as worker, product(config, SINK) as sink:
            if not backlog:
                wait(lambda: pages.status(config.sink_port, "readyz") == "ok", worker, sink)
            yield Stack(site, config, worker, sink, clickhouse)


def write_backlog(place: Place, site: Site, count: int) -> None:
    """Realistic events of the last minutes."""
    order = sender.Order(site.servers, site.topic, site.partitions, 20_000, 0, "", realistic=True)
    traffic, start = sender.traffic(order), int(time.time() * 1000) - 600_000
    write(place.settings, site.topic, count, lambda number: traffic.event(start + number // 20))


def look_in(on: Stack) -> Look:
    """Looks into this stack's ClickHouse."""
    return in_clickhouse(on.clickhouse.port, "funnelwatch")


def maximum(place: Place, plan: Plan) -> Maximum:
    """How fast a backlog is worked on, and stored, by worker and sink side by side: from the first tenth to all of it."""
    backlog = max(plan.backlog, LEAST)
    with stack(place, "maximum", backlog=backlog) as on:
        looked: dict[str, list[tuple[float, float]]] = {"worker": [], "sink": []}

        def done() -> bool:
            for role, count in (("worker", done_by_worker(on)), ("sink", done_by_sink(on))):
                known = looked[role]
                if count >= backlog / 10 and (not known or count > known[-1][1]):
                    known.append((time.time(), count))
            return all(known and known[-1][1] >= backlog for known in looked.values())

        wait(done, on.worker, on.sink)
        return Maximum(pace(looked["worker"]), pace(looked["sink"]))


def pace(looked: list[tuple[float, float]]) -> float:
    """Events a second between the first look and the last. Raises AssertionError where all was done at the first one."""
    (began, first), (ended, last) = looked[0], looked[-1]
    assert last > first, "the backlog is too small to see how fast it is worked on"
    return (last - first) / (ended - began)


def done_by_worker(on: Stack) -> float:
    return pages.total(pages.page(on.config.port), EVENTS.name, funnel=REALISTIC[0].name)


def done_by_sink(on: Stack) -> float:
    return pages.total(pages.page(on.config.sink_port), SINK_ROWS.name, table="events")


def cpu(on: Stack) -> dict[str, float]:
    """CPU seconds of all that runs, up to now."""
    return {"worker": on.worker.cpu(), "sink": on.sink.cpu()}
