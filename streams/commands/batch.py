"""`funnelwatch batch FILE…`: the figures of funnels over files, with no Kafka and no ClickHouse."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from schemas.definitions.presets import preset_names
from schemas.funnel import Mode, Unit
from streams.batch.inputs import FORMATS, open_inputs
from streams.batch.notes import answer_notes, intake_notes
from streams.batch.question import Question, Quick, asked
from streams.batch.run import Answer, Batch, Progress, run
from streams.batch.view import BatchView
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.terminal import json_text, print_report

EPILOG = """\b
Examples:
  funnelwatch batch events.jsonl.gz --preset ecommerce --by channel
  funnelwatch batch train.jsonl --format otto --stages "clicks > carts > orders" --window 35d
  zcat access.log.*.gz | funnelwatch batch - --format combined --stages "page_view > page_view"
"""


@click.command("batch", epilog=EPILOG)
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path, allow_dash=True))
@settings_options
@click.option("--format", "format_name", type=click.Choice(FORMATS), help="Format of the files (default: recognised).")
@click.option(
    "--mapping", type=click.Path(path_type=Path), help="Mapping file: from the records' fields to an event's."
)
@click.option(
    "--funnels", "definitions", metavar="F.TOML", type=click.Path(path_type=Path), help="Definitions to evaluate."
)
@click.option("--preset", metavar="NAME", help=f"A ready definition: {', '.join(preset_names())}.")
@click.option(
    "--stages",
    metavar='"A > B > C"',
    help="A definition in one line: event names or globs in order, alternatives as A1|A2. A first try; see --preset.",
)
@click.option("--unit", type=click.Choice([unit.value for unit in Unit]), help="With --stages (default: session).")
@click.option(
    "--window", metavar="DURATION", help='With --stages: time for the whole way, such as "35d" (default: 24h).'
)
@click.option("--mode", type=click.Choice([mode.value for mode in Mode]), help="With --stages (default: ordered).")
@click.option("--funnel", "names", multiple=True, metavar="NAME", help="Only this funnel; may be given several times.")
@click.option(
    "--by",
    multiple=True,
    metavar="DIMENSION",
    help="Break down by this field of events, declared in the funnel or not; may be given several times.",
)
@click.option("--json", "as_json", is_flag=True, help="JSON, one line for each funnel, at full precision.")
def batch(
    *,
    files: tuple[Path, ...],
    config: Path | None,
    pairs: tuple[str, ...],
    format_name: str | None,
    mapping: Path | None,
    definitions: Path | None,
    preset: str | None,
    stages: str | None,
    unit: str | None,
    window: str | None,
    mode: str | None,
    names: tuple[str, ...],
    by: tuple[str, ...],
    as_json: bool,
) -> None:
    """Evaluate funnels over FILEs (gzip or plain, - for standard input), without Kafka.

    The whole input is taken as known: the order of files and lines changes nothing. What was left out of the figures,
    and why, is said on standard error.
    """
    quick = _quick(stages, unit, window, mode)
    if (definitions is not None) + (preset is not None) + (quick is not None) > 1:
        raise click.UsageError("--funnels, --preset and --stages exclude each other")
    by = tuple(dict.fromkeys(by))
    with user_errors(), ExitStack() as stack:
        settings = read_settings(config, pairs)
        funnels = asked(Question(definitions, preset, quick, names, by), settings)
        now = int(time.time() * 1000)
        inputs, reading = open_inputs(files, format_name, mapping, settings, now, stack)
        progress = Progress()
        view = BatchView(progress, reading)
        stderr = Console(stderr=True)
        if stderr.is_terminal:
            stack.enter_context(Live(view, console=stderr, refresh_per_second=8, transient=True))
        answers = run(Batch(funnels, by, settings.site.rates.convert), inputs, progress)
        seconds = view.seconds()
    show(answers, as_json=as_json)
    for line in (*intake_notes(progress.intake, seconds), *(note for each in answers for note in answer_notes(each))):
        click.echo(line, err=True)


def show(answers: Sequence[Answer], *, as_json: bool) -> None:
    """Writes the reports to standard output: drawn, or as JSON, one line for each."""
    console = Console(file=sys.stdout)
    for number, answer in enumerate(answers):
        if as_json:
            click.echo(json_text(answer.report.document(), indent=False))
        else:
            if number:
                console.rule(style="dim")
            print_report(answer.report, console)


def _quick(stages: str | None, unit: str | None, window: str | None, mode: str | None) -> Quick | None:
    if stages is not None:
        return Quick(stages, unit, window, mode)
    for flag, value in (("--unit", unit), ("--window", window), ("--mode", mode)):
        if value is not None:
            raise click.UsageError(f"{flag} goes with --stages; definitions and presets state their own")
    return None
