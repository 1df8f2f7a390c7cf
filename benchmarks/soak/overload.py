"""`python -m benchmarks.soak.overload`: ten times what the workers can keep up with, and ClickHouse slow: memory stays bounded, the lag is
told as it is, and all is caught up with afterwards.

No sender reaches ten times what a worker does at full speed: the workers are throttled instead (stopped nine tenths of the time).
"""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click
import msgspec
import psutil  # type: ignore[import-untyped]

from benchmarks.experiments import pages, sender
from benchmarks.experiments.memory import MIB
from benchmarks.experiments.processes import wait
from benchmarks.experiments.topics import Ends
from benchmarks.reliability import put, table
from benchmarks.soak.__main__ import EVENTS, LATE, READ
from benchmarks.soak.look import Watched
from benchmarks.soak.scene import PARTITIONS, Scene, scene
from schemas.errors import FunnelwatchError
from schemas.metrics import CHUNK_RECORDS, CONSUMER_LAG
from sinks.embedded.faults import Faults

TIMES = 10
#: Of each period the workers run this share.
PERIOD, SHARE = 0.5, 0.04
PROBE = 15.0  # seconds in which the throttled rate is measured
LOOK = 2.0
SLOW = Faults(stall=1_000_000, stall_seconds=1.0)


class Result(msgspec.Struct, frozen=True):
    """`sustainable`: events a second, throttled. `lag`: the most that was appended and not applied, and what the workers told of it then.
    `rss`: MiB, the most before the overload, in it, and after it."""

    seconds: float
    sustainable: float
    rate: float
    events: int
    lag: int
    lag_told: int
    catch_up_seconds: float
    lost: int
    late: int
    rss: dict[str, tuple[float, float, float]]


@contextmanager
def throttled(workers: tuple[Watched, ...]) -> Iterator[None]:
    """Lets the workers run a share of the time."""
    over = threading.Event()
    processes = [psutil.Process(watched.running.pid) for watched in workers]

    def turn() -> None:
        while not over.is_set():
            with suppress(psutil.NoSuchProcess):
                for process in processes:
                    process.send_signal(signal.SIGSTOP)
                over.wait(PERIOD * (1 - SHARE))
                for process in processes:
                    process.send_signal(signal.SIGCONT)
            over.wait(PERIOD * SHARE)

    thread = threading.Thread(target=turn)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def applied(on: Scene) -> float:
    """Records that the workers have done with."""
    return sum(pages.total(pages.page(watched.port), f"{CHUNK_RECORDS.name}_sum") for watched in on.workers)


def told(on: Scene) -> int:
    """The lag that the workers report."""
    return int(sum(pages.total(pages.page(watched.port), CONSUMER_LAG.name) for watched in on.workers))


def run(on: Scene, seconds: float, most: float) -> Result:
    """Raises SinkError if a process fails."""
    ends = Ends(on.site.servers, on.site.topic, PARTITIONS)
    sizes: dict[str, list[list[float]]] = {watched.name: [[], [], []] for watched in on.watched}

    def look(phase: int) -> None:
        for watched in on.watched:
            sizes[watched.name][phase].append(watched.running.rss() / MIB)

    lag = lag_told = 0
    with throttled(on.workers):
        probe = sender.Order(
            on.site.servers, on.site.topic, PARTITIONS, most, PROBE, str(on.site.home / "probe.json"), realistic=True
        )
        with sender.sending(probe) as load:
            time.sleep(PROBE / 3)
            began, done = time.monotonic(), applied(on)
            sent_first = sender.result(probe, load).events
            sustainable = (applied(on) - done) / (time.monotonic() - began)
            look(0)
        on.clickhouse.inject(SLOW)
        order = msgspec.structs.replace(
            probe, rate=min(most, TIMES * sustainable), seconds=seconds, out=str(on.site.home / "sent.json")
        )
        with sender.sending(order) as load:
            while load.alive:
                time.sleep(LOOK)
                look(1)
                behind = sum(ends.now().values()) - int(applied(on))
                if behind >= lag:
                    lag, lag_told = behind, told(on)
            sent = sender.result(order, load)
    on.clickhouse.inject(Faults())
    ended, every = time.monotonic(), sent_first + sent.events

    def stored() -> bool:
        look(2)
        return on.ask(READ) >= every and on.ask(EVENTS) >= every

    wait(stored, *(watched.running for watched in on.watched), pause=1.0, longest=900)
    ends.close()
    caught_up = time.monotonic() - ended
    rss = {name: (max(before), max(during), max(after)) for name, (before, during, after) in sizes.items()}
    lost = abs(every - on.ask(READ)) + abs(every - on.ask(EVENTS))
    return Result(sent.seconds, sustainable, sent.rate, every, lag, lag_told, caught_up, lost, on.ask(LATE), rss)


def document(result: Result) -> list[str]:
    """Lines for docs/reliability.md."""
    what = (
        f"Two workers throttled to {result.sustainable:,.0f} events a second got {result.rate:,.0f} a second for {result.seconds / 60:.1f} minutes, "
        f"while every request to ClickHouse took a second longer. Most lag: {result.lag:,} records, of which the workers told {result.lag_told:,}. "
        f"All of {result.events:,} events were worked on and stored {result.catch_up_seconds:.0f} s after the overload; lost: {result.lost}, late: {result.late}."
    )
    rows = [(name, *figures) for name, figures in result.rss.items()]
    return [what, "", *table(("RSS at most, MiB", "before", "in overload", "catching up"), rows)]


@click.command(context_settings={"show_default": True})
@click.option("--minutes", default=5.0, type=click.FloatRange(0.2), help="How long it lasts.")
@click.option("--most", default=12_000.0, help="Events a second that the sender can make.")
@click.option("--write/--no-write", default=False, help="Whether docs/reliability.md takes the figures.")
def main(minutes: float, most: float, write: bool) -> None:  # noqa: FBT001  (a flag)
    """Ten times too much. The last line is one JSON object."""
    with tempfile.TemporaryDirectory(prefix="funnelwatch-overload-") as directory:
        try:
            with scene(Path(directory), faults=True) as on:
                result = run(on, minutes * 60, most)
        except FunnelwatchError as error:
            raise click.ClickException(str(error)) from error
    lines = document(result)
    click.echo("\n".join(lines), err=True)
    if write:
        put("overload", lines)
    print(msgspec.json.encode(result).decode())
    if result.lost:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
