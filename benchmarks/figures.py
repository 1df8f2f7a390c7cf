"""The figures: medians over the rounds, each with its name and its unit."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import msgspec

from benchmarks.full import SinkRun
from benchmarks.product import Run

MIB = 1024 * 1024


class Figure(msgspec.Struct, frozen=True):
    """One measured value. `spread`: the lowest and the highest of the rounds."""

    name: str
    value: float
    unit: str
    spread: tuple[float, float]


def figure(name: str, unit: str, values: Sequence[float]) -> Figure:
    """The median of the rounds."""
    return Figure(name, round(median(values), 2), unit, (round(min(values), 2), round(max(values), 2)))


def of_runs(prefix: str, runs: Sequence[Run]) -> list[Figure]:
    """All figures of one contestant on one workload."""
    return [
        figure(f"{prefix}_events", "events", [run.events for run in runs]),
        figure(f"{prefix}_events_per_cpu_second", "events/s", [run.events / run.cpu for run in runs]),
        figure(f"{prefix}_cpu_per_event", "us", [run.cpu / run.events * 1e6 for run in runs]),
        figure(f"{prefix}_events_per_second", "events/s", [run.events / run.wall for run in runs]),
        figure(f"{prefix}_wall_time", "s", [run.wall for run in runs]),
        figure(f"{prefix}_process_cpu", "s", [run.cpu + run.startup for run in runs]),
        figure(f"{prefix}_startup_cpu", "s", [run.startup for run in runs]),
        figure(f"{prefix}_peak_rss", "MiB", [run.peak_rss / MIB for run in runs]),
        figure(f"{prefix}_transitions_per_event", "bytes", [run.transition_bytes / run.events for run in runs]),
        figure(f"{prefix}_state_per_event", "bytes", [run.state_bytes / run.events for run in runs]),
        figure(
            f"{prefix}_written_per_event", "bytes",
            [(run.transition_bytes + run.state_bytes) / run.events for run in runs],
        ),
    ]  # fmt: skip


def of_sink(runs: Sequence[SinkRun]) -> list[Figure]:
    """All figures of the sink and of ClickHouse behind it."""
    return [
        figure("sink_rows", "rows", [run.rows for run in runs]),
        figure("sink_rows_per_second", "rows/s", [run.rows / run.wall for run in runs]),
        figure("sink_rows_per_cpu_second", "rows/s", [run.rows / run.cpu for run in runs]),
        figure("sink_cpu_per_row", "us", [run.cpu / run.rows * 1e6 for run in runs]),
        figure("sink_clickhouse_cpu_per_row", "us", [run.clickhouse_cpu / run.rows * 1e6 for run in runs]),
        figure("sink_peak_rss", "MiB", [run.peak_rss / MIB for run in runs]),
    ]


def ratio(name: str, product: Sequence[Run], other: Sequence[Run]) -> Figure:
    """How many times the events a CPU second carries; round by round, so that both met the same machine."""
    pairs = zip(product, other, strict=True)
    return figure(name, "times", [(a.events / a.cpu) / (b.events / b.cpu) for a, b in pairs])


def as_json(figures: Sequence[Figure]) -> str:
    """One line: every figure by name, with its unit and spread."""
    named = {each.name: {"value": each.value, "unit": each.unit, "spread": each.spread} for each in figures}
    return msgspec.json.encode(named).decode()
