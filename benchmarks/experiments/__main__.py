"""`python -m benchmarks.experiments [NAME…] [--quick]`: tables, the document with its pictures, one JSON line."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import msgspec

from benchmarks import report
from benchmarks.experiments import document, latency, memory, rebalance, recovery, scale, sink, small
from benchmarks.experiments.outcome import Outcome
from benchmarks.experiments.place import Place
from benchmarks.experiments.plan import FULL, QUICK, Plan
from schemas.errors import FunnelwatchError
from sinks.embedded.kafka import EmbeddedKafka

DOCUMENT = Path(__file__).parents[2] / "docs" / "benchmarks-experiments.md"
EXPERIMENTS: dict[str, Callable[[Place, Plan], Outcome]] = {
    "memory": memory.run, "latency": latency.run, "recovery": recovery.run, "rebalance": rebalance.run, "scale": scale.run,
    "small": small.run, "sink": sink.run,
}  # fmt: skip
ALL = "all"


@click.command()
@click.argument("names", nargs=-1, metavar="[NAME]…", type=click.Choice((*EXPERIMENTS, ALL)))
@click.option("--quick", is_flag=True, help="Small sizes, nothing written into the docs: does it still work?")
@click.option("--rate", type=click.FloatRange(min=1.0), help="latency: events a second, instead of half the maximum.")
@click.option("--attempts", type=click.IntRange(1_000), help="memory, recovery: open attempts.")
@click.option(
    "--document", "path", type=click.Path(path_type=Path), help=f"Written there (default: docs/{DOCUMENT.name})."
)
def main(names: tuple[str, ...], quick: bool, rate: float | None, attempts: int | None, path: Path | None) -> None:  # noqa: FBT001  (a flag)
    """Memory, latency, recovery, rebalances, scale, a small site, the sink. All of them (default) take about three quarters of an hour."""
    plan = QUICK if quick else FULL
    plan = msgspec.structs.replace(plan, rate=rate or plan.rate, attempts=attempts or plan.attempts)
    wanted = [name for name in EXPERIMENTS if not names or ALL in names or name in names]
    target = path or (None if quick else DOCUMENT)
    outcomes, failed = measure(wanted, plan, target)
    print(document.as_json(outcomes))
    if failed:
        raise click.ClickException("; ".join(failed))


def measure(names: Sequence[str], plan: Plan, target: Path | None) -> tuple[list[Outcome], list[str]]:
    """The outcomes of those that ended, and what went wrong with the others. Each has a broker of its own."""
    outcomes, failed = [], []
    for name in names:
        print(f"{name} …", file=sys.stderr, flush=True)
        machine = report.environment()
        try:
            with tempfile.TemporaryDirectory(prefix=f"funnelwatch-{name}-") as folder:
                directory = Path(folder)
                with EmbeddedKafka(directory / "kafka") as kafka:
                    outcome = EXPERIMENTS[name](Place(kafka, directory), plan)
        except (FunnelwatchError, AssertionError) as error:
            failed.append(f"{name}: {error}")
            continue
        document.show(outcome)
        if target is not None:
            document.write(target, outcome, machine, list(EXPERIMENTS))
        outcomes.append(outcome)
    return outcomes, failed


if __name__ == "__main__":
    main()
