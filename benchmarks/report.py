"""The figures as people read them: tables on the terminal, and the document."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from benchmarks.contestants import CONTESTANTS, installed
from benchmarks.figures import Figure
from benchmarks.preface import PREFACE
from sinks.embedded.jars import KAFKA_VERSION

#: Columns of text where there is no terminal that has its own.
WIDTH = 180
#: Columns of the comparison: figure's suffix, heading.
COLUMNS = (
    ("events", "events"), ("events_per_cpu_second", "events per CPU second"), ("events_per_second", "events/s of wall time"),
    ("peak_rss", "peak RSS, MiB"), ("written_per_event", "bytes written per event"),
)  # fmt: skip
#: Rows of the comparison: figures' prefix, heading.
ROWS = (
    ("product_dense", "**funnelwatch**, dense"),
    *((f"{other.name}_dense", f"{other.package}, dense") for other in CONTESTANTS),
    ("product_full_dense", "funnelwatch beside its sink and ClickHouse, dense"),
    ("product_realistic", "funnelwatch, realistic"),
    ("product_gap", "funnelwatch, gap"),
    ("product_rekeyed", "funnelwatch, rekeyed"),
)


def environment() -> list[tuple[str, str]]:
    """The machine and the versions, as name and text."""
    packages = ("aiokafka", "msgspec", "faust-streaming", "chdb")
    load = ", ".join(f"{value:.2f}" for value in os.getloadavg())
    return [
        ("date", datetime.now(UTC).date().isoformat()),
        ("machine", f"{psutil.cpu_count()} cores, {cpu_model()}, {psutil.virtual_memory().total / 2**30:.0f} GiB"),
        ("system", f"{platform.system()} {platform.release()}"),
        ("Python", platform.python_version()),
        ("Kafka", KAFKA_VERSION),
        ("funnelwatch's own packages", ", ".join(f"{package} {version(package)}" for package in packages)),
        *((other.package, installed(other.package).versions) for other in CONTESTANTS),
        ("load average at the start", load),
    ]


def cpu_model() -> str:
    """The processor's name."""
    listing = Path("/proc/cpuinfo")
    lines = listing.read_text().splitlines() if listing.is_file() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def comparison(figures: Sequence[Figure]) -> list[list[str]]:
    """A line for each contestant and workload: its name, each column, how many times the product's rate is of its."""
    by_name = {each.name: each for each in figures}
    lines = []
    for prefix, heading in ROWS:
        if f"{prefix}_events" in by_name:
            cells = [f"{by_name[f'{prefix}_{suffix}'].value:,.0f}" for suffix, _ in COLUMNS]
            ratio = by_name.get(f"dense_product_to_{prefix.removesuffix('_dense')}")
            lines.append([heading, *cells, f"{ratio.value:.1f} ({_spread(ratio, '.1f')})" if ratio else ""])
    missing = [other for other in CONTESTANTS if f"{other.name}_dense_events" not in by_name]
    return lines + [[f"{x.package}, dense", installed(x.package).versions, *[""] * len(COLUMNS)] for x in missing]


def headings() -> list[str]:
    """Of the comparison."""
    return ["", *(heading for _, heading in COLUMNS), "the product carries … times as many per CPU second"]


def show(figures: Sequence[Figure], machine: Sequence[tuple[str, str]]) -> None:
    """Prints the tables."""
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    console.print(*(f"{name}: {text}" for name, text in machine), sep="\n")
    for header, lines in ((headings(), comparison(figures)), (FIGURE_HEADINGS, _figure_lines(figures))):
        table = Table(*header)
        for line in lines:
            table.add_row(*(cell.replace("**", "").strip("`") for cell in line))
        console.print(table)


def document(figures: Sequence[Figure], machine: Sequence[tuple[str, str]], rounds: int) -> str:
    """The whole of docs/benchmarks.md."""
    lines = [*_markdown(headings(), comparison(figures)), "", *(f"- {name}: {text}" for name, text in machine)]
    lines += [f"- rounds: {rounds}", "", "## All figures", "", *_markdown(FIGURE_HEADINGS, _figure_lines(figures))]
    return PREFACE + "## Side by side\n\nMedians of the rounds.\n\n" + "\n".join(lines) + "\n"


FIGURE_HEADINGS = ["figure", "median", "unit", "rounds"]


def _figure_lines(figures: Sequence[Figure]) -> list[list[str]]:
    return [[f"`{each.name}`", f"{each.value:,.10g}", each.unit, _spread(each, ",.10g")] for each in figures]


def _spread(each: Figure, form: str) -> str:
    return " … ".join(format(value, form) for value in each.spread)


def _markdown(header: Sequence[str], lines: Sequence[Sequence[str]]) -> list[str]:
    return [f"| {' | '.join(line)} |" for line in (header, ["---"] * len(header), *lines)]
