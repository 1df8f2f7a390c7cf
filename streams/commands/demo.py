"""`funnelwatch demo`: everything on this machine, with a shop's traffic."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console

from streams.commands.configuration import user_errors
from streams.demo.plan import Wish
from streams.demo.show import run_demo


@click.command("demo")
@click.option(
    "--directory",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("demo-data"),
    show_default=True,
    help="Where all data and logs go.",
)
@click.option("--keep", is_flag=True, help="Go on with the data of the last demo instead of beginning anew.")
@click.option("--calm", is_flag=True, help="Without the simulated fault.")
@click.option(
    "--fault-after",
    type=click.FloatRange(0),
    default=30.0,
    show_default=True,
    metavar="SECONDS",
    help="When the fault is switched on.",
)
@click.option(
    "--fault-for",
    type=click.FloatRange(0, min_open=True),
    default=45.0,
    show_default=True,
    metavar="SECONDS",
    help="How long until it is mended.",
)
@click.option("--seconds", type=click.FloatRange(0, min_open=True), metavar="N", help="End by itself after N seconds.")
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Another seed, other visitors.")
@click.option(
    "--visitors-per-day", type=click.FloatRange(1, 10_000_000), default=150_000.0, show_default=True, metavar="N"
)
def demo(
    *,
    directory: Path,
    keep: bool,
    calm: bool,
    fault_after: float,
    fault_for: float,
    seconds: float | None,
    seed: int,
    visitors_per_day: float,
) -> None:
    """Kafka, ClickHouse, the worker and a shop's traffic on this machine: a fault, the page that follows, its end.

    Needs nothing but the extra `embedded`; Prometheus and Alertmanager send pages where they are installed. Touches nothing outside its directory. Ctrl-C ends it all; a second
    Ctrl-C ends it at once.
    """
    wish = Wish(seed, visitors_per_day, None if calm else fault_after, fault_for)
    with user_errors():
        run_demo(wish, directory, Console(file=sys.stdout), keep=keep, seconds=seconds)
