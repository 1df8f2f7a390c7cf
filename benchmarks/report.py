"""The figures as people read them: a table on the terminal, and the document."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figure
from sinks.embedded.jars import KAFKA_VERSION

PREFACE = """# Benchmarks

Written by `make bench` (`python -m benchmarks`); run it again to replace the figures.

## What is measured

- **product**: the worker as `funnelwatch run` starts it, a process of its own, against a real Kafka broker on the same machine: decoding,
  funnels, drop-offs, durable state, transitions and drop-offs out, acknowledgements, metrics on. The backlog is in Kafka before it
  starts. CPU is the user and system time of that process from readiness until all is committed; `process_cpu` has its start-up as
  well. Wall time ends with the last state written.
- **faust**: the dense job the way Faust's documentation writes it (models, one event at a time, a windowed table with its changelog,
  `send`), on the first events of the same stream. It does less: no drop-offs, no late events, no duplicates, no metrics, and nothing waits
  for its changelog. Its CPU per event hardly depends on how many there are (335 µs at 30,000, 322 µs at 50,000), so fewer are enough.
- **dense**: every event is a stage of one funnel of five stages: walks of sessions; 15 of 100 stop at each stage. About 115 bytes an event. **realistic**: four events of five fit no stage of any of three ordered funnels; four breakdown
  dimensions, twelve fields, about 435 bytes.
- Both streams are seeded, have explicit session ids, are keyed by them, lie on 4 partitions and carry 1,000 events a second of event
  time, so that a session's next event mostly comes in another chunk.
- A figure is only printed if the transitions counted by stage equal a plain count of the walks (for the product: conversions,
  drop-offs and revenue, too). Rounds alternate; figures are medians, with the lowest and the highest round in brackets. The ratio is taken
  within each round.
- CPU time depends on what else the machine does (shared caches): compare ratios, and read the load average with the rest.

"""


def environment() -> list[tuple[str, str]]:
    """The machine and the versions, as name and text."""
    packages = ("faust-streaming", "aiokafka", "msgspec")
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        ("date", datetime.now(UTC).date().isoformat()),
        ("machine", f"{psutil.cpu_count()} cores, {cpu_model()}, {psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("Kafka", KAFKA_VERSION),
        *((package, version(package)) for package in packages),
        ("load average at the start", load),
    ]


def cpu_model() -> str:
    """The processor's name."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def show(figures: Sequence[Figure], machine: Sequence[tuple[str, str]]) -> None:
    """Prints the table."""
    console = Console()
    console.print(*(f"{name}: {text}" for name, text in machine), sep="\n")
    table = Table("figure", "median", "unit", "rounds")
    for each in figures:
        table.add_row(each.name, f"{each.value:,.10g}", each.unit, "{:,.10g} … {:,.10g}".format(*each.spread))
    console.print(table)


def document(figures: Sequence[Figure], machine: Sequence[tuple[str, str]], rounds: int) -> str:
    """The whole of docs/benchmarks.md."""
    lines = [f"- {name}: {text}" for name, text in machine]
    lines += [f"- rounds: {rounds}", "", "| figure | median | unit | rounds |", "|---|---|---|---|"]
    for each in figures:
        spread = "{:,.10g} … {:,.10g}".format(*each.spread)
        lines.append(f"| `{each.name}` | {each.value:,.10g} | {each.unit} | {spread} |")
    return PREFACE + "## Figures\n\n" + "\n".join(lines) + "\n"
