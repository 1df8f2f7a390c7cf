"""`funnelwatch replay FILE…`: real history into the topic of a source."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.live import Live

from schemas.decode import (
    FileProgress,
    Format,
    decoder,
    detect_format,
    file_progress,
    load_mapping,
    mapping_for,
    read_records,
)
from schemas.errors import ConfigError
from schemas.settings import Settings
from schemas.settings.sections import Source
from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.decoding import options
from streams.replay import ReplayInput, ReplayPlan, ReplayProgress, replay
from streams.replay_view import ReplayView
from streams.topic_sender import TopicSender
from streams.traffic.clock import WallClock

_STOPPED = 130  # exit code: as shells report an interrupt
_FORMATS = ("jsonl", *(kind.value for kind in Format if kind not in (Format.MAPPING, Format.CONFLUENT)))


def speed_factor(text: str) -> float | None:
    """`max` is None, else a factor above 0. Raises click.BadParameter."""
    if text == "max":
        return None
    try:
        speed = float(text)
    except ValueError:
        speed = 0.0
    if not 0 < speed < float("inf"):
        remedy = "write 1 for the files' own pace, 60 for an hour in a minute"
        raise click.BadParameter(f"{text!r} is neither max nor a number above 0; {remedy}")
    return speed


@click.command("replay")
@click.argument("files", nargs=-1, required=True, metavar="FILE…", type=click.Path(path_type=Path))
@settings_options
@click.option("--format", "format_name", type=click.Choice(_FORMATS), help="Format of the files (default: recognised).")
@click.option(
    "--mapping", type=click.Path(path_type=Path), help="Mapping file: from the records' fields to an event's."
)
@click.option(
    "--speed", type=speed_factor, metavar="N|max", default="max", help="Times the files' own pace, or max (default)."
)
@click.option("--topic", help="The topic (default: that of the only source).")
@click.option("--as-is", is_flag=True, help="Keep the files' order instead of sorting by event time.")
def replay_command(
    *,
    files: tuple[Path, ...],
    config: Path | None,
    pairs: tuple[str, ...],
    format_name: str | None,
    mapping: Path | None,
    speed: float | None,
    topic: str | None,
    as_is: bool,
) -> None:
    """Send the events of FILEs to a source's topic, in the order of their time.

    Records that are no events are sent as they are. At the end, a heartbeat tells every partition that nothing older
    comes, so that attempts whose time is over are closed.
    """
    progress = ReplayProgress()
    with user_errors():
        settings = read_settings(config, pairs)
        source = find_source(settings, topic)
        read = [file_progress(path) for path in files]
        inputs = [
            file_input(path, format_name, mapping, settings, done) for path, done in zip(files, read, strict=True)
        ]
        view = ReplayView(progress, read, as_is=as_is)
        plan = ReplayPlan(keyed_by=source.keyed_by, speed=speed, as_is=as_is)
        console = Console(stderr=True)
        with TopicSender(settings.kafka, source.topic) as sender:
            if console.is_terminal:
                with Live(view, console=console, refresh_per_second=4, transient=True):
                    replay(inputs, sender, plan, WallClock(), progress)
            else:
                replay(inputs, sender, plan, WallClock(), progress)
    click.echo(view.summary(source.topic))
    if progress.stopped:
        sys.exit(_STOPPED)


def find_source(settings: Settings, topic: str | None) -> Source:
    """The source of `topic`; without one, the only source. A topic that is no source takes any key. Raises ConfigError."""
    names = ", ".join(source.topic for source in settings.sources)
    if topic is None:
        if len(settings.sources) != 1:
            problem = f"there are several sources ({names})" if names else "no source is declared"
            raise ConfigError("--topic", problem, "name the topic to send to")
        source = settings.sources[0]
    else:
        source = next((known for known in settings.sources if known.topic == topic), Source(topic=topic))
    native = source.format in (Format.AUTO, Format.NATIVE)
    if not native or source.mapping is not None:
        how = "a mapping" if native else f"format = {source.format.value!r}"
        raise ConfigError(
            f"[[sources]] {source.topic}",
            f"is declared with {how}, but replay writes funnelwatch's own JSON",
            "declare a source of its own for history and name it by --topic",
        )
    return source


def file_input(
    path: Path, format_name: str | None, mapping: Path | None, settings: Settings, progress: FileProgress
) -> ReplayInput:
    """How to read one file: its records and its decoder. Raises ConfigError."""
    rules = load_mapping(mapping) if mapping is not None else None
    if format_name is None:
        kind = Format.MAPPING if rules is not None else detect_format(path)
    else:
        kind = Format.AUTO if format_name == "jsonl" else Format(format_name)
        kind = Format.MAPPING if kind is Format.AUTO and rules is not None else kind
    rules = mapping_for(path, kind, rules)
    decode = decoder(options(settings, kind, rules))
    now = int(time.time() * 1000)
    return ReplayInput(read_records(path, kind, rules, progress), lambda data: decode(data, now))
