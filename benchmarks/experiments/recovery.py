"""Recovery: with many open attempts the worker is killed and started again; how long until it goes on, and where the time goes."""

from __future__ import annotations

import time

import msgspec

from benchmarks.experiments import pages
from benchmarks.experiments.memory import MIB, WALK, fill, wait_for_open
from benchmarks.experiments.outcome import Figure, Outcome, Table, cells
from benchmarks.experiments.place import Config, Place, Site, definition
from benchmarks.experiments.plan import Plan
from benchmarks.experiments.processes import WORKER, Running, product, ready_worker, settled, wait
from benchmarks.experiments.topics import Ends, Group, append_times
from schemas.metrics import REBALANCES

BAR = 20.0  # seconds
LOOK = 0.03  # seconds between two looks


class Times(msgspec.Struct, frozen=True):
    """Seconds since 1970 UTC: process started, its web server listens, it is in its group with partitions, it has its state and
    calls itself ready, the first row written after the kill, and the last partition's first row."""

    started: float
    listening: float
    joined: float
    ready: float
    first: float
    last: float


PHASES = (
    ("start-up: interpreter, imports, settings, topics", "started", "listening"),
    ("group: the clients connect, the worker joins and has its partitions", "listening", "joined"),
    ("state: its topic is read", "joined", "ready"),
    ("first rows: reading goes on, a partition's state is built, its records are worked on", "ready", "first"),
    ("the other partitions", "first", "last"),
)


def run(place: Place, plan: Plan) -> Outcome:
    """Kill, restart. Raises SinkError if a process fails."""
    site = place.site("recovery", definition(WALK), timed=True)
    config = site.config()
    with ready_worker(config) as worker:
        fill(place, site.topic, site.partitions, range(plan.attempts))
        wait_for_open(config, worker, plan.attempts)
        time.sleep(3)  # its offsets are committed once a second
        worker.kill()
    times, rss = restart(place, site, config, plan.attempts)
    rows = [cells(what, getattr(times, to) - getattr(times, since)) for what, since, to in PHASES]
    return Outcome(
        "recovery", "Recovery after kill -9",
        f"{plan.attempts:,} open attempts, as in *memory*, on {site.partitions} partitions; `kill -9`, a further session's first event is appended to each partition, and the worker "
        "is started again at once, with the same name in its group (static membership). The clock runs from that start until the "
        "new sessions' rows are in Kafka. Under `funnelwatch run` the supervisor's pause of 1 s comes first.",
        (
            Figure("recovery_seconds", times.last - times.started, "s", BAR),
            Figure("recovery_first_row_seconds", times.first - times.started, "s"),
            Figure("recovery_state_units_per_second", plan.attempts / (times.ready - times.joined), "1/s"),
            Figure("recovery_rss_after", rss / MIB, "MiB"),
        ),
        (Table("where the seconds go", ("phase", "s"), tuple(rows)),),
    )  # fmt: skip


def restart(place: Place, site: Site, config: Config, units: int) -> tuple[Times, int]:
    """Starts the worker again and watches it; returns the times and the RSS in the end."""
    ends, group = Ends(site.servers, site.transitions, site.partitions), Group(site.servers, site.group)
    before, dead = ends.now(), group.members()
    fill(place, site.topic, site.partitions, range(units, units + site.partitions))
    with product(config, WORKER) as worker:
        listening = wait(lambda: pages.status(config.port, "healthz") != "", worker, pause=LOOK)
        joined = wait(lambda: bool(group.members() - dead), worker, pause=LOOK)
        ready = wait(lambda: pages.status(config.port, "readyz") == "ok", worker, pause=LOOK)
        wait(lambda: all(end > before[number] for number, end in ends.now().items()), worker, pause=LOOK)
        ends.close()
        group.close()
        written = [min(times) for times in append_times(site.servers, site.transitions, before).values()]
        wait_for_open(config, worker, units + site.partitions)
        rss = settled(worker)
        check_once(config, worker)
    # The looks are some milliseconds apart: what was seen later than the first row was there before it.
    return Times(worker.began, listening, joined, min(ready, *written), min(written), max(written)), rss


def check_once(config: Config, worker: Running) -> None:
    """It joined its group once: a second rebalance would be part of the time."""
    worker.check()
    rebalances = pages.total(pages.page(config.port), REBALANCES.name)
    assert rebalances <= 1, f"the restarted worker went through {rebalances:.0f} rebalances"
