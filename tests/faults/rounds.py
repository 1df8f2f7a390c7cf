"""Rounds: each a monitor of its own, a flow, and a seeded schedule of faults of one theme; then the comparison with `batch`."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from random import Random

import msgspec

from sinks.embedded.clickhouse import EmbeddedClickHouse
from tests.e2e.oracle import difference, stored_rows
from tests.e2e.prometheus import EVERYTHING, counters_of
from tests.faults import acts
from tests.faults.acts import Act
from tests.faults.broker import ProxiedKafka
from tests.faults.clock import MISSING, library
from tests.faults.crash import Point
from tests.faults.disk import ClickHouseOnSmallDisk
from tests.faults.flow import IDLE_AFTER, Flow
from tests.faults.monitor import SINK, Mine, Monitor

WORKER_POINTS = (
    Point.BEFORE_TRANSITIONS, Point.AFTER_TRANSITIONS, Point.AFTER_STATE, Point.AFTER_ACK, Point.AFTER_REKEYING,
)  # fmt: skip
#: Seconds that the monitor may take to catch up at the end, on a crowded machine.
PATIENCE = 400.0
SINK_POINTS = (Point.IN_INSERT, Point.AFTER_INSERT)


class Theme(msgspec.Struct, frozen=True):
    """What goes wrong. `acts`: of each pause between two parts, `share` see one of them. `mines`: of each worker, one a life;
    `sink_mines`: likewise; `points`: where the workers' lie. `pause`: seconds between two parts. `uneven`: the flow; `clocks`, `disk`: whether it needs libfaketime, a
    small disk."""

    name: str
    acts: tuple[Act, ...] = ()
    share: float = 1.0
    mines: int = 0
    points: tuple[Point, ...] = WORKER_POINTS
    sink_mines: int = 0
    pause: tuple[float, float] = (0.3, 1.2)
    uneven: bool = False
    clocks: bool = False
    disk: bool = False

    def missing(self, clickhouse: EmbeddedClickHouse) -> str:
        """Why it can't be played here; "" if it can."""
        if self.clocks and library() is None:
            return MISSING
        if self.disk:
            return clickhouse.missing if isinstance(clickhouse, ClickHouseOnSmallDisk) else "needs a small disk"
        return ""


THEMES = (
    Theme("crashes", (acts.kill, acts.terminate), 0.1, mines=6, sink_mines=3, pause=(0.8, 1.6)),
    Theme("network", (acts.a_request,) * 8 + (acts.cut, acts.hold)),
    Theme("disk full", (acts.fill_disk, acts.fill_disk, acts.cut_inserts, acts.kill_sink), 0.4, sink_mines=1, disk=True),
    Theme("clickhouse", (acts.cut_inserts,) * 4 + (acts.refuse, acts.refuse, acts.stall_clickhouse, acts.kill_sink), sink_mines=2),
    Theme(
        "rebalances",
        (acts.join, acts.leave, acts.double_rebalance, acts.terminate) + (acts.a_rebalance_s_request, acts.a_request) * 3,
        pause=(0.8, 2.0),
    ),
    Theme("uneven sources", (acts.a_request, acts.a_request, acts.hold, acts.join, acts.leave), 0.8, mines=1, uneven=True),
    Theme("broker", (acts.stall_broker, acts.stall_broker_long, acts.restart_broker, acts.kill_broker) + (acts.a_request,) * 12),
    Theme("zombies", (acts.freeze, acts.partition) + (acts.a_request,) * 8),
    Theme("clocks", (acts.jump_clock, acts.jump_clock, acts.a_request, acts.terminate), 0.8, clocks=True),
    Theme(
        "everything",
        (acts.a_request,) * 6 + (acts.cut, acts.hold, acts.kill, acts.terminate, acts.join, acts.leave, acts.cut_inserts, acts.refuse, acts.a_rebalance_s_request),
        0.8, mines=2, sink_mines=1,
    ),
    Theme("clickhouse away", (acts.clickhouse_away, acts.kill_clickhouse, acts.cut_inserts, acts.join, acts.leave), 0.15),
)  # fmt: skip


class Outcome(msgspec.Struct, frozen=True):
    """What came of a round. `lost`, `doubled`, `different`: rows of ClickHouse against those of batch. `counted`: by how much the
    counters are short of the rows, and beyond them; `kills`: of workers. `ends`: processes that ended by themselves. `problem`:
    the first rows that differ."""

    theme: str
    seed: int
    seconds: float
    faults: dict[str, int]
    kills: int
    rows: int
    lost: int
    doubled: int
    different: int
    events_wrong: int
    counters: int
    counted_short: int
    counted_beyond: int
    ends: dict[str, int]
    problem: str = ""

    @property
    def right(self) -> bool:
        """Nothing lost, nothing twice; without a kill the counters are exact, and with one never beyond the rows."""
        rows = self.lost + self.doubled + self.different + self.events_wrong == 0
        return rows and not self.problem


def play(
    theme: Theme, flow: Flow, directory: Path, kafka: ProxiedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> Outcome:
    """One round. Raises AssertionError where it does not come to its end."""
    rng, began = Random(f"{theme.name} {flow.seed}"), time.monotonic()
    flow.answer()
    with Monitor(directory, kafka, clickhouse, database, flow.site, clocks=theme.clocks) as monitor:
        acts.calm(monitor)  # a round before may have broken off
        for name in acts.WORKERS:
            monitor.begin(name, *mines(rng, theme.points, theme.mines, recovery=True))
        monitor.begin(SINK, *mines(rng, SINK_POINTS, theme.sink_mines))
        if not theme.mines:
            monitor.until_ready(*acts.WORKERS)
        for part in range(flow.parts):
            flow.send(monitor, part)
            if theme.acts and rng.random() < theme.share:
                rng.choice(theme.acts)(monitor, rng)
            time.sleep(rng.uniform(*theme.pause))
        acts.calm(monitor)
        monitor.until_stored(monitor, monitor, PATIENCE)
        if flow.uneven:  # the last attempts end once the silent ones no longer hold time back
            time.sleep(IDLE_AFTER + 5)
            monitor.until_stored(monitor, monitor, PATIENCE)
        time.sleep(1.2)  # a series that appeared with the last rows shows them at its second scrape
        return compare(theme, flow, monitor, began)


def mines(rng: Random, points: tuple[Point, ...], count: int, *, recovery: bool = False) -> list[Mine]:
    """So many lives; each third one of a worker ends in its recovery."""
    return [
        Mine(Point.IN_RECOVERY, 1) if recovery and number % 3 == 1 else Mine(rng.choice(points), rng.randint(1, 5))
        for number in range(count)
    ]


def compare(theme: Theme, flow: Flow, monitor: Monitor, began: float) -> Outcome:
    """ClickHouse against batch, counters against rows."""
    client = monitor.client()
    try:
        stored = stored_rows(client)
        sql = "SELECT funnel, sum(read), sum(late), sum(invalid) FROM progress_v GROUP BY funnel"
        counts = {funnel: (read, late, invalid) for funnel, read, late, invalid in client.query(sql).result_rows}
    finally:
        client.close()
    wanted = flow.answer()
    newest = max((row.event_time for row in stored.values()), default=0)
    if (
        flow.uneven and newest >= wanted.horizon
    ):  # silence let time go on: attempts have ended that were open with the last record
        wanted = flow.answer(newest + 1)
    told = {funnel.name: (flow.count, 0, len(wanted.refused)) for funnel in monitor.funnels}
    monitor.end()
    counters = counters_of(monitor.funnels, wanted.reports, wanted.rows.values())
    all_traffic = {place: amount for place, amount in counters.items() if place[2:4] == EVERYTHING}
    off = {
        place: monitor.increases.get(place, 0) - all_traffic.get(place, 0)
        for place in all_traffic.keys() | monitor.increases.keys()
        if not place[0].endswith("value_total")
    }
    happened = monitor.happened + sum((Counter(proxy.taken()) for proxy in monitor.kafka.proxies.values()), Counter())
    return Outcome(
        theme=theme.name, seed=flow.seed, seconds=time.monotonic() - began, faults=dict(sorted(happened.items())),
        kills=sum(count for name, count in happened.items() if name.startswith("worker killed")), rows=len(wanted.rows),
        lost=len(wanted.rows.keys() - stored.keys()), doubled=len(stored.keys() - wanted.rows.keys()),
        different=sum(stored[key] != wanted.rows[key] for key in wanted.rows.keys() & stored.keys()),
        events_wrong=sum(counts.get(name) != expected for name, expected in told.items()),
        counters=sum(amount for place, amount in all_traffic.items() if not place[0].endswith("value_total")),
        counted_short=-sum(amount for amount in off.values() if amount < 0),
        counted_beyond=sum(amount for amount in off.values() if amount > 0), ends=dict(monitor.ends),
        problem=difference(stored, wanted.rows) or ("" if counts == told else f"events {counts}, not {told}"),
    )  # fmt: skip
