"""`funnelwatch annotate NAME`: says that something happened, on dashboards and in pages."""

from __future__ import annotations

import shlex
import time
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from schemas import topics as names
from schemas.annotation import LONGEST_NAME, Annotation, Kind, pack
from schemas.durations import parse_duration
from schemas.errors import ConfigError
from schemas.settings import Settings
from schemas.values import as_text
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.topic_sender import TopicSender

_LAST = 253_402_300_799_000  # the year 9999: beyond, no calendar can show it


@click.command("annotate")
@click.argument("name")
@settings_options
@click.option(
    "--at", metavar="TIME", help="When (default: now): 2026-11-22T14:05, on the site's clock, or with an offset."
)
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), default=Kind.RELEASE.value, show_default=True)
@click.option("--until", metavar="TIME|DURATION", help='Its end, if it lasts: a time, or "2h" from its beginning on.')
@click.option("--remove", is_flag=True, help="Take NAME back.")
def annotate(
    name: str,
    config: Path | None,
    pairs: tuple[str, ...],
    at: str | None,
    kind: str,
    until: str | None,
    *,
    remove: bool,
) -> None:
    """Mark that NAME happened: a release, a campaign, a change of prices.

    It shows on the dashboards, and pages of falls that begin within two hours name it ("began 4 min after release 42").
    The same NAME again replaces it. It silences nothing.
    """
    with user_errors():
        settings = read_settings(config, pairs)
        made = annotation(name, at, kind, until, settings, int(time.time() * 1000))
        key, value = pack(made)
        with TopicSender(settings.kafka, names.annotation_log(settings.kafka.topic_prefix)) as sender:
            sender.send(None if remove else value, key)
            sender.flush()
    zone = ZoneInfo(settings.site.timezone)
    if remove:
        click.echo(f"{made.name}: taken back")
        return
    end = "" if made.until is None else f" until {_shown(made.until, zone)}"
    click.echo(f"{made.name} ({made.kind.value}): {_shown(made.at, zone)}{end}")
    if made.until is not None:
        click.echo(f"Pages go on. To silence them meanwhile:\n  {silence(made, settings.site.name)}")


def annotation(name: str, at: str | None, kind: str, until: str | None, settings: Settings, now: int) -> Annotation:
    """What the command line says. Raises ConfigError."""
    zone = ZoneInfo(settings.site.timezone)
    name = as_text(" ".join(name.split()), "NAME", longest=LONGEST_NAME)
    moment = now if at is None else _moment(at, zone, "--at")
    end = None if until is None else _end(until, moment, zone)
    if end is not None and end <= moment:
        raise ConfigError("--until", f"{until!r} is not after the beginning", "write a later time")
    return Annotation(name, moment, Kind(kind), end)


def silence(made: Annotation, site: str) -> str:
    """Alertmanager's own command that keeps the site's pages silent as long as `made` lasts."""
    start, end = (datetime.fromtimestamp((moment or 0) // 1000, ZoneInfo("UTC")) for moment in (made.at, made.until))
    matcher = shlex.quote(f'funnel_site="{site}"')
    comment = shlex.quote(made.name)
    return f"amtool silence add {matcher} --start={start:%Y-%m-%dT%H:%M:%SZ} --end={end:%Y-%m-%dT%H:%M:%SZ} --comment={comment}"


def _end(text: str, start: int, zone: ZoneInfo) -> int:
    try:
        return min(start + parse_duration(text, "--until"), _LAST)
    except ConfigError:
        return _moment(text, zone, "--until")


def _moment(text: str, zone: ZoneInfo, where: str) -> int:
    try:
        moment = datetime.fromisoformat(text)
        milliseconds = int((moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise ConfigError(where, f"{text!r} is not a time", "write one such as 2026-11-22T14:05") from None
    if not 0 <= milliseconds <= _LAST:
        raise ConfigError(where, f"{text!r} is out of range", "write a time from 1970 on")
    return milliseconds


def _shown(moment: int, zone: ZoneInfo) -> str:
    return f"{datetime.fromtimestamp(moment / 1000, zone):%Y-%m-%d %H:%M %Z}"
