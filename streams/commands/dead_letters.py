"""`funnelwatch dead-letters`: what was refused and why; put back what has been mended."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click
from rich.console import Console

from schemas import topics as names
from schemas.dead_letter import DeadLetter
from schemas.definitions import load_funnels
from schemas.errors import ConfigError
from schemas.privacy.sealing import Seal, is_sealed
from schemas.reasons import Reason
from schemas.settings import Settings
from streams.commands.configuration import F, read_settings, settings_options, user_errors
from streams.commands.report import since_time
from streams.dead_letters import view
from streams.dead_letters.found import Found, Group, Selection, add_to, as_id
from streams.dead_letters.putting_back import Outcome, Reader, put_back
from streams.dead_letters.topic import living, reader, record_at
from streams.terminal import json_text

KAFKA, CLICKHOUSE = "kafka", "clickhouse"
#: Most letters that are listed one by one.
MOST_LISTED = 1_000


@click.group("dead-letters")
def dead_letters() -> None:
    """What could not be used: list it, show it, put it back once a mapping or a definition was mended."""


def chosen(command: F) -> F:
    """Adds `--source`, `--reason` and `--since`."""
    for option in (
        click.option("--since", help='Records that came since then: "24h", "7d", or a date such as 2026-03-01 (UTC).'),
        click.option("--reason", multiple=True, type=click.Choice([reason.value for reason in Reason]), help="Refused for this reason."),
        click.option("--source", multiple=True, metavar="TOPIC", help="Of this source."),
    ):  # fmt: skip
        command = option(command)
    return command


def from_option(command: F) -> F:
    """Adds `--from`, as `place`."""
    text = (
        "Where to read: the topic (default), or ClickHouse, which keeps longer and has those that were put back, too."
    )
    return click.option("--from", "place", type=click.Choice([KAFKA, CLICKHOUSE]), default=KAFKA, help=text)(command)


def selection(
    source: Sequence[str] = (), reason: Sequence[str] = (), since: str | None = None, ids: Sequence[str] = ()
) -> Selection:
    """What the options choose. Raises ConfigError."""
    return Selection(
        frozenset(source), frozenset(map(Reason, reason)),
        0 if since is None else since_time(since, int(time.time() * 1000)), frozenset(map(as_id, ids)),
    )  # fmt: skip


@contextmanager
def letters(settings: Settings, place: str, wanted: Selection) -> Iterator[Iterator[Found]]:
    """The letters that are meant. Raises SinkError."""
    if place == CLICKHOUSE:
        from sinks.clickhouse.client import connect
        from sinks.clickhouse.letters import read_letters

        client = connect(settings.clickhouse)
        try:
            yield (Found(letter) for letter in read_letters(client, wanted.since) if wanted.has(letter))
        finally:
            client.close()
    else:
        with reader(settings.kafka) as consumer:
            found = living(consumer, names.dead_letters(settings.kafka.topic_prefix))
            yield (each for each in found if wanted.has(each.letter))


@dead_letters.command("list")
@settings_options
@chosen
@from_option
@click.option("--each", is_flag=True, help=f"Each letter, at most {MOST_LISTED}, instead of counts.")
@click.option("--json", "as_json", is_flag=True, help="JSON.")
def list_letters(
    config: Path | None, pairs: tuple[str, ...], source: tuple[str, ...], reason: tuple[str, ...], since: str | None,
    place: str, each: bool, as_json: bool,
) -> None:  # fmt: skip
    """How many records were refused, by source and reason, and when."""
    with user_errors():
        settings, wanted = read_settings(config, pairs), selection(source, reason, since)
        groups: dict[tuple[str, str], Group] = {}
        listed: list[DeadLetter] = []
        with letters(settings, place, wanted) as found:
            for one in found:
                add_to(groups, one.letter)
                if each and len(listed) < MOST_LISTED:
                    listed.append(one.letter)
    ordered = sorted(groups.values(), key=lambda group: (group.source, -group.count, group.reason))
    total = sum(groups[place_and_reason].count for place_and_reason in groups)
    if as_json:
        click.echo(view.letters_json(listed) if each else view.groups_json(ordered, total))
    else:
        console = Console(file=sys.stdout)
        shown = view.letters_list(listed) if each else view.groups_table(ordered)
        console.print(shown, highlight=False, soft_wrap=True)
        console.print(view.counted(total, len(listed) if each else None), highlight=False)


@dead_letters.command("show")
@click.argument("letter_id", metavar="PLACE")
@settings_options
@from_option
@click.option("--json", "as_json", is_flag=True, help="JSON; the bytes in base64 as well.")
@click.option("--raw", is_flag=True, help="The record's bytes alone, as they came: into a file or a pipe.")
def show_letter(
    letter_id: str, config: Path | None, pairs: tuple[str, ...], place: str, as_json: bool, raw: bool
) -> None:
    """One letter in full; PLACE as `list` prints it (topic:partition:offset). A sealed one is opened with privacy.dead_letter_key."""
    if raw and sys.stdout.isatty():
        raise click.UsageError("--raw writes bytes that a terminal might obey: send them into a file or a pipe")
    with user_errors():
        settings, wanted = read_settings(config, pairs), selection(ids=[letter_id])
        with letters(settings, place, wanted) as found:
            letter = next((one.letter for one in found), None)
        if letter is None:
            raise ConfigError(
                "dead letter", f"there is none at {letter_id}", "see `funnelwatch dead-letters list --each`"
            )
        secret = settings.privacy.dead_letter_key.reveal()
        opened = Seal(secret).open(letter) if secret and is_sealed(letter) else None
        if raw and opened is None:
            raise ConfigError(f"dead letter {letter.id}", *view.closed(letter))
    if raw and opened is not None:
        sys.stdout.buffer.write(opened.payload)
    elif as_json:
        click.echo(view.letter_json(letter, opened))
    else:
        Console(file=sys.stdout).print(view.letter_page(letter, opened), highlight=False, soft_wrap=True)


@dead_letters.command("replay")
@click.argument("places", nargs=-1, metavar="[PLACE…]")
@settings_options
@chosen
@click.option("--dry-run", "dry", is_flag=True, help="Only say what would be put back.")
@click.option("--json", "as_json", is_flag=True, help="JSON.")
def replay_letters(
    places: tuple[str, ...], config: Path | None, pairs: tuple[str, ...], source: tuple[str, ...],
    reason: tuple[str, ...], since: str | None, dry: bool, as_json: bool,
) -> None:  # fmt: skip
    """Put back what can be used now: into its source, as it came, on the partition that it came from.

    Say which by place or by options; else all. Each is decoded first, with the settings and mappings as they are now. What is put
    back is taken out of the dead letters; an event that is put back twice counts once.
    """
    with user_errors():
        settings, wanted = read_settings(config, pairs), selection(source, reason, since, places)
        topic, now = names.dead_letters(settings.kafka.topic_prefix), int(time.time() * 1000)
        lateness = max((funnel.lateness for funnel in load_funnels(settings.funnels)), default=0)
        with letters(settings, KAFKA, wanted) as found, reader(settings.kafka) as originals:
            outcome = put_back(
                settings, found, Reader(settings, partial(record_at, originals), now), topic, lateness, now, dry=dry
            )
    if as_json:
        click.echo(json_text(outcome))
    else:
        tell(outcome, lateness, click.echo, dry=dry)


def tell(outcome: Outcome, lateness: int, say: Callable[[str], None], *, dry: bool) -> None:
    """What became of the letters."""
    for line in view.outcome_lines(outcome, Counter(refusal.reason for refusal in outcome.refused), lateness, dry=dry):
        say(line)
