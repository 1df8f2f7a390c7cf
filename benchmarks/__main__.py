"""`python -m benchmarks`: the worker and other frameworks in turn, on the same events; tables, the document, one JSON line."""

from __future__ import annotations

from pathlib import Path

import click

from benchmarks import figures, report
from benchmarks.child import SOURCES
from benchmarks.rounds import QUICK, Plan, measure
from schemas.errors import FunnelwatchError

DOCUMENT = SOURCES / "docs" / "benchmarks.md"
EVENTS = click.IntRange(10_000)


@click.command(context_settings={"show_default": True})
@click.option("--events", default=3_000_000, type=EVENTS, help="Dense and realistic, for the worker.")
@click.option("--full-events", default=1_000_000, type=EVENTS, help="Dense, for worker, sink and ClickHouse together.")
@click.option("--more-events", default=750_000, type=EVENTS, help="Of gap and of rekeyed, for the worker.")
@click.option("--faust-events", default=100_000, type=EVENTS, help="Dense, for idiomatic Faust.")
@click.option("--quix-events", default=500_000, type=EVENTS, help="Dense, for Quix Streams.")
@click.option("--bytewax-events", default=1_000_000, type=EVENTS, help="Dense, for Bytewax.")
@click.option("--rounds", default=3, type=click.IntRange(1), help="Runs of each, in turn.")
@click.option("--quick", is_flag=True, help="One small round, nothing written into the docs: does it still work?")
@click.option("--document", type=click.Path(path_type=Path), default=DOCUMENT, help="Where the figures are written.")
def main(rounds: int, quick: bool, document: Path, **events: int) -> None:  # noqa: FBT001  (a flag)
    """Throughput per CPU second of the worker, Faust, Quix Streams and Bytewax. Takes about half an hour."""
    asked = Plan(rounds=rounds, **{name.removesuffix("_events"): count for name, count in events.items()})
    plan = QUICK if quick else asked
    machine = report.environment()
    try:
        measured = measure(plan).figures()
    except FunnelwatchError as error:
        raise click.ClickException(str(error)) from error
    report.show(measured, machine)
    if not quick:
        document.write_text(report.document(measured, machine, plan.rounds))
    print(figures.as_json(measured))


if __name__ == "__main__":
    main()
