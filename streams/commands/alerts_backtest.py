"""`funnelwatch alerts backtest`: the pages that the shipped rules would have sent about the past."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import click
import msgspec
from rich.console import Console
from rich.progress import Progress, TaskID

from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.rules.definition import watched
from schemas.rules.model import DAY
from schemas.settings import Settings, Site
from streams.batch.inputs import FORMATS, open_inputs
from streams.batch.notes import intake_notes
from streams.batch.question import Question, asked
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.commands.report import since_time

if TYPE_CHECKING:
    from streams.backtest.attempts import Attempt
    from streams.backtest.run import Answer

    Past = tuple[Funnel, list[Attempt], int, int]

#: Longest span that is replayed: each minute of each stage is followed.
LONGEST = 400 * DAY


class Asked(msgspec.Struct, frozen=True):
    """What the command line says."""

    files: tuple[Path, ...]
    format_name: str | None
    mapping: Path | None
    since: str
    until: str | None


@click.command("backtest")
@click.argument("files", nargs=-1, metavar="[FILE…]", type=click.Path(path_type=Path, allow_dash=True))
@settings_options
@click.option(
    "--since", default="28d", show_default=True, help='From then on: "28d", or a date such as 2026-03-01 (UTC).'
)
@click.option("--until", help="Up to then (default: the newest event).")
@click.option("--funnel", "names", multiple=True, metavar="NAME", help="Only this funnel; may be given several times.")
@click.option(
    "--funnels", "definitions", metavar="F.TOML", type=click.Path(path_type=Path), help="Definitions to replay."
)
@click.option("--format", "format_name", type=click.Choice(FORMATS), help="Format of the files (default: recognised).")
@click.option(
    "--mapping", type=click.Path(path_type=Path), help="Mapping file: from the records' fields to an event's."
)
@click.option("--json", "as_json", is_flag=True, help="JSON, one line for each page.")
def alerts_backtest(
    *, config: Path | None, pairs: tuple[str, ...], files: tuple[Path, ...], since: str, until: str | None, names: tuple[str, ...],
    definitions: Path | None, format_name: str | None, mapping: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Replay the past through the shipped rules: which pages would have gone out, when, and why.

    The past is in FILEs (no server is needed), else in ClickHouse. What was to be expected at each moment is learned from
    what lay before it.
    """
    with user_errors():
        settings = read_settings(config, pairs)
        funnels = asked(Question(definitions, None, None, names, ()), settings)
        settings.calendar.check(funnels)
        answers = list(_answers(Asked(files, format_name, mapping, since, until), funnels, settings))
    from streams.backtest.view import document, print_pages

    pages = sorted((page for answer in answers for page in answer.pages), key=lambda page: page.paged)
    if as_json:
        for page in pages:
            click.echo(msgspec.json.encode(document(page)))
    elif pages:
        print_pages(pages, settings.site, Console(file=sys.stdout))
    else:
        click.echo("no page would have gone out")
    for answer in answers:
        for note in notes(answer.funnel, answer.attempts, answer.ready, settings.site):
            click.echo(note, err=True)


def notes(funnel: Funnel, attempts: int, ready: dict[str, int], site: Site) -> Iterator[str]:
    """What to know before trusting the answer."""
    yield (
        f"{funnel.name}: {attempts:,} attempts replayed, for falls of rates and traffic outages; not replayed are floors, daily tickets "
        "and broken tracking, nor the pipeline's own alerts, of which history has no record"
    )
    for step in watched(funnel):
        at = ready.get(step.level)
        if at is None:
            yield f"{funnel.name}: {step.level} → {step.following} had too little history all along: no fall of it could be told"
        else:
            shown = datetime.fromtimestamp(at / 1000, ZoneInfo(site.timezone))
            yield f"{funnel.name}: {step.level} → {step.following} was watched from {shown:%Y-%m-%d} on"


def _answers(asked_for: Asked, funnels: Sequence[Funnel], settings: Settings) -> Iterator[Answer]:
    """Each funnel's answer. Raises ConfigError, SinkError."""
    try:
        from streams.backtest.run import LEAD, LEARNED, backtest
        from streams.worker import label_policy
    except ModuleNotFoundError as error:
        raise ConfigError("alerts backtest", f"needs {error.name}", 'pip install "funnelwatch[backtest]"') from error
    past = (
        _from_files(asked_for, funnels, settings)
        if asked_for.files
        else _from_clickhouse(asked_for, funnels, settings, LEAD + LEARNED)
    )
    policy = label_policy(settings.labels)
    with Progress(console=Console(stderr=True), transient=True) as shown:
        for funnel, attempts, since, until in past:
            task = shown.add_task(funnel.name, total=1.0)
            told = partial(_tell, shown, task)
            yield backtest(funnel, attempts, since, until, settings, policy, told)


def _tell(shown: Progress, task: TaskID, share: float) -> None:
    shown.update(task, completed=share)


def _from_files(asked_for: Asked, funnels: Sequence[Funnel], settings: Settings) -> Iterator[Past]:
    from streams.backtest.attempts import from_files

    began, now = time.monotonic(), int(time.time() * 1000)
    with ExitStack() as stack:
        inputs, _ = open_inputs(asked_for.files, asked_for.format_name, asked_for.mapping, settings, now, stack)
        found, intake = from_files(funnels, settings.site.rates.convert, inputs)
    for line in intake_notes(intake, time.monotonic() - began):
        click.echo(line, err=True)
    since, until = _span(asked_for, intake.horizon)
    yield from ((funnel, attempts, since, until) for funnel, attempts in zip(funnels, found, strict=True))


def _from_clickhouse(asked_for: Asked, funnels: Sequence[Funnel], settings: Settings, before: int) -> Iterator[Past]:
    from sinks.clickhouse.client import connect
    from sinks.clickhouse.queries import read_progress
    from streams.backtest.attempts import from_clickhouse

    client = connect(settings.clickhouse)
    try:
        for funnel in funnels:
            horizon, _ = read_progress(client, funnel)
            since, until = _span(asked_for, horizon)
            yield funnel, from_clickhouse(client, funnel, since - before, until), since, until
    finally:
        client.close()


def _span(asked_for: Asked, horizon: int | None) -> tuple[int, int]:
    """What is replayed (ms); durations count from the newest event. Raises ConfigError."""
    newest = int(time.time() * 1000) if horizon is None else horizon
    until = newest if asked_for.until is None else min(newest, since_time(asked_for.until, newest))
    since = since_time(asked_for.since, newest)
    if since >= until:
        raise ConfigError("--since", "nothing lies between it and the newest event, or --until", "write an earlier one")
    if until - since > LONGEST:
        raise ConfigError(
            "--since", f"is more than {LONGEST // DAY} days back", "replay it in parts, by --since and --until"
        )
    return since, until
