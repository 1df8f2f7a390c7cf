"""The figures as people read them: the terminal, docs/benchmarks-alerts.md, one JSON line."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import msgspec
import psutil  # type: ignore[import-untyped]
from rich.console import Console
from rich.table import Table

from benchmarks.alerts.figures import Figure
from benchmarks.report import cpu_model

if TYPE_CHECKING:
    from benchmarks.alerts.__main__ import Plan

PREFACE = """# Alert benchmark

Written by `make bench-alerts`. How often do the shipped alert rules page for nothing, how late do they page for something, do they name the
right segment? Judged in simulation, on months of traffic, with fixed seeds.

**What runs.** The drop rules and their calibration as they ship, in `streams/backtest`, which takes windows, weights and limits from
`schemas/rules`; `tests/alerts/test_backtest.py` and `test_calibration.py` hold it against `promtool`, score by score and page by page. Expected
conversions follow the maths of `schemas/expectation`, learned each midnight from the four simulated weeks before; a test holds the arrays against the
worker's own classes.

**Traffic.** Steps of a minute; 16 series: 5, 50, 500, 5000 entries/h × 2, 10, 30, 60 %; 7 : 1 from day to night, weekends a quarter less; the rate swings by
±12 % over day and week, drifts by 3 % and has AR(1) noise of 5 or 10 % that forgets over 6 hours; delay to convert lognormal, median 4 minutes, cut at 60.
Four weeks are learned, four calibrate, the rest is judged.

**Words.** A false page is one on healthy traffic, after an hour without any. Falls last 24 hours and thin conversions; delays run from their first
minute to the end of the minute in which the alert fires, `for: 1m` included (scrapes and evaluation add up to two and a half minutes in production). Information
time T* is ln(entries per month) / KL(fallen ‖ healthy), a number of entries: delays are measured in entries that came; the second figure takes the
series' mean traffic instead, so that a fall at night counts as late. Series with T* ≤ 12 h count. A family is one stage with 12 channels, 4 devices and their
48 cells; a segment is named at the moment of the first page, whatever paged. Intervals are 95 %, by bootstrap over series or trials.

**Limits.** Weights, windows and limits were chosen on other seeds than those that are judged here. A page that stood already when a fall began counts for
nobody; the usual detectors page so often that this leaves few falls, and some of their recall is chance. A fall in one cell of two dimensions pages
in half of the trials: cells name who is responsible, and are not watched themselves. A small segment that converts far less than its stage is expected to
convert too much, since its cells are drawn towards the stage with the weight of 100 conversions: in one of nine stages that were looked at, the smallest device (a third fewer
conversions than expected, all month long) had five false pages in 30 days.
"""
HEADINGS = ("figure", "reached", "95 %", "unit", "must reach", "gap", "cases")


def environment() -> str:
    """The machine and the versions."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return (
        f"{datetime.now(UTC).date().isoformat()}; {psutil.cpu_count()} cores, {cpu_model()}; Python {platform.python_version()}, "
        f"numpy {version('numpy')}; load average at the start {load}"
    )


def show(figures: Sequence[Figure]) -> None:
    """Prints the table."""
    table = Table(*HEADINGS)
    for each in figures:
        table.add_row(*_line(each))
    Console(width=180).print(table)


def document(figures: Sequence[Figure], plan: Plan, machine: str, took: tuple[float, float]) -> str:
    """The whole of docs/benchmarks-alerts.md."""
    size = (
        f"{plan.runs} runs of each series, {plan.judged} days judged in each ({16 * plan.runs * plan.judged / 30:.0f} series-months for each "
        f"noise); {plan.trials} trials of each event in each run; stages of {', '.join(map(str, plan.hourly))} entries/h, {plan.stage_days} days "
        f"and {plan.stage_trials} trials of each kind and fall in each."
    )
    shipped = [each for each in figures if not _usual(each)]
    usual = [each for each in figures if _usual(each)]
    parts = [
        PREFACE, f"**Size.** {size}", f"**Machine.** {machine}. The run took {took[0] / 60:.1f} minutes ({took[1] / 60:.1f} of CPU).",
        "## The shipped rules", _markdown(shipped), "## What is usual today, on the same traffic", _markdown(usual),
    ]  # fmt: skip
    return "\n\n".join(part.strip() for part in parts) + "\n"


def as_json(figures: Sequence[Figure]) -> str:
    """One line."""
    named = {
        each.name: {"value": _finite(each.value), "low": _finite(each.low), "high": _finite(each.high), "cases": each.cases, "unit": each.unit}
        | ({} if each.bar is None else {"bar": each.bar, "met": each.met})
        for each in figures
    }  # fmt: skip
    return msgspec.json.encode(named).decode()


def _finite(value: float) -> float | None:
    return round(value, 4) if abs(value) < float("inf") else None


def _usual(each: Figure) -> bool:
    return each.name.startswith(("ratio", "z-score", "bands"))


def _markdown(figures: Sequence[Figure]) -> str:
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(_line(each) for each in figures)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _line(each: Figure) -> tuple[str, ...]:
    bar = "" if each.bar is None else f"{'≥' if each.at_least else '≤'} {each.bar:g}"
    gap = "" if each.met is None else "none" if each.met else f"**{abs(each.value - (each.bar or 0)):.2g}**"
    return (
        each.name,
        _number(each.value),
        f"{_number(each.low)} … {_number(each.high)}",
        each.unit,
        bar,
        gap,
        str(each.cases),
    )


def _number(value: float) -> str:
    return "never" if value == float("inf") else f"{value:.3g}"
