"""`python -m benchmarks.soak`: steady load with a rhythm, sessions that end, a third worker that comes and goes; what grows?"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import click
import msgspec

from benchmarks.experiments import pages, sender
from benchmarks.experiments.processes import Running
from benchmarks.reliability import put, table
from benchmarks.soak.look import Growth, Look, Watched, growth, megabytes
from benchmarks.soak.scene import PARTITIONS, Scene, whole_scene, worker
from schemas.errors import FunnelwatchError
from schemas.metrics import CONSUMER_LAG

#: RSS, files and series may differ by this many percent between the first cycle after the warm-up and the last.
MOST_GROWTH = 2.0
#: Lists inside a worker, which rise and fall with the load: by so many percent, or entries, whichever is more.
MOST_LISTED, FEW = 10.0, 20
LISTS = ("acked", "unacked", "calendar", "finished", "remembered", "recent", "tasks")
LOOK = 5.0  # seconds between two looks
STILL = 300.0  # seconds without progress after which what is missing is lost
SWING = 0.4
#: A run has so many rebalances, one every 5 minutes of an hour; a cycle is two of them, in which the third worker comes and goes.
REBALANCES = 12
READ = "SELECT toUInt64(sum(r)) FROM (SELECT max(read) AS r FROM progress_v GROUP BY log, partition)"
LATE = "SELECT toUInt64(sum(late)) FROM progress_v"
EVENTS = "SELECT uniqExact(event_id) FROM events"


class Result(msgspec.Struct, frozen=True):
    """What came of it. `lost`: events that were sent and are not in ClickHouse, or that the state has not read."""

    seconds: float
    events: int
    rate: float
    most_behind: float
    rebalances: int
    most_lag: int
    lost: int
    late: int
    rss: dict[str, Growth]
    handles: dict[str, Growth]
    series: dict[str, Growth]
    inside: dict[str, dict[str, Growth]]

    @property
    def grew(self) -> list[str]:
        """What grew by more than it may."""
        outside = {"RSS": self.rss, "files and sockets": self.handles, "series": self.series}
        return [
            *(
                f"{name}: {what}" for what, figures in outside.items() for name, grown in figures.items()
                if grown.percent > MOST_GROWTH and (what != "files and sockets" or grown.last - grown.first >= 1)
            ),
            *(
                f"{name}: {what}" for name, seen in self.inside.items() for what in LISTS
                if seen[what].last - seen[what].first > max(FEW, seen[what].first * MOST_LISTED / 100)
            ),
        ]  # fmt: skip


class Third:
    """The worker that comes and goes: every call is a rebalance."""

    def __init__(self, on: Scene) -> None:
        self._on = on
        self._running: Running | None = None

    def turn(self) -> None:
        """Starts it, or ends it."""
        if self._running is None:
            self._running = worker(self._on.third).running
        else:
            self.stop()

    def stop(self) -> None:
        if self._running is not None:
            self._running.stop()
            self._running = None


def run(on: Scene, rate: float, seconds: float, rebalances: int = REBALANCES) -> Result:
    """The load, and all looks at it. Raises SinkError if a process fails."""
    every, before, cycle = seconds / rebalances, on.ask(EVENTS), seconds / 6
    order = sender.Order(
        on.site.servers, on.site.topic, PARTITIONS, rate, seconds, str(on.site.home / "sent.json"), realistic=True, swing=SWING,
        swing_seconds=cycle / 2, first=10 * before,  # a load begins more sessions than it comes to events of, but not ten times as many
    )  # fmt: skip
    third, turns, most_lag = Third(on), 0, 0
    try:
        with sender.sending(order) as load:
            began = time.monotonic()
            while load.alive and (at := time.monotonic() - began) < seconds:
                if at >= every * (turns + 1):
                    third.turn()
                    turns += 1
                most_lag = max(most_lag, look(on, at))
                time.sleep(min(LOOK, cycle / 10))
            sent = sender.result(order, load)
        third.stop()
        until_read(on, before + sent.events)
    finally:
        third.stop()
    lost = abs(before + sent.events - on.ask(EVENTS)) + abs(before + sent.events - on.ask(READ))

    def grown(watched: Watched, figure: str) -> Growth:
        def value(look: Look) -> float:
            return float(getattr(look.seen, figure) if hasattr(look.seen, figure) else getattr(look, figure))

        return growth(watched.looks, value, cycle, cycle, seconds)

    return Result(
        sent.seconds, sent.events, sent.rate, sent.behind, turns, most_lag, lost, on.ask(LATE),
        {watched.name: growth(watched.looks, megabytes, cycle, cycle, seconds) for watched in on.watched},
        {watched.name: grown(watched, "handles") for watched in on.watched},
        {watched.name: grown(watched, "series") for watched in on.watched},
        {
            watched.name: {name: grown(watched, name) for name in watched.looks[0].seen.__struct_fields__}
            for watched in on.workers
        },
    )  # fmt: skip


def look(on: Scene, at: float) -> int:
    """Looks at all; returns the lag that the workers report."""
    for watched in on.watched:
        watched.look(at)
    return int(sum(pages.total(pages.page(watched.port), CONSUMER_LAG.name) for watched in on.workers))


def until_read(on: Scene, events: int, watch: Callable[[], object] = int) -> None:
    """Looks on (`watch`) until workers and sink have done with everything, or nothing more has come for a while: what is missing then is told as
    lost. (A crowded machine is slow; only standing still is a loss.)"""
    last, moved = (0, 0), time.monotonic()
    while last != (events, events) and time.monotonic() - moved < STILL:
        for watched in on.watched:
            watched.running.check()
        watch()
        now = on.ask(READ), on.ask(EVENTS)
        if now != last:
            last, moved = now, time.monotonic()
        time.sleep(1.0)


def document(result: Result) -> list[str]:
    """Lines for docs/reliability.md."""
    rows = [
        (f"{name}: {what}", grown.first, grown.last, f"{grown.percent:+.1f} %")
        for what, figures in (
            ("RSS, MiB", result.rss),
            ("files and sockets", result.handles),
            ("series", result.series),
        )
        for name, grown in figures.items()
    ]
    rows += [
        (f"{name}: {what}", grown.first, grown.last, f"{grown.percent:+.1f} %" if grown.first >= 10 else "")
        for name, seen in result.inside.items()
        for what, grown in seen.items()
    ]
    what = (
        f"{result.seconds / 60:.0f} minutes, {result.events:,} events ({result.rate:,.0f} a second), {result.rebalances} rebalances; "
        f"the load was at most {result.most_behind:.1f} s behind its pace. Lost: {result.lost}; late: {result.late}; most lag that was "
        f"reported: {result.most_lag:,} records."
    )
    return [
        what,
        "",
        *table(("mean over a cycle of two rebalances", "first after warm-up", "last", "growth"), rows),
    ]


@click.command(context_settings={"show_default": True})
@click.option("--minutes", default=60.0, type=click.FloatRange(2), help="How long the load lasts.")
@click.option("--rate", default=2_000.0, type=click.FloatRange(10), help="Events a second, mean.")
@click.option("--looks", type=click.Path(path_type=Path), help="A file for every look that was taken, as JSON.")
@click.option("--write/--no-write", default=False, help="Whether docs/reliability.md takes the figures.")
def main(minutes: float, rate: float, looks: Path | None, write: bool) -> None:  # noqa: FBT001  (a flag)
    """Steady load with a rebalance every twelfth of the time: memory, handles, series and inner lists must not grow."""
    with tempfile.TemporaryDirectory(prefix="funnelwatch-soak-") as directory:
        try:
            with whole_scene(Path(directory)) as on:
                try:
                    result = run(on, rate, minutes * 60)
                finally:
                    if looks:
                        looks.write_bytes(msgspec.json.encode({each.name: each.looks for each in on.watched}))
        except FunnelwatchError as error:
            raise click.ClickException(str(error)) from error
    lines = document(result)
    click.echo("\n".join(lines), err=True)
    if write:
        put("soak", lines)
    print(msgspec.json.encode({"grew": result.grew, "lost": result.lost, "result": result}).decode())
    if result.grew or result.lost:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
