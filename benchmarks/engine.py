"""`python -m benchmarks.engine`: the parts of the worker one by one, in one process, without Kafka; µs of CPU per event.

Parts: decode (bytes → Event), match (name → stages), event (`Partition.event`, decoding apart), finish (`Partition.finish`
once a chunk), rows (rows → bytes), counters. Medians over the chunks.
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
from streams.engine.match import CompiledFunnel, Index
from streams.engine.partition import Partition, Result
from streams.stream.effects import Effects
from streams.worker import spare_the_collector

CHUNK = 250
PLACE = ("log", 0)
Made = TypeVar("Made")


class Cost(msgspec.Struct, frozen=True):
    """CPU of one part, median of the chunks. `per_event`: microseconds."""

    part: str
    per_event: float


class Bench:
    """One workload through the parts, chunk by chunk, as the worker takes it."""

    def __init__(self, workload: Workload, funnels: tuple[Funnel, ...]) -> None:
        self.chunks = chunked(workload)
        compiled = [CompiledFunnel(funnel) for funnel in funnels]
        self.dimensions = {funnel.version: funnel.dimensions for funnel in funnels}
        self.index = Index(compiled)
        self.store: dict[str, bytes] = {}
        self.partition = Partition("log", 0, Unit.SESSION, compiled, self.store)
        self.decode = decoder(DecodeOptions(format=Format.AUTO))
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
        offset = 0
        for chunk in self.chunks:
            events = self._timed("decode", len(chunk), partial(self.decoded, chunk))
            self._timed("match", len(chunk), partial(self.match, events))
            self._timed("event", len(chunk), partial(self.follow, offset, events))
            result = self._timed("finish", len(chunk), self.partition.finish)
            effects = Effects(self.partition, self.dimensions)
            self._timed("rows", len(chunk), partial(effects.pack, result.made))
            self._timed("counters", len(chunk), partial(self.count, effects, result))
            self.partition.keep(result)
            offset += len(chunk)
        return [Cost(part, median(values)) for part, values in self.spent.items()]

    def decoded(self, chunk: list[bytes]) -> list[Event]:
        now = 1 << 42
        return [self.decode(value, now) for value in chunk]

    def match(self, events: list[Event]) -> None:
        """As `Partition.take` looks before it moves a unit (its share of *event*)."""
        for event in events:
            concern = self.index.concerned[event.event]
            if concern is not None and concern.looks is None:
                concern.look(event)

    def follow(self, offset: int, events: list[Event]) -> None:
        move = self.partition.event
        for place, event in enumerate(events, offset):
            move(place, event)

    def count(self, effects: Effects, result: Result) -> None:
        effects.count(result.made)
        self.counters.count(effects.tally, PLACE, self.partition.clock.heard)

    def _timed(self, part: str, events: int, work: Callable[[], Made]) -> Made:
        began = process_time_ns()
        made = work()
        self.spent.setdefault(part, []).append((process_time_ns() - began) / events / 1000)
        return made


def chunked(workload: Workload) -> list[list[bytes]]:
    """Partition 0's records in chunks of CHUNK; the last, shorter one is left out."""
    values = [value for _, value in workload.records(0)]
    return [values[start : start + CHUNK] for start in range(0, len(values) - CHUNK + 1, CHUNK)]


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
    without_match = (sum(row.per_event for row in rows if row.part != "match") for rows in measured.values())
    table.add_row("all (match is part of event)", *(f"{total:.2f}" for total in without_match))
    Console().print(table)
    named = {
        f"engine_{name}_{row.part}": {"value": round(row.per_event, 3), "unit": "us"}
        for name, rows in measured.items()
        for row in rows
    }
    print(msgspec.json.encode(named).decode())


if __name__ == "__main__":
    main()
