"""The rounds: every contestant once in each, on backlogs that are written before the first."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks import broker, contestants, figures, full, product
from benchmarks.contestants import CONTESTANTS, Contestant, installed
from benchmarks.full import FullRun
from benchmarks.product import Backlog, Run
from benchmarks.workloads import Workload, dense, gap, realistic, rekeyed
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka


class Plan(msgspec.Struct, frozen=True):
    """How much is run: events of each workload by contestant, and rounds. `more`: of the workloads without a bar."""

    events: int
    full: int
    more: int
    faust: int
    quix: int
    bytewax: int
    rounds: int


QUICK = Plan(events=30_000, full=10_000, more=10_000, faust=2_000, quix=10_000, bytewax=20_000, rounds=1)


class Runs:
    """What was measured, by figure prefix, in the order of the rounds."""

    def __init__(self) -> None:
        self.workers: dict[str, list[Run]] = {}
        self.full: list[FullRun] = []

    def figures(self) -> list[figures.Figure]:
        """All figures; ratios first."""
        ours = self.workers["product_dense"]
        made = [
            figures.ratio(f"dense_product_to_{other.name}", ours, self.workers[f"{other.name}_dense"])
            for other in CONTESTANTS
            if f"{other.name}_dense" in self.workers
        ]
        for prefix, runs in self.workers.items():
            made += figures.of_runs(prefix, runs)
        made += figures.of_runs("product_full_dense", [run.worker for run in self.full])
        return made + figures.of_sink([run.sink for run in self.full])


def measure(plan: Plan) -> Runs:
    """All rounds. Raises SinkError if something does not start or end, WrongCounts if counts are wrong."""
    with tempfile.TemporaryDirectory(prefix="funnelwatch-bench-") as folder:
        directory = Path(folder)
        with EmbeddedKafka(directory / "kafka") as kafka, EmbeddedClickHouse(directory / "clickhouse") as clickhouse:
            return Course(plan, directory, kafka, clickhouse).run()


class Course:
    """One broker, one ClickHouse, and all runs on them."""

    def __init__(
        self, plan: Plan, directory: Path, kafka: EmbeddedKafka, clickhouse: EmbeddedClickHouse
    ) -> None:  # fmt: skip
        self.plan, self.directory, self.kafka, self.clickhouse = plan, directory, kafka, clickhouse
        self.runs, self._written = Runs(), dict[str, Backlog]()

    def run(self) -> Runs:
        plan, jobs = self.plan, list[Callable[[int], None]]()
        jobs.append(self.worker(dense(plan.events)))
        for other, events in zip(CONTESTANTS, (plan.faust, plan.quix, plan.bytewax), strict=True):
            if installed(other.package).python is None:
                said(f"{other.name} is {installed(other.package).versions}")
            else:
                jobs.append(self.other(other, dense(min(events, plan.events))))
        jobs.append(self.worker(realistic(plan.events)))
        jobs.append(self.whole(dense(plan.full)))
        jobs += [self.worker(workload) for workload in (gap(plan.more), rekeyed(plan.more))]
        for number in range(1, plan.rounds + 1):
            for job in jobs:
                job(number)
        return self.runs

    def worker(self, workload: Workload) -> Callable[[int], None]:
        """The worker alone, on one workload."""
        backlog = self.backlog(workload)
        runs = self.runs.workers.setdefault(f"product_{workload.name}", [])

        def job(number: int) -> None:
            said(f"round {number}: the worker on {workload.count:,} {workload.name} events")
            runs.append(product.run(self.kafka, self.directory, backlog, f"{workload.name}-{number}"))

        return job

    def whole(self, workload: Workload) -> Callable[[int], None]:
        """The worker, the sink and ClickHouse."""
        backlog = self.backlog(workload)

        def job(number: int) -> None:
            said(f"round {number}: worker, sink and ClickHouse on {workload.count:,} {workload.name} events")
            self.runs.full.append(full.run(self.kafka, self.clickhouse, self.directory, backlog, f"full-{number}"))

        return job

    def other(self, contestant: Contestant, workload: Workload) -> Callable[[int], None]:
        """Another framework."""
        backlog = self.backlog(workload)
        runs = self.runs.workers.setdefault(f"{contestant.name}_{workload.name}", [])

        def job(number: int) -> None:
            said(f"round {number}: {contestant.name} on {workload.count:,} {workload.name} events")
            runs.append(contestants.run(contestant, self.kafka, self.directory, backlog, f"{contestant.name}-{number}"))

        return job

    def backlog(self, workload: Workload) -> Backlog:
        """The stream in a topic; one that is there already is used again."""
        topic = f"source-{workload.name}-{workload.count}"
        if topic not in self._written:
            said(f"writing {workload.count:,} {workload.name} events")
            expected = broker.preload(self.kafka.bootstrap_servers, topic, workload)
            self._written[topic] = Backlog(topic, workload, expected)
        return self._written[topic]


def said(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
