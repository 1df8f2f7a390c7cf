"""Scale: CPU per event of one, two and four workers; and, in process, what drives the cost of an event."""

from __future__ import annotations

import time
from contextlib import closing
from functools import partial
from statistics import median
from typing import NamedTuple

from kafka import KafkaAdminClient

from benchmarks import broker
from benchmarks.definitions import DENSE, REALISTIC, Walk
from benchmarks.experiments import costs, pages, sender
from benchmarks.experiments.outcome import Chart, Figure, Line, Outcome, Table, cells
from benchmarks.experiments.place import Config, Place, definition
from benchmarks.experiments.plan import Plan
from benchmarks.experiments.processes import WORKER, Running, product, wait
from benchmarks.experiments.records import write
from schemas.metrics import EVENTS
from streams.topics import lags

DIMENSIONS = ("channel", "device")
#: How much more CPU an event may cost with several workers.
DEARER = 1.15


class Team(NamedTuple):
    """So many workers. `in_turn`: one at a time, so that each has a core to itself, as one worker has."""

    workers: int
    in_turn: bool

    def __str__(self) -> str:
        return f"{self.workers}, in turn" if self.in_turn else str(self.workers)


class Run(NamedTuple):
    """`cost`: µs of CPU per event, of all workers. `speed`: events a second, where they ran at once."""

    cost: float
    speed: float


def run(place: Place, plan: Plan) -> Outcome:
    """Workers first, then the costs. Raises SinkError if a process fails, AssertionError if events were not counted once."""
    figures: list[Figure] = []
    rows, lines = [], []
    one, *others = plan.worker_counts
    teams = [Team(one, in_turn=False), *(Team(count, in_turn) for count in others for in_turn in (True, False))]
    for (kind, partitions), rounds in _rounds(place, plan, teams).items():
        points: list[tuple[float, float]] = []
        for number, team in enumerate(teams):
            cost, speed = median(runs[number].cost for runs in rounds), median(runs[number].speed for runs in rounds)
            against = [runs[number].cost / runs[0].cost for runs in rounds]
            rows.append(
                cells(
                    kind, partitions, str(team), cost, median(against), f"{min(against):.2f} … {max(against):.2f}",
                    "" if team.in_turn else speed,
                )
            )  # fmt: skip
            name = f"scale_{kind}_{team.workers}_workers_{partitions}_partitions{'_in_turn' * team.in_turn}"
            figures.append(Figure(f"{name}_cpu_per_event", cost, "us"))
            if number:
                figures.append(Figure(f"{name}_cost_ratio", median(against), "times", DEARER if team.in_turn else None))
            if team.in_turn or not number:
                points.append((float(team.workers), cost))
        lines.append(Line(f"{kind}, {partitions} partitions", tuple(points)))
    columns = ("events", "partitions", "workers", "µs of CPU per event", "against one", "in the rounds", "events/s")
    more, tables, charts = costs.run(plan, place.directory)
    picture = Chart(
        "scale-workers", "CPU per event by workers, each with a core", "workers", "µs per event", tuple(lines)
    )
    return Outcome(
        "scale", "Scale",
        f"Workers: {plan.scale_events:,} events are appended to a topic that so many workers share, who stand still meanwhile; CPU of all of them, from then until all offsets are committed, by events. "
        f"Medians of {plan.scale_rounds} rounds; *against one worker*: within a round, whose runs follow each other, since the machine's own pace changes by a third in minutes. "
        "*In turn*: the workers go on one after the other, each until its partitions are done, so that each has a core to itself beside the broker's, as one worker has; "
        "else all at once, on as many cores as the machine has: beyond these they wait for one another, and share the caches. *In process*: the engine's parts without Kafka, "
        f"which is reading (of a source keyed by the session), funnels, state, encoding of rows, counters; medians over chunks of {costs.CHUNK:,} events.",
        (*figures, *more), (Table("workers", columns, tuple(rows)), *tables), (picture, *charts),
    )  # fmt: skip


def _rounds(place: Place, plan: Plan, teams: list[Team]) -> dict[tuple[str, int], list[list[Run]]]:
    """By kind of events and partitions: of each round the runs, by team."""
    found: dict[tuple[str, int], list[list[Run]]] = {}
    for number in range(plan.scale_rounds):
        for kind, walks in (("dense", DENSE), ("realistic", REALISTIC)):
            for partitions in plan.partition_counts:
                runs = [measure(place, plan, kind, walks, team, partitions, number) for team in teams]
                found.setdefault((kind, partitions), []).append(runs)
    return found


def measure(
    place: Place, plan: Plan, kind: str, walks: tuple[Walk, ...], team: Team, partitions: int, number: int
) -> Run:
    """From the first event to the last."""
    dimensions = DIMENSIONS if kind == "realistic" else ()
    funnels = "".join(definition(walk, window="2m", lateness="10s", dimensions=dimensions) for walk in walks)
    name = f"scale-{kind}-{partitions}-{team.workers}-{team.in_turn}-{number}"
    # A session outlasts any halt.
    site = place.site(name, funnels, partitions=partitions, kafka='session_timeout = "5m"\n')
    configs = [site.config(number) for number in range(team.workers)]
    workers: list[Running] = []
    try:
        workers += [product(config, WORKER) for config in configs]
        wait(lambda: all(pages.status(config.port, "readyz") == "ok" for config in configs), *workers)
        time.sleep(3)  # the last one's joining has reached all
        wait(lambda: all(pages.status(config.port, "readyz") == "ok" for config in configs), *workers)
        order = sender.Order(
            site.servers, site.topic, partitions, plan.scale_events / 200, 0, "", realistic=kind == "realistic"
        )
        traffic, start = sender.traffic(order), int(time.time() * 1000) - 210_000
        for worker in workers:
            worker.halt()
        write(
            place.settings,
            site.topic,
            plan.scale_events,
            lambda number: traffic.event(start + number * 200_000 // plan.scale_events),
        )
        used, began = sum(worker.cpu() for worker in workers), time.time()
        with closing(KafkaAdminClient(bootstrap_servers=site.servers)) as admin:

            def wait_for(share: int) -> float:
                """Until so many partitions are done. (Not by the workers' pages, which cost them time.)"""
                left = partial(lags, admin, site.group, [site.topic])
                return wait(lambda: list(left().values()).count(0) >= share, *workers, pause=0.2)

            for turn, worker in enumerate(workers, 1):
                worker.go_on()
                if team.in_turn:
                    wait_for(partitions * turn // team.workers)
                    worker.halt()
            for worker in workers:
                worker.go_on()
            ended = wait_for(partitions)
        took = sum(worker.cpu() for worker in workers) - used
        wait(lambda: counted(configs, walks[0]) >= plan.scale_events, *workers, pause=1.0, longest=30.0)
        assert counted(configs, walks[0]) == plan.scale_events, "not every event was counted once"
        return Run(took / plan.scale_events * 1e6, plan.scale_events / (ended - began))
    finally:
        for worker in workers:
            worker.stop()
        for prefix in (site.topic, site.prefix):
            broker.delete(site.servers, prefix)


def counted(configs: list[Config], walk: Walk) -> float:
    """Events that the workers have counted together."""
    return sum(pages.total(pages.page(config.port), EVENTS.name, funnel=walk.name) for config in configs)
