"""`python -m benchmarks.soak.overload`: ten times what the workers can keep up with, and ClickHouse slow: memory stays bounded, the lag is
told as it is, and all is caught up with afterwards.

No sender reaches ten times what a worker does at full speed: the workers are throttled instead, until they keep up with a tenth of it.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import click
import msgspec

from benchmarks.experiments import sender
from benchmarks.reliability import put, table
from benchmarks.soak.__main__ import EVENTS, LATE, READ, until_read
from benchmarks.soak.backlog import Backlog
from benchmarks.soak.scene import PARTITIONS, USUAL, Scene, whole_scene
from benchmarks.soak.throttle import Throttle
from schemas.errors import FunnelwatchError, SinkError
from sinks.embedded.faults import Faults

TIMES = 10
#: What deploy/kubernetes allows a worker and a sink.
MOST_MIB = 1024
SHARE = 0.05  # of a core that each worker gets, at first
PROBE, PROBES = 12.0, 8  # seconds in which the workers' rate is measured, and how often at most
LOOK, PAGES = 0.5, 5  # seconds between two looks; at every how many the workers' pages are read
SLOW = Faults(stall=1_000_000, stall_seconds=1.0)


class Result(msgspec.Struct, frozen=True):
    """`rate`, `worked`: events a second that came, and that the workers did. `lag`: the most that was appended and not applied, and what
    the workers told of it then. `unstored`: records that Kafka held for the sink, at most. `batch_before`, `batch`: mean rows of an insert of events
    before and while ClickHouse was slow; `batch_most`: no insert had more. `units`: at most. `rss`: MiB, the most before the overload, in it, and after it."""

    seconds: float
    events: int
    rate: float
    worked: float
    lag: int
    lag_told: int
    unstored: int
    batch_before: float
    batch: float
    batch_most: float
    units: int
    catch_up_seconds: float
    lost: int
    late: int
    rss: dict[str, tuple[float, float, float]]

    @property
    def bounded(self) -> bool:
        return all(max(sizes) <= MOST_MIB for sizes in self.rss.values())


class Most:
    """The most of what was seen in each of three phases."""

    def __init__(self, backlog: Backlog) -> None:
        self._backlog = backlog
        self.sizes: tuple[dict[str, float], ...] = ({}, {}, {})
        self.lag = self.told = self.unstored = self.units = 0

    def look(self, phase: int, *, whole: bool) -> None:
        """Takes a look. `whole`: at the pages of the workers, too."""
        backlog, sizes = self._backlog, self.sizes[phase]
        for name, size in backlog.sizes().items():
            sizes[name] = max(size, sizes.get(name, 0.0))
        if whole:
            backlog.read()
            behind = backlog.appended() - backlog.applied
            if behind >= self.lag and phase == 1:
                self.lag, self.told = behind, backlog.told
            self.unstored, self.units = max(self.unstored, backlog.unstored()), max(self.units, backlog.units)


def slow_down(throttle: Throttle, backlog: Backlog, wanted: float, probe: float) -> None:
    """Throttles the workers, which have more to do than they can, to `wanted` events a second or less. Raises SinkError if they can't
    be held under it."""
    rate = 0.0
    for _ in range(PROBES):
        backlog.read()
        began, done = time.monotonic(), backlog.applied
        time.sleep(probe)
        backlog.read()
        rate = (backlog.applied - done) / (time.monotonic() - began)
        click.echo(
            f"with {100 * throttle.share:.1f} % of a core each the workers do {rate:,.0f} events a second", err=True
        )
        if 0 < rate <= wanted:
            return
        throttle.change(min(2.0, max(0.25, 0.75 * wanted / max(rate, 1.0))))
    if rate > wanted:
        raise SinkError(f"the workers can't be throttled to {wanted:,.0f} events a second; try another --rate")


def run(on: Scene, rate: float, seconds: float, times: float = TIMES, probe: float = PROBE) -> Result:
    """Raises SinkError if a process fails."""
    longest = seconds + 2 * PROBES * probe + 60
    before = on.ask(EVENTS)
    order = sender.Order(
        on.site.servers, on.site.topic, PARTITIONS, rate, longest, str(on.site.home / "sent.json"), realistic=True,
        first=10 * before,
    )  # fmt: skip
    with Backlog(on) as backlog:
        most = Most(backlog)
        with (
            sender.sending(order) as load,
            Throttle([watched.running.pid for watched in on.workers], SHARE) as throttle,
        ):
            slow_down(throttle, backlog, rate / times, probe)
            most.look(0, whole=True)
            before_slow = backlog.batches()
            on.clickhouse.inject(SLOW)
            began, came, done, turn = time.monotonic(), backlog.appended(), backlog.applied, 0
            while (passed := time.monotonic() - began) < seconds:
                load.check()
                most.look(1, whole=turn % PAGES == 0)
                turn += 1
                time.sleep(LOOK)
            most.look(1, whole=True)
            came, done = backlog.appended() - came, backlog.applied - done
            slow = backlog.batches().since(before_slow)
            load.stop()
        sent = sender.result(order)
        every = before + sent.events
        on.clickhouse.inject(Faults())
        ended = time.monotonic()
        until_read(on, every, lambda: most.look(2, whole=True))
        caught_up = time.monotonic() - ended
    lost = abs(every - on.ask(READ)) + abs(every - on.ask(EVENTS))
    first, during, after = most.sizes
    return Result(
        passed, sent.events, came / passed, done / passed, most.lag, most.told, most.unstored, before_slow.mean, slow.mean, slow.most, most.units,
        caught_up, lost, on.ask(LATE), {name: (first[name], during[name], after[name]) for name in first},
    )  # fmt: skip


def document(result: Result) -> list[str]:
    """Lines for docs/reliability.md."""
    what = (
        f"Two throttled workers got {result.rate:,.0f} events a second for {result.seconds / 60:.1f} minutes and did {result.worked:,.0f} "
        f"({result.rate / max(result.worked, 1.0):.0f} times too much), while every request to ClickHouse took a second longer. Most lag: "
        f"{result.lag:,} records, of which the workers told {result.lag_told:,}. For the sink Kafka held {result.unstored:,} records at "
        f"most; an insert of events had {result.batch:,.0f} rows ({result.batch_before:,.0f} before), none of any table more than {result.batch_most:,.0f}. All of {result.events:,} events were worked on and stored "
        f"{result.catch_up_seconds:.0f} s after the overload, by up to {result.units:,} units at a time; lost: {result.lost}, late: "
        f"{result.late}."
    )
    rows = [(name, *figures) for name, figures in result.rss.items()]
    return [what, "", *table(("RSS at most, MiB", "before", "in overload", "catching up"), rows)]


@click.command(context_settings={"show_default": True})
@click.option("--minutes", default=5.0, type=click.FloatRange(0.2), help="How long it lasts.")
@click.option(
    "--rate", default=15_000.0, type=click.FloatRange(100), help="Events a second; the workers keep up with a tenth."
)
@click.option("--write/--no-write", default=False, help="Whether docs/reliability.md takes the figures.")
def main(minutes: float, rate: float, write: bool) -> None:  # noqa: FBT001  (a flag)
    """Ten times too much. The last line is one JSON object."""
    with tempfile.TemporaryDirectory(prefix="funnelwatch-overload-") as directory:
        try:
            with whole_scene(Path(directory), USUAL) as on:
                result = run(on, rate, minutes * 60)
        except FunnelwatchError as error:
            raise click.ClickException(str(error)) from error
    lines = document(result)
    click.echo("\n".join(lines), err=True)
    if write:
        put("overload", lines)
    print(msgspec.json.encode(result).decode())
    if result.lost or not result.bounded:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
