"""The demo from start to end: claim the folder, start all, show the figures, end all."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path

import msgspec
from rich.console import Console

from schemas.definitions import load_funnels
from schemas.errors import SinkError
from schemas.funnel import Funnel
from schemas.settings import Settings
from sinks.clickhouse.client import connect, database_exists, rows_of
from streams.demo.figures import Reader
from streams.demo.history import write_history
from streams.demo.interrupts import Interrupts
from streams.demo.notes import brief_note, notes
from streams.demo.place import claim
from streams.demo.plan import SPEED, Timeline, Wish, timeline
from streams.demo.sender import Sender
from streams.demo.servers import Servers
from streams.demo.story import Story
from streams.live_view import LiveFigures, show_live
from streams.traffic import Fault

SECONDS_PER_LINE = 3.0
#: Lines of a screen on which the addresses stay in sight; on a smaller one they have scrolled away.
TALL = 32


def run_demo(wish: Wish, directory: Path, console: Console, *, keep: bool, seconds: float | None) -> None:
    """Runs until Ctrl-C, SIGTERM, or for `seconds`. Raises FunnelwatchError; leaves no process in any case."""
    timeline(wish, int(time.time() * 1000))  # a wish that can't be fulfilled is refused before anything starts
    servers = Servers(directory)
    with claim(directory, keep=keep), Interrupts(servers.kill, seconds) as interrupts:
        try:
            console.print(
                f"funnelwatch demo: a shop, followed live. All of it stays in {directory}/",
                highlight=False,
                soft_wrap=True,
            )
            _follow(wish, servers, directory, console, interrupts)
        except KeyboardInterrupt:
            pass
        finally:
            interrupts.go_live()  # a second signal ends the process; none is raised in the midst of stopping
            console.print("ending the traffic, the worker, ClickHouse and Kafka …", highlight=False, soft_wrap=True)
            servers.stop()
        console.print(f"ended. {directory}/ stays until the next demo.", highlight=False, soft_wrap=True)


def _follow(wish: Wish, servers: Servers, directory: Path, console: Console, interrupts: Interrupts) -> None:
    began = time.monotonic()
    settings, config = servers.start(lambda text: console.print(text, highlight=False, soft_wrap=True))
    funnels = load_funnels(settings.funnels)
    reached = _reached(settings)
    times = timeline(wish, int(time.time() * 1000), reached)
    if reached is None:
        console.print("  learning from four weeks of history what is to be expected …", highlight=False)
        history = (directory / "history.jsonl").resolve()
        write_history(history, times)
        servers.learn(config, history)
    servers.follow(config)
    sender = Sender(settings.kafka, times, directory / "sample.jsonl")
    reader = Reader(settings, funnels, servers.check)
    story = Story(times.fault)
    _introduce(servers, settings, config, times, console)
    console.print(f"started in {time.monotonic() - began:.0f} s; Ctrl-C ends all\n", highlight=False, soft_wrap=True)
    addresses = f"the live page: http://{settings.web.listen}/"
    interrupts.go_live()
    if servers.alarm is None:
        story.tell("Prometheus and Alertmanager are not installed: nobody is paged")
    else:
        servers.alarm.watch(settings, story)
    sender.start()
    reader.start()
    try:
        show_live(
            lambda: _figures(reader, sender, funnels[0], times.fault, story, console, addresses),
            console,
            interrupts,
            seconds_per_line=SECONDS_PER_LINE,
        )
    finally:
        sender.stop()
        reader.stop()
        _tell(story.new(), console)


def _tell(lines: list[str], console: Console) -> None:
    for text in lines:
        console.print(text, highlight=False, soft_wrap=True, markup=False)


def _figures(
    reader: Reader, sender: Sender, funnel: Funnel, fault: Fault | None, story: Story, console: Console, addresses: str
) -> LiveFigures:
    """The last reading with its notes. Raises SinkError when a part has failed."""
    error: SinkError | None = reader.error or sender.error
    if error is not None:
        raise error
    if not (reader.alive and sender.alive):
        raise SinkError(
            "the demo's own thread has ended, which is a fault of funnelwatch; please report what stands above"
        )
    reading = reader.now
    story.reached(reading.figures.watermark)
    if not console.is_terminal:
        _tell(story.new(), console)
        return msgspec.structs.replace(reading.figures, notes=tuple(filter(None, [brief_note(reading, fault)])))
    lines = notes(reading, funnel, fault)
    if console.height >= TALL:
        lines.append(f"{addresses}   Ctrl-C ends all")
    lines += story.last()
    return msgspec.structs.replace(reading.figures, notes=tuple(filter(None, lines)))


def _reached(settings: Settings) -> int | None:
    """The event time that an earlier run in this folder reached, ms; None if there was none."""
    client = connect(settings.clickhouse, database="default")
    try:
        if not database_exists(client, settings.clickhouse.database):
            return None
        sql = f"SELECT count(), toUnixTimestamp64Milli(max(watermark)) FROM {settings.clickhouse.database}.progress"  # noqa: S608
        (count, reached) = rows_of(client, "read how far the last demo came", sql)[0]
        return int(reached) if count else None
    finally:
        client.close()


def _introduce(servers: Servers, settings: Settings, config: Path, times: Timeline, console: Console) -> None:
    """Says what runs where, and what to try beside it."""
    url, web = settings.clickhouse.url, settings.web.listen
    command, hours = command_name(), (int(time.time() * 1000) - times.start_ms) / 3_600_000
    lines = [
        f"  LIVE PAGE   http://{web}/",
        f"  Kafka       {settings.kafka.servers[0]}, topic {settings.sources[0].topic}",
        f"  ClickHouse  {url} (chDB), database {settings.clickhouse.database}",
        f"  worker      http://{web}/metrics; log: {servers.log}",
        f"  traffic     {times.traffic.visitors_per_day:,.0f} visitors a day; event time begins {hours:.0f} h ago and",
        f"              runs {SPEED:.0f} times as fast until it has caught up",
        "Try in another terminal:",
        f"  {command} report purchase --by device --config {config}",
        f"  curl -s http://{web}/metrics | grep funnel_conversions_total",
        f"  curl -s {url} -d 'SELECT * FROM {settings.clickhouse.database}.progress_v'",  # noqa: S608
    ]
    if times.live_ms > times.start_ms:
        sample = config.parent / "sample.jsonl"
        lines.append(f"  {command} replay {sample} --config {config}")
        lines.append("    (events sent before, once more: counted as late, no figure changes)")
    if servers.alarm is not None:
        lines.insert(
            4,
            f"  alarm       http://{servers.alarm.address} (Alertmanager), http://{servers.alarm.prometheus} (Prometheus)",
        )
    console.print("\n".join(lines), highlight=False, soft_wrap=True)


def command_name() -> str:
    """How this command is called here: `funnelwatch` if the shell finds it, else its path."""
    started = Path(sys.argv[0])
    if started.name != "funnelwatch" or shutil.which("funnelwatch") == str(started.absolute()):
        return "funnelwatch"
    try:
        return str(started.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(started)
