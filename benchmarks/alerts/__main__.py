"""`python -m benchmarks.alerts [--quick]`: the shipped alert rules judged in simulation; the document, one JSON line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from benchmarks.alerts import report
from benchmarks.alerts.compared import compared
from benchmarks.alerts.families import family_figures
from benchmarks.alerts.figures import Figure
from benchmarks.alerts.single import calibrated, fall_figures, falls, false_pages, no_falls
from benchmarks.alerts.traffic import DAY
from benchmarks.alerts.world import world

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks-alerts.md"
SEED = 2026
NOISES = (0.05, 0.10)


class Plan(msgspec.Struct, frozen=True):
    """`runs` of each series, `judged` days each; `trials` of each event per run; `hourly`: entries of the stages with segments,
    each for `stage_days`, with `stage_trials` of each kind of fall."""

    runs: int
    judged: int
    trials: int
    hourly: tuple[int, ...]
    stage_days: int
    stage_trials: int


FULL = Plan(6, 60, 2, (300, 300, 1_000, 3_000, 3_000, 20_000), 60, 16)
QUICK = Plan(1, 7, 1, (3_000,), 5, 2)


def measure(plan: Plan) -> Iterator[Figure]:
    """Every figure of the shipped rules, one after the other; then those of what is usual."""
    for noise in NOISES:
        simulated = world(plan.runs, plan.judged * DAY, noise, SEED)
        learned = calibrated(simulated)
        yield from false_pages(simulated, learned, noise)
        if noise == NOISES[0]:
            yield from fall_figures(falls(simulated, learned, plan.trials, SEED))
            yield from no_falls(simulated, learned, plan.trials, SEED)
            yield from compared(simulated, SEED)
    yield from family_figures(plan.hourly, plan.stage_days, plan.stage_trials, NOISES[0], SEED)


@click.command()
@click.option("--quick", is_flag=True, help="A small world, nothing written into the docs: does it still work?")
@click.option("--document", type=click.Path(path_type=Path), default=DOCUMENT, help="Where the figures are written.")
def main(quick: bool, document: Path) -> None:  # noqa: FBT001  (a flag)
    """Judges the alert rules on simulated months."""
    plan = QUICK if quick else FULL
    began, machine = (time.monotonic(), time.process_time()), report.environment()
    figures = list(measure(plan))
    took = (time.monotonic() - began[0], time.process_time() - began[1])
    report.show(figures)
    if not quick:
        document.write_text(report.document(figures, plan, machine, took))
    print(report.as_json(figures))


if __name__ == "__main__":
    main()
