"""`python -m benchmarks.engine`: the parts of the worker one by one, in one process, without Kafka; µs of CPU per event.

Parts: take (`Partition.unusual`: records as they were fetched → rows and states), finish (`Partition.finish` once a chunk), rows
(rows → bytes), counters; and, apart, what decoding every record in Python costs. Medians over the chunks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time_ns
from typing import TypeVar

import click
import msgspec
from rich.console import Console
from rich.table import Table

from benchmarks.definitions import load
from benchmarks.workloads import Workload, dense, realistic
from schemas.decode import DecodeOptions, Format, decoder
from schemas.event import Event
from schemas.expectation.curve import learn_curve
from schemas.expectation.learned import Counts, LearnedStep
from schemas.funnel import Funnel, Unit
from sinks.prometheus.counters import FunnelCounters
from sinks.prometheus.labels import LabelPolicy
from streams.engine.match import CompiledFunnel
from streams.engine.partition import Partition, Result
from streams.engine.usual import Readable
from streams.memory import spare_the_collector
from streams.stream.effects import Effects

CHUNK = 250
PLACE = ("log", 0)
#: When Kafka got the records: after all of them (ms).
NOW = 1 << 42
Made = TypeVar("Made")


class Cost(msgspec.Struct, frozen=True):
    """CPU of one part, median of the chunks. `per_event`: microseconds."""

    part: str
    per_event: float


class Fetched(msgspec.Struct, frozen=True, gc=False):
    """A record as the consumer gives it."""

    offset: int
    timestamp: int
    key: bytes
    value: bytes


class Bench:
    """One workload through the parts, chunk by chunk, as the worker takes it."""

    def __init__(self, workload: Workload, funnels: tuple[Funnel, ...]) -> None:
        self.chunks = chunked(workload)
        compiled = [CompiledFunnel(funnel) for funnel in funnels]
        self.dimensions = {funnel.version: funnel.dimensions for funnel in funnels}
        self.store: dict[str, bytes] = {}
        options = DecodeOptions(format=Format.AUTO)
        self.partition = Partition("log", 0, Unit.SESSION, compiled, self.store, Readable(options))
        self.decode = decoder(options)
        self.counters = FunnelCounters(funnels, LabelPolicy(crosses=(("channel", "device"),)), "site")
        for baseline in self.counters.baselines.by_level.values():  # as after four weeks: conversions are expected
            step = baseline.step
            curve = learn_curve({0: 100, 1: 50, 5: 20}, baseline.unit, step.delay // baseline.unit)
            known = LearnedStep(step.fingerprint, 0, 1, 1, Counts(100_000, 50_000), curve)
            self.counters.baselines.learn(known, "UTC", 0)
        self.counters.begin(PLACE, None, {})
        self.spent: dict[str, list[float]] = {}

    def run(self) -> list[Cost]:
        """The costs of all parts."""
        for chunk in self.chunks:
            self._timed("take", len(chunk), partial(self.take, chunk))
            result = self._timed("finish", len(chunk), self.partition.finish)
            effects = Effects(self.partition, self.dimensions)
            self._timed("rows", len(chunk), partial(effects.add, result.made))
            self._timed("counters", len(chunk), partial(self.count, effects, result))
            self.partition.keep(result)
            self._timed("decode", len(chunk), partial(self.decoded, chunk))
        return [Cost(part, median(values)) for part, values in self.spent.items()]

    def take(self, chunk: list[Fetched]) -> None:
        for record in self.partition.unusual(chunk):
            self.partition.event(record.offset, self.decode(record.value, record.timestamp), record.timestamp)

    def decoded(self, chunk: list[Fetched]) -> list[Event]:
        return [self.decode(record.value, record.timestamp) for record in chunk]

    def count(self, effects: Effects, result: Result) -> None:
        effects.count(result.alike)
        self.counters.count(effects.tally, PLACE, self.partition.clock.heard)
        self.counters.settle()

    def _timed(self, part: str, events: int, work: Callable[[], Made]) -> Made:
        began = process_time_ns()
        made = work()
        self.spent.setdefault(part, []).append((process_time_ns() - began) / events / 1000)
        return made


def chunked(workload: Workload) -> list[list[Fetched]]:
    """Partition 0's records in chunks of CHUNK; the last, shorter one is left out."""
    records = [Fetched(offset, NOW, key, value) for offset, (key, value) in enumerate(workload.records(0))]
    return [records[start : start + CHUNK] for start in range(0, len(records) - CHUNK + 1, CHUNK)]


def costs(workload: Workload) -> list[Cost]:
    """Costs of all parts on one workload."""
    with tempfile.TemporaryDirectory() as folder:
        funnels = load(workload.walks, workload.dimensions, Path(folder))
    return Bench(workload, funnels).run()


@click.command()
@click.option("--events", default=400_000, show_default=True, type=click.IntRange(40_000), help="Of each workload.")
def main(events: int) -> None:
    """Microseconds of CPU per event, by part."""
    spare_the_collector()
    measured = {workload.name: costs(workload) for workload in (dense(events), realistic(events))}
    table = Table("part", *(f"{name}, µs" for name in measured))
    for rows in zip(*measured.values(), strict=True):
        table.add_row(rows[0].part, *(f"{row.per_event:.2f}" for row in rows))
    without_decode = (sum(row.per_event for row in rows if row.part != "decode") for rows in measured.values())
    table.add_row("all (decode apart)", *(f"{total:.2f}" for total in without_decode))
    Console().print(table)
    named = {
        f"engine_{name}_{row.part}": {"value": round(row.per_event, 3), "unit": "us"}
        for name, rows in measured.items()
        for row in rows
    }
    print(msgspec.json.encode(named).decode())


if __name__ == "__main__":
    main()
