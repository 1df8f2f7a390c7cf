"""`python -m benchmarks`: the worker and idiomatic Faust in turn, on the same events; a table, the document, one JSON line."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import click
import msgspec

from benchmarks import broker, figures, idiomatic, product, report
from benchmarks.workloads import Workload, dense, realistic
from schemas.errors import FunnelwatchError
from sinks.embedded.kafka import EmbeddedKafka

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"
QUICK_EVENTS, QUICK_FAUST_EVENTS = 20_000, 2_000


class Plan(msgspec.Struct, frozen=True):
    """How much is run."""

    events: int
    faust_events: int
    rounds: int


@click.command()
@click.option("--events", default=1_000_000, show_default=True, type=click.IntRange(1_000), help="For the worker.")
@click.option(
    "--faust-events", default=100_000, show_default=True, type=click.IntRange(1_000), help="For idiomatic Faust."
)
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="Runs of each, in turn.")
@click.option("--quick", is_flag=True, help="One small round, nothing written into the docs: does it still work?")
@click.option("--document", type=click.Path(path_type=Path), default=DOCUMENT, help="Where the figures are written.")
def main(events: int, faust_events: int, rounds: int, quick: bool, document: Path) -> None:  # noqa: FBT001  (a flag)
    """Throughput per CPU second of the worker and of idiomatic Faust. Takes some minutes."""
    plan = Plan(QUICK_EVENTS, QUICK_FAUST_EVENTS, 1) if quick else Plan(events, min(faust_events, events), rounds)
    machine = report.environment()
    try:
        measured = measure(plan)
    except FunnelwatchError as error:
        raise click.ClickException(str(error)) from error
    report.show(measured, machine)
    if not quick:
        document.write_text(report.document(measured, machine, plan.rounds))
    print(figures.as_json(measured))


def measure(plan: Plan) -> list[figures.Figure]:
    """All rounds. Raises SinkError if something does not start or end, AssertionError if counts are wrong."""
    many, real = dense(plan.events), realistic(plan.events)
    few = many.first(plan.faust_events)
    runs: dict[str, list[product.Run]] = {"product_dense": [], "faust_dense": [], "product_realistic": []}
    with tempfile.TemporaryDirectory(prefix="funnelwatch-bench-") as folder:
        directory = Path(folder)
        with EmbeddedKafka(directory / "kafka") as kafka:
            for topic, workload in (("dense", many), ("dense-few", few), ("realistic", real)):
                said(f"writing {len(workload.steps):,} events to the topic {topic}")
                broker.preload(kafka.bootstrap_servers, topic, workload)
            for number in range(1, plan.rounds + 1):
                runs["product_dense"].append(one_round(kafka, directory, "dense", many, number))
                said(f"round {number}: idiomatic Faust on {len(few.steps):,} dense events")
                runs["faust_dense"].append(idiomatic.run(kafka, directory, "dense-few", few, f"faust-{number}"))
                runs["product_realistic"].append(one_round(kafka, directory, "realistic", real, number))
    measured = [each for prefix, made in runs.items() for each in figures.of_runs(prefix, made)]
    return [figures.ratio(runs["product_dense"], runs["faust_dense"]), *measured]


def one_round(kafka: EmbeddedKafka, directory: Path, topic: str, workload: Workload, number: int) -> product.Run:
    """The worker on one workload."""
    said(f"round {number}: the worker on {len(workload.steps):,} {workload.name} events")
    return product.run(kafka, directory, topic, workload, f"{workload.name}-{number}")


def said(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
