"""`funnelwatch seed`: learns what is to be expected from a history that was kept elsewhere, so that falls page from the first day."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from zoneinfo import ZoneInfo

import click

from schemas import topics as names
from schemas.definitions import load_funnels
from schemas.errors import ConfigError
from schemas.expectation.learned import LearnedStep, pack
from schemas.expectation.steps import steps
from schemas.funnel import Funnel
from schemas.settings import Settings
from sinks.clickhouse.client import connect, faults
from sinks.clickhouse.expectation import write_seeds
from sinks.clickhouse.migrate import bring_up_to_date
from streams.baselines import learner
from streams.batch.history import count_history
from streams.batch.inputs import FORMATS, open_inputs
from streams.batch.intake import Intake
from streams.batch.notes import intake_notes
from streams.batch.run import Batch
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.topic_sender import TopicSender
from streams.topics import prepare

#: Counts that are written together.
BLOCK = 20_000
_COPY = 1 << 20


@click.command("seed")
@click.argument("files", nargs=-1, metavar="[FILE…]", type=click.Path(path_type=Path, allow_dash=True))
@settings_options
@click.option("--format", "format_name", type=click.Choice(FORMATS), help="Format of the files (default: recognised).")
@click.option(
    "--mapping", type=click.Path(path_type=Path), help="Mapping file: from the records' fields to an event's."
)
@click.option(
    "--query",
    metavar="SELECT",
    help="Instead of files: events by this query, read-only, from the ClickHouse of the settings.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be learned, and write nothing.")
def seed(
    *, files: tuple[Path, ...], config: Path | None, pairs: tuple[str, ...], format_name: str | None,
    mapping: Path | None, query: str | None, dry_run: bool,
) -> None:  # fmt: skip
    """Learn rates and delays from FILEs (gzip or plain, - for standard input) or a query, best of four weeks or more.

    Counts of the definitions' funnels go into ClickHouse, what they teach to the workers at once. Where funnelwatch itself has
    counted, that holds instead. Safe to run again.
    """
    if bool(files) == (query is not None):
        raise click.UsageError("name files, or give --query")
    with user_errors(), ExitStack() as stack:
        settings = read_settings(config, pairs)
        funnels = load_funnels(settings.funnels)
        paths = files if query is None else (queried(settings, query, stack),)
        inputs, _ = open_inputs(paths, format_name, mapping, settings, int(time.time() * 1000), stack)
        intake, unit = Intake(), settings.expectation.step
        began = time.monotonic()
        counted = list(
            count_history(
                Batch(funnels, (), settings.site.rates.convert), inputs, unit, settings.labels.crosses, intake
            )
        )
        for line in intake_notes(intake, time.monotonic() - began):
            click.echo(line, err=True)
        if not counted:
            raise ConfigError(
                "seed", "no event of these fits a funnel, or none has had the time to convert",
                "compare with `funnelwatch batch` on the same files",
            )  # fmt: skip
        if dry_run:
            click.echo(f"{len(counted):,} counts; nothing was written")
            return
        client = connect(settings.clickhouse, database="default" if settings.create else None)
        try:
            if settings.create:
                bring_up_to_date(settings.clickhouse)
            client.database = settings.clickhouse.database
            for start in range(0, len(counted), BLOCK):
                write_seeds(client, counted[start : start + BLOCK])
            learned = list(learner(settings, funnels).learn_all(client, int(time.time() * 1000)))
        finally:
            client.close()
        tell_workers(settings, funnels, learned)
        show(settings, funnels, learned)


def queried(settings: Settings, query: str, stack: ExitStack) -> Path:
    """What the query answers, as a file of JSON lines that `stack` removes. Raises SinkError."""
    path = Path(stack.enter_context(TemporaryDirectory())) / "query.jsonl"
    client = connect(settings.clickhouse)
    try:
        with faults("run the query"), path.open("wb") as file:
            read = {"readonly": 1, "output_format_json_quote_64bit_integers": 0}
            for part in iter_parts(client.raw_stream(query, fmt="JSONEachRow", settings=read)):
                file.write(part)
    finally:
        client.close()
    return path


def iter_parts(stream: object) -> Sequence[bytes]:
    """The stream's bytes, in parts."""
    return iter(lambda: stream.read(_COPY), b"")  # type: ignore[attr-defined,return-value]


def tell_workers(settings: Settings, funnels: Sequence[Funnel], learned: Sequence[LearnedStep]) -> None:
    """Publishes what was learned."""
    prepare(settings, funnels)
    now = int(time.time() * 1000)
    with TopicSender(settings.kafka, names.baselines(settings.kafka.topic_prefix)) as sender:
        for step in learned:
            sender.send(pack(step, settings.site.timezone, now), step.step.encode())
        sender.flush()


def show(settings: Settings, funnels: Sequence[Funnel], learned: Sequence[LearnedStep]) -> None:
    """One line for each step."""
    known = {step.step: step for step in learned}
    zone = ZoneInfo(settings.site.timezone)
    for funnel in funnels:
        for step in steps(funnel, settings.expectation.step):
            found = known[step.fingerprint]
            way = f"{funnel.name}: {funnel.levels[step.level]} → {funnel.levels[step.following]}"
            whole = found.whole
            share = f"{whole.converted / whole.entered:.1%}" if whole.entered else "nothing"
            begins = datetime.fromtimestamp(found.ready_at / 1000, zone)
            state = "pages from now on" if found.ready else f"learning, pages from about {begins:%Y-%m-%d %H:%M} on"
            click.echo(f"{way}: {share} of {whole.entered:,} entries; {state}")
