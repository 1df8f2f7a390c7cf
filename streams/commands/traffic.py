"""`funnelwatch traffic`: a shop's visitors, live, into the topic of a source."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from queue import SimpleQueue
from threading import Event as Signal
from threading import Thread

import click

from streams.commands.configuration import read_settings, settings_options, user_errors
from streams.commands.replay import find_source
from streams.topic_sender import TopicSender
from streams.traffic import Clock, Traffic, TrafficConfig, WallClock, pace


@click.command("traffic")
@settings_options
@click.option("--topic", help="The topic (default: that of the only source).")
@click.option(
    "--visitors-per-day", type=click.FloatRange(1, 10_000_000), default=60_000.0, show_default=True, metavar="N"
)
@click.option("--seed", type=click.IntRange(0), default=7, show_default=True, help="Another seed, other visitors.")
def traffic(config: Path | None, pairs: tuple[str, ...], topic: str | None, visitors_per_day: float, seed: int) -> None:
    """Send the visitors of a simulated shop to a source's topic, at the clock's own pace, until Ctrl-C or SIGTERM.

    For trying things: they come in beside real events, if there are any.
    """
    with user_errors():
        settings = read_settings(config, pairs)
        source = find_source(settings, topic)
        now = int(time.time() * 1000)
        keyed_by = "none" if source.keyed_by is None else source.keyed_by.value
        made = TrafficConfig(seed=seed + now, start_ms=now, visitors_per_day=visitors_per_day, keyed_by=keyed_by)
        with TopicSender(settings.kafka, source.topic) as sender:
            click.echo(f"{visitors_per_day:,.0f} visitors a day to {source.topic}; Ctrl-C ends it")
            sent = send(Traffic(made), sender, WallClock(stop_signal()))
    click.echo(f"{sent:,} records sent to {source.topic}")


def send(made: Traffic, sender: TopicSender, clock: Clock) -> int:
    """Sends until the clock says stop; returns how many records."""
    sent = 0
    for record in pace(made.records(), 1.0, clock):
        sender.send(record.data, record.key)
        sent += 1
    sender.flush()
    return sent


def stop_signal() -> Signal:
    """Set at SIGINT or SIGTERM, by a thread: setting it in the handler could deadlock with the very wait that it ends."""
    stop, came = Signal(), SimpleQueue[int]()

    def tell() -> None:
        came.get()
        stop.set()

    Thread(target=tell, name="stop", daemon=True).start()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda received, _: came.put(received))
    return stop
