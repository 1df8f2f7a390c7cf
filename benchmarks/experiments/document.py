"""The outcomes as people read them: the terminal, the document with its pictures, and one JSON line."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.experiments.outcome import Figure, Outcome, Table, number
from benchmarks.experiments.svg import draw

PREFACE = """# Experiments

Written by `python -m benchmarks.experiments` (one or all of its experiments; `--quick` tries them in small and writes nothing). Running one
again replaces its section. Throughput is in [benchmarks](benchmarks.md).

Everything but what is called *in process* ran against a real Kafka broker (and chDB behind ClickHouse's HTTP interface, where ClickHouse
appears) on one machine, with the worker as the process that `funnelwatch run` starts, its state durable. Broker, database, load and
whoever measures share that machine's cores with the worker.
"""
#: A section stands between its marker and the next one, so that one experiment can be written anew without the others.
MARKER = "<!-- experiment: {} -->"
_SECTION = re.compile(r"<!-- experiment: (\w+) -->\n(.*?)(?=<!-- experiment: |\Z)", re.DOTALL)
Machine = Sequence[tuple[str, str]]


def show(outcome: Outcome) -> None:
    """Prints figures, tables and notes."""
    console = Console()
    for table in (figures_table(outcome.figures), *outcome.tables):
        shown = RichTable(*table.columns, title=f"{outcome.name}: {table.title}", title_justify="left")
        for row in table.rows:
            shown.add_row(*row)
        console.print(shown)
    for note in outcome.notes:
        console.print(f"- {note}", markup=False)


def figures_table(figures: Iterable[Figure]) -> Table:
    """The figures with their bars."""
    told = {None: "", True: "met", False: "**missed**"}
    rows = (
        (f.name, number(f.value), f.unit, "" if f.bar is None else f"≤ {number(f.bar)}", told[f.met]) for f in figures
    )
    return Table("figures", ("figure", "value", "unit", "bar", ""), tuple(rows))


def write(path: Path, outcome: Outcome, machine: Machine, order: Sequence[str]) -> None:
    """Puts the experiment's section into the document, in its place, and its charts into `img` beside it."""
    known = dict(_SECTION.findall(path.read_text())) if path.is_file() else {}
    known[outcome.name] = section(outcome, machine)
    named = [name for name in order if name in known]
    path.write_text(PREFACE + "".join(f"\n{MARKER.format(name)}\n{known[name].strip()}\n" for name in named))
    for chart in outcome.charts:
        picture = path.parent / "img" / f"{chart.file}.svg"
        picture.parent.mkdir(exist_ok=True)
        picture.write_text(draw(chart))


def section(outcome: Outcome, machine: Machine) -> str:
    """One experiment in Markdown."""
    parts = [f"## {outcome.title}", outcome.done.strip(), "; ".join(f"{name}: {text}" for name, text in machine) + "."]
    for table in (figures_table(outcome.figures), *outcome.tables):
        parts.append(f"### {table.title[:1].upper()}{table.title[1:]}")
        lines = [table.columns, tuple("---" for _ in table.columns), *table.rows]
        parts.append("\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines))
    parts += [f"![{chart.title}](img/{chart.file}.svg)" for chart in outcome.charts]
    if outcome.notes:
        parts.append("\n".join(f"- {note}" for note in outcome.notes))
    return "\n\n".join(parts)


def as_json(outcomes: Iterable[Outcome]) -> str:
    """One line: every figure by name, with its unit, its bar and whether that is met."""
    named = {
        figure.name: {"value": figure.value, "unit": figure.unit}
        | ({} if figure.bar is None else {"bar": figure.bar, "met": figure.met})
        for outcome in outcomes
        for figure in outcome.figures
    }
    return msgspec.json.encode(named).decode()
