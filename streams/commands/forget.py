"""`funnelwatch forget ID`: what is stored of a person is erased, and what was done is said."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import click
import msgspec

from schemas import topics as names
from schemas.definitions import load_funnels
from schemas.durations import parse_duration
from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.settings import Settings
from schemas.topics import feeds
from sinks.clickhouse.client import connect
from sinks.clickhouse.erasing import erase_letters, erase_units, sessions_of
from streams import forgetting
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.dead_letters.topic import living, reader, records
from streams.terminal import escaped, json_text
from streams.topics import SINK, WORKER, admin, partition_counts

AGAIN = 1  # exit code: something was not reached, and is left to be done


class Done(msgspec.Struct):
    """What was done. `waiting_for`: the process that did not follow in time, "" if both did; nothing was erased from the tables then.
    `erased`: rows by table. `kept`: topics that may still hold records. `named`: records of the sources that name the id, None: not
    counted."""

    id: str
    stored_as: str
    sessions: int = 0
    waiting_for: str = ""
    erased: dict[str, int] = {}
    letters: int = 0
    letters_closed: int = 0
    named: dict[str, int] | None = None
    kept: list[forgetting.Kept] = []


@click.command("forget")
@click.argument("person", metavar="ID")
@settings_options
@click.option("--wait", default="60s", help="Longest wait for worker and sink to follow (default: 60s).")
@click.option(
    "--scan", is_flag=True, help="Count the records of the source topics that name the id. Reads all of them."
)
@click.option("--json", "as_json", is_flag=True, help="JSON.")
def forget(person: str, config: Path | None, pairs: tuple[str, ...], wait: str, scan: bool, as_json: bool) -> None:
    """Erase what is stored of a person: ID as the site's events have it, of a session, visitor, user or account.

    Open attempts are dropped by the worker that has them; rows, events and dead letters are erased, those of the person's sessions too.
    Worker and sink must be running. Safe to run again.
    """
    with user_errors():
        settings = read_settings(config, pairs)
        funnels = load_funnels(settings.funnels)
        seconds = parse_duration(wait, "--wait") / 1000
        if not settings.sources:
            raise ConfigError("sources", "there is none", "add [[sources]] with the topic of your events")
        done = erase_person(settings, funnels, person, seconds, scan=scan)
    if as_json:
        click.echo(json_text(done))
    else:
        for line in lines(done):
            click.echo(line)
    if done.waiting_for or done.letters_closed:
        sys.exit(AGAIN)


def erase_person(settings: Settings, funnels: Sequence[Funnel], person: str, seconds: float, *, scan: bool) -> Done:
    """State first, then rows and letters. Raises ConfigError, SinkError; running it again is safe."""
    stored = forgetting.stored_id(settings, person)
    done = Done(person, stored)
    topics = [source.topic for source in settings.sources]
    prefix = settings.kafka.topic_prefix
    outputs = [names.transitions(prefix), names.drop_offs(prefix)]
    logs = [feed.topic for feed in feeds(settings.sources, funnels, prefix) if not feed.direct]
    with closing(connect(settings.clickhouse)) as client, admin(settings.kafka) as kafka:
        ids = list(dict.fromkeys([stored, *sessions_of(client, stored)]))
        done.sessions = len(ids) - 1
        counts = partition_counts(kafka, topics)
        forgetting.send(settings, ids, forgetting.order_places(settings, funnels, counts))
        done.waiting_for = forgetting.wait_for_both(kafka, settings, funnels, seconds)
        if not done.waiting_for:
            done.erased = erase_units(client, ids)
        with reader(settings.kafka) as consumer:
            letters = forgetting.letters_of(settings, person, living(consumer, names.dead_letters(prefix)))
            done.letters, done.letters_closed = len(letters.found), letters.closed
            if scan:
                named = forgetting.naming(person)
                done.named = {
                    topic: sum(bool(named(r.value or b"") or named(r.key or b"")) for r in records(consumer, topic))
                    for topic in topics
                }
        if letters.found:
            asyncio.run(forgetting.take_out(settings, letters.found))
            done.erased["dead_letters"] = erase_letters(client, [each.letter.id for each in letters.found])
        done.kept = forgetting.kept(kafka, [*topics, *logs, *outputs])
    return done


def lines(done: Done) -> Iterator[str]:
    """What was done, for people."""
    pseudonym = "" if done.stored_as == done.id else f", stored as {done.stored_as}"
    yield f"{escaped(done.id)}{pseudonym}: {done.sessions:,} sessions known"
    if done.waiting_for in (WORKER, SINK):
        yield (
            f"the {done.waiting_for} did not follow in time: its order waits in the source, but the tables still have the rows; "
            "start it, and run this again"
        )
    for table, count in done.erased.items():
        yield f"  erased {count:,} rows of {table}"
    yield f"  {done.letters:,} dead letters taken out of their topic; Kafka removes their bytes within a day"
    if done.letters_closed:
        yield f"  {done.letters_closed:,} dead letters are sealed with another key and were not looked at: give it as privacy.dead_letter_key"
    for topic, count in (done.named or {}).items():
        yield f"  {escaped(topic)} holds {count:,} records that name the id"
    for kept in done.kept:
        days = "for ever" if kept.days is None else f"{kept.days:g} days"
        yield f"  {kept.topic} keeps its records {days}" + (": erase them there" if kept.days is None else "")
