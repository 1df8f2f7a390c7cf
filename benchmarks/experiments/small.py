"""A small site: 50 events a second, everything that `funnelwatch run` starts; the share of a core and the memory of each process."""

from __future__ import annotations

import time

import psutil  # type: ignore[import-untyped]

from benchmarks.definitions import REALISTIC
from benchmarks.experiments import pages, sender
from benchmarks.experiments.memory import MIB
from benchmarks.experiments.outcome import Figure, Outcome, Table, cells
from benchmarks.experiments.place import Place, definition
from benchmarks.experiments.plan import Plan
from benchmarks.experiments.processes import SINK, WORKER, Running, product, wait
from schemas.metrics import EVENTS, SINK_ROWS
from sinks.embedded.clickhouse import EmbeddedClickHouse

RATE = 50.0
CORE_BAR, RSS_BAR = 5.0, 200.0  # percent; MiB
WARM = 5.0
SCRAPE = 15.0  # seconds, as Prometheus is mostly set
PARTITIONS = 4


def run(place: Place, plan: Plan) -> Outcome:
    """Raises SinkError if a process fails, AssertionError if not all events were counted."""
    funnels = "".join(
        definition(walk, window="10m", lateness="1m", dimensions=("channel", "device")) for walk in REALISTIC
    )
    with EmbeddedClickHouse(place.directory / "small-clickhouse") as clickhouse:
        site = place.site("small", funnels, partitions=PARTITIONS, clickhouse=f'url = "{clickhouse.url}"\n')
        config = site.config()
        with product(config, None) as supervisor:
            for port in (config.port, config.sink_port):
                wait(lambda port=port: pages.status(port, "readyz") == "ok", supervisor)  # type: ignore[misc]
            order = sender.Order(
                site.servers,
                site.topic,
                PARTITIONS,
                RATE,
                plan.seconds + WARM,
                str(site.home / "sent.json"),
                realistic=True,
            )
            with sender.sending(order) as running:
                time.sleep(WARM)
                shares, sizes = watch(supervisor, config.port, config.sink_port, plan.seconds)
                sent = sender.result(order, running)
            wait(lambda: worked(config.port) >= sent.events, supervisor, longest=30)
            wait(
                lambda: pages.total(pages.page(config.sink_port), SINK_ROWS.name, table="events") >= sent.events,
                supervisor,
            )
            assert worked(config.port) == sent.events, "the worker counted other events than were sent"
    figures = [
        Figure("small_worker_core_percent", shares[WORKER], "%", CORE_BAR),
        Figure("small_worker_rss", sizes[WORKER], "MiB", RSS_BAR),
        *(Figure(f"small_{role}_core_percent", shares[role], "%") for role in (SINK, "supervisor")),
        *(Figure(f"small_{role}_rss", sizes[role], "MiB") for role in (SINK, "supervisor")),
    ]
    rows = tuple(cells(role, shares[role], sizes[role]) for role in shares)
    return Outcome(
        "small", "A small site",
        f"{RATE:.0f} realistic events a second for {plan.seconds:.0f} s, evenly paced, over {PARTITIONS} partitions: `funnelwatch run` (supervisor, worker, "
        f"sink) with ClickHouse, both pages scraped every {SCRAPE:.0f} s. CPU is the processes' user and system time over these seconds, "
        "memory their RSS at the end.",
        tuple(figures), (Table("processes", ("process", "% of a core", "RSS, MiB"), rows),),
    )  # fmt: skip


def worked(port: int) -> float:
    """Events that the worker has counted."""
    return pages.total(pages.page(port), EVENTS.name, funnel=REALISTIC[0].name)


def watch(supervisor: Running, *ports_and_seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Percent of a core by process over so many seconds, and MiB at their end, while the pages are scraped."""
    *ports, seconds = ports_and_seconds
    parts = supervisor.parts()
    began, before = (
        time.monotonic(),
        {role: used(each) for role, each in parts.items()} | {"supervisor": supervisor.cpu()},
    )
    while (left := began + seconds - time.monotonic()) > 0:
        for port in ports:
            pages.page(int(port))
        time.sleep(min(left, SCRAPE))
    passed = time.monotonic() - began
    after = {role: used(each) for role, each in parts.items()} | {"supervisor": supervisor.cpu()}
    sizes = {role: each.memory_info().rss / MIB for role, each in parts.items()} | {
        "supervisor": supervisor.rss() / MIB
    }
    return {role: 100 * (after[role] - before[role]) / passed for role in after}, sizes


def used(process: psutil.Process) -> float:
    """CPU seconds of a process up to now."""
    times = process.cpu_times()
    return float(times.user + times.system)
