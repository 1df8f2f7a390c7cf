"""Rebalances under load: a third worker joins, leaves by SIGTERM, comes back, is killed; how long partitions stand still."""

from __future__ import annotations

import time

import msgspec

from benchmarks.definitions import DENSE
from benchmarks.experiments import pages, sender
from benchmarks.experiments.outcome import Chart, Figure, Line, Outcome, Table, cells
from benchmarks.experiments.place import Config, Place, Site, definition
from benchmarks.experiments.plan import Plan
from benchmarks.experiments.processes import WORKER, Running, product, ready_worker, wait
from benchmarks.experiments.topics import append_times, longest_pause
from schemas.metrics import CONSUMER_LAG

PARTITIONS = 6
STEADY = 8.0  # seconds before the first and after each event
BIN = 0.5  # seconds, of the picture


class Moment(msgspec.Struct, frozen=True):
    """What was done, when, and who had which partition before and after. `end`: until when its effects are looked for."""

    what: str
    name: str
    at: float
    end: float
    before: dict[int, int]
    after: dict[int, int]

    @property
    def moved(self) -> set[int]:
        """Partitions whose worker changed, or was away."""
        return {number for number in range(PARTITIONS) if self.before.get(number) != self.after.get(number)}


class Scene:
    """The workers and their load. Every step ends when all partitions have an owner and it has been steady for a while."""

    def __init__(self, site: Site, configs: list[Config], plan: Plan) -> None:
        self._site, self._configs, self._plan = site, configs, plan
        self.workers: dict[int, Running] = {}
        self.moments: list[Moment] = []

    def start(self, number: int) -> None:
        self.workers[number] = product(self._configs[number], WORKER)
        wait(lambda: pages.status(self._configs[number].port, "readyz") == "ok", *self.workers.values())

    def owners(self) -> dict[int, int]:
        """Which worker has which partition, as their pages say."""
        return {
            int(sample.labels["partition"]): number
            for number, worker in self.workers.items()
            if worker.alive
            for sample in pages.samples(
                pages.page(self._configs[number].port), CONSUMER_LAG.name, topic=self._site.topic
            )
        }

    def settle(self, workers: int) -> None:
        """Waits until so many workers share all partitions."""
        longest = self._plan.session_timeout + 90.0
        alive = [worker for worker in self.workers.values() if worker.alive]

        def shared() -> bool:
            owners = self.owners()
            return len(owners) == PARTITIONS and len(set(owners.values())) == workers

        wait(shared, *alive, pause=0.25, longest=longest)
        time.sleep(STEADY)

    def step(self, what: str, name: str, workers: int, act: str) -> None:
        """One event: `act` is start, stop or kill of the third worker."""
        before, at = self.owners(), time.time()
        if act == "start":
            self.start(2)
        elif act == "restart":
            self.workers[2].kill()
            self.start(2)
        else:
            worker = self.workers[2]
            if act == "stop":
                worker.stop()
            else:
                worker.kill()
        self.settle(workers)
        after = self.owners()
        self.moments.append(Moment(what, name, at, time.time(), before, after))


STEPS = (
    ("a third worker joins", "join", 3, "start"),
    ("the third is killed (kill -9) and started again at once", "restart", 3, "restart"),
    ("the third leaves (SIGTERM)", "leave", 2, "stop"),
    ("it comes back", "return", 3, "start"),
    ("it is killed (kill -9) and stays away", "kill", 2, "kill"),
)


def run(place: Place, plan: Plan) -> Outcome:
    """Raises SinkError if a process fails."""
    site = place.site(
        "rebalance", definition(DENSE[0], window="30s", lateness="2s"), partitions=PARTITIONS,
        kafka=f'session_timeout = "{plan.session_timeout}s"\n', timed=True,
    )  # fmt: skip
    configs = [site.config(number) for number in range(3)]
    scene = Scene(site, configs, plan)
    order = sender.Order(site.servers, site.topic, PARTITIONS, plan.load, 3600, str(site.home / "sent.json"))
    try:
        for number in range(2):
            scene.workers[number] = ready_worker(configs[number])
        with sender.sending(order) as load:
            scene.settle(2)
            steady = time.time()
            time.sleep(STEADY)
            begun = time.time()
            for step in STEPS:
                scene.step(*step)
            load.stop()
    finally:
        for worker in scene.workers.values():
            worker.stop()
    times = append_times(site.servers, site.transitions, dict.fromkeys(range(PARTITIONS), 0))
    return outcome(plan, scene.moments, times, (steady, begun))


def outcome(plan: Plan, moments: list[Moment], times: dict[int, list[float]], steady: tuple[float, float]) -> Outcome:
    """Pauses of all, of what moved and of what stayed."""
    every = sorted(at for part in times.values() for at in part)
    figures = [
        Figure("rebalance_steady_pause", max(longest_pause(part, *steady).seconds for part in times.values()), "s")
    ]
    rows = []
    for moment in moments:
        span = (moment.at, moment.end)
        pauses = {number: longest_pause(part, *span).seconds for number, part in times.items()}
        moved = [pauses[number] for number in moment.moved]
        stayed = [pause for number, pause in pauses.items() if number not in moment.moved]
        whole = longest_pause(every, *span)
        figures += [
            Figure(f"rebalance_{moment.name}_pause_all", whole.seconds, "s"),
            Figure(f"rebalance_{moment.name}_pause_longest", max(pauses.values()), "s"),
        ]
        first, last = whole.start - moment.at, whole.end - moment.at
        rows.append(cells(
            moment.what, whole.seconds, f"{first:.1f} … {last:.1f}", max(moved) if moved else "–", max(stayed) if stayed else "–", len(moved),
        ))  # fmt: skip
    columns = (
        "event",
        "nothing progresses, s",
        "at second",
        "a partition that moved, at most, s",
        "one that stayed, s",
        "moved",
    )
    return Outcome(
        "rebalance", "Rebalances under load",
        f"{plan.load:,} dense events a second on {PARTITIONS} partitions, two workers, a third that comes and goes; session timeout {plan.session_timeout} s, static membership. "
        "A pause is the longest time between two appends to a partition of the transitions (Kafka's append times), all partitions "
        "together or one alone.",
        tuple(figures), (Table("pauses", columns, tuple(rows)),), (picture(moments, every),), notes(plan, figures),
    )  # fmt: skip


def notes(plan: Plan, figures: list[Figure]) -> tuple[str, ...]:
    """What the pauses come from, as far as they show it."""
    pauses = {figure.name: figure.value for figure in figures}
    if pauses["rebalance_leave_pause_longest"] < 0.8 * plan.session_timeout:
        return ()
    return (
        (
            "A worker that ends by SIGTERM keeps its place in the group (static membership: a restart within `kafka.session_timeout` moves "
            "nothing). If it stays away, its partitions wait that long for another worker."
        ),
    )


def picture(moments: list[Moment], every: list[float]) -> Chart:
    """Transitions a second over time."""
    start = every[0]
    counts: dict[int, int] = {}
    for at in every:
        counts[int((at - start) / BIN)] = counts.get(int((at - start) / BIN), 0) + 1
    points = tuple((place * BIN, counts.get(place, 0) / BIN) for place in range(max(counts) + 1))
    told = ", ".join(f"{moment.name} {moment.at - start:.0f} s" for moment in moments)
    return Chart("rebalance", f"Rows a second: {told}", "seconds", "rows/s", (Line("all partitions", points),))
