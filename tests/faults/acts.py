"""The faults that are done from outside, each by its name. What they need to be undone is done at the end of a round (`calm`)."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from random import Random

from sinks.embedded.faults import Faults
from tests.faults.disk import ClickHouseOnSmallDisk
from tests.faults.monitor import SESSION, SINK, Monitor
from tests.faults.proxy import Action, Api, Rule

Act = Callable[[Monitor, Random], None]
WORKERS = ("a", "b")
GUEST = "c"
LONGER_THAN_A_SESSION = SESSION * 1.5

REQUESTS = (
    Rule(Api.PRODUCE, Action.LOSE), Rule(Api.PRODUCE, Action.LOSE_ANSWER), Rule(Api.PRODUCE, Action.DELAY, 0.7),
    Rule(Api.PRODUCE, Action.HOLD, 0.7), Rule(Api.FETCH, Action.LOSE), Rule(Api.FETCH, Action.LOSE_ANSWER),
    Rule(Api.FETCH, Action.DELAY, 0.7), Rule(Api.COMMIT, Action.LOSE), Rule(Api.COMMIT, Action.LOSE_ANSWER),
    Rule(Api.COMMIT, Action.DELAY, 1.0), Rule(Api.HEARTBEAT, Action.LOSE), Rule(Api.HEARTBEAT, Action.LOSE_ANSWER),
    Rule(Api.HEARTBEAT, Action.DELAY, 1.0),
)  # fmt: skip
REBALANCING = (
    Rule(Api.OFFSET_FETCH, Action.LOSE), Rule(Api.OFFSET_FETCH, Action.LOSE_ANSWER), Rule(Api.OFFSET_FETCH, Action.DELAY, 1.5),
    Rule(Api.JOIN, Action.LOSE_ANSWER), Rule(Api.SYNC, Action.LOSE_ANSWER), Rule(Api.SYNC, Action.DELAY, 1.0),
    Rule(Api.LIST_OFFSETS, Action.LOSE), Rule(Api.LIST_OFFSETS, Action.DELAY, 1.0), Rule(Api.COMMIT, Action.HOLD, 2.0),
)  # fmt: skip


def a_request(monitor: Monitor, rng: Random) -> None:
    """Some request of some process is lost, or its answer is, or they are late."""
    for name in (*WORKERS, SINK):
        rule = rng.choice(REQUESTS)
        if name != SINK or rule.api is not Api.PRODUCE:  # the sink produces nothing
            monitor.kafka.proxies[name].arm(rule)


def a_rebalance_s_request(monitor: Monitor, rng: Random) -> None:
    """The same of those that agree on who has what."""
    monitor.kafka.proxies[rng.choice(WORKERS)].arm(rng.choice(REBALANCING))


def cut(monitor: Monitor, rng: Random) -> None:
    """All connections of a process are cut."""
    monitor.kafka.proxies[rng.choice((*WORKERS, SINK))].cut()


def hold(monitor: Monitor, rng: Random) -> None:
    """The network of a process stands still."""
    monitor.kafka.proxies[rng.choice((*WORKERS, SINK))].stall(rng.uniform(0.5, 3.0))


def partition(monitor: Monitor, rng: Random) -> None:
    """The network of a worker stands still for longer than its session: another takes over, and then what it had sent arrives."""
    monitor.kafka.proxies[rng.choice(WORKERS)].stall(LONGER_THAN_A_SESSION)


def kill(monitor: Monitor, rng: Random) -> None:
    """kill -9 of a worker at any moment."""
    monitor.signal(rng.choice(WORKERS), signal.SIGKILL)
    monitor.happened["worker killed at any moment"] += 1


def kill_sink(monitor: Monitor, rng: Random) -> None:
    """kill -9 of the sink at any moment."""
    monitor.signal(SINK, signal.SIGKILL)
    monitor.happened["sink killed at any moment"] += 1


def terminate(monitor: Monitor, rng: Random) -> None:
    """SIGTERM under load; it comes back."""
    monitor.signal(rng.choice((*WORKERS, SINK)), signal.SIGTERM)
    monitor.happened["SIGTERM under load"] += 1


def freeze(monitor: Monitor, rng: Random) -> None:
    """A worker stands still for longer than its session (SIGSTOP), and goes on as if nothing had been."""
    name = rng.choice(WORKERS)
    monitor.signal(name, signal.SIGSTOP)
    time.sleep(LONGER_THAN_A_SESSION)
    monitor.signal(name, signal.SIGCONT)
    monitor.happened["worker frozen for longer than its session"] += 1


def join(monitor: Monitor, rng: Random) -> None:
    """A third worker comes."""
    monitor.begin(GUEST)
    monitor.happened["worker joins"] += 1


def leave(monitor: Monitor, rng: Random) -> None:
    """It leaves for good."""
    if GUEST in monitor.kept:
        monitor.leave(GUEST)
        monitor.happened["worker leaves"] += 1


def double_rebalance(monitor: Monitor, rng: Random) -> None:
    """A worker comes while the group still agrees on another's going, and offsets are told slowly."""
    for name in WORKERS:
        monitor.kafka.proxies[name].arm(Rule(Api.OFFSET_FETCH, Action.DELAY, 1.0))
    monitor.signal(rng.choice(WORKERS), signal.SIGTERM)
    monitor.begin(GUEST)
    monitor.happened["two rebalances at once"] += 1


def stall_broker(monitor: Monitor, rng: Random) -> None:
    """The broker stands still (SIGSTOP) for 5 s."""
    pause_broker(monitor, 5.0)
    monitor.happened["broker stalled for 5 s"] += 1


def stall_broker_long(monitor: Monitor, rng: Random) -> None:
    """The same for longer than a session."""
    pause_broker(monitor, LONGER_THAN_A_SESSION)
    monitor.happened["broker stalled for longer than a session"] += 1


def pause_broker(monitor: Monitor, seconds: float) -> None:
    monitor.kafka.pause()
    time.sleep(seconds)
    monitor.kafka.resume()


def restart_broker(monitor: Monitor, rng: Random) -> None:
    """The broker ends in order and comes back."""
    monitor.kafka.stop()
    monitor.kafka.start()
    monitor.happened["broker restarted"] += 1


def kill_broker(monitor: Monitor, rng: Random) -> None:
    """kill -9 of the broker."""
    monitor.kafka.kill()
    monitor.kafka.start()
    monitor.happened["broker killed"] += 1


def cut_inserts(monitor: Monitor, rng: Random) -> None:
    """The next inserts are applied, but the connection is cut before the sink knows."""
    clickhouse_faults(monitor, Faults(cut_inserts=rng.randint(2, 5)))


def refuse(monitor: Monitor, rng: Random) -> None:
    """ClickHouse answers 503."""
    clickhouse_faults(monitor, Faults(refuse=rng.randint(2, 4)))


def stall_clickhouse(monitor: Monitor, rng: Random) -> None:
    """ClickHouse is slow."""
    clickhouse_faults(monitor, Faults(stall=2, stall_seconds=1.5))


def clickhouse_faults(monitor: Monitor, faults: Faults) -> None:
    """Orders them beside those that are still to happen, and counts those that have."""
    left = count_clickhouse_faults(monitor)
    monitor.ordered = Faults(
        left.cut_inserts + faults.cut_inserts, left.refuse + faults.refuse, left.stall + faults.stall, faults.stall_seconds
    )  # fmt: skip
    monitor.clickhouse.inject(monitor.ordered)


def count_clickhouse_faults(monitor: Monitor) -> Faults:
    """Counts those that have happened; calls off those that have not, and returns them."""
    left, asked = monitor.clickhouse.inject(Faults()), monitor.ordered
    for name, what in (
        ("cut_inserts", "insert applied, then cut"),
        ("refuse", "request refused"),
        ("stall", "request slow"),
    ):
        monitor.happened[f"ClickHouse: {what}"] += getattr(asked, name) - getattr(left, name)
    monitor.ordered = Faults()
    return left


def kill_clickhouse(monitor: Monitor, rng: Random) -> None:
    """kill -9 of ClickHouse; it comes back at once."""
    count_clickhouse_faults(monitor)
    monitor.clickhouse.kill()
    monitor.clickhouse.start()
    monitor.happened["ClickHouse: killed"] += 1


def clickhouse_away(monitor: Monitor, rng: Random) -> None:
    """ClickHouse is away for longer than a rebalance may take (20 s)."""
    count_clickhouse_faults(monitor)
    monitor.clickhouse.kill()
    time.sleep(24)
    monitor.clickhouse.start()
    monitor.happened["ClickHouse: away for longer than a rebalance"] += 1


def fill_disk(monitor: Monitor, rng: Random) -> None:
    """ClickHouse's disk is full for some seconds."""
    disk = monitor.clickhouse
    assert isinstance(disk, ClickHouseOnSmallDisk)
    disk.fill()
    time.sleep(rng.uniform(2, 6))
    disk.free()
    monitor.happened["ClickHouse: disk full"] += 1


def jump_clock(monitor: Monitor, rng: Random) -> None:
    """The wall clock of a process is off by up to three hours from now on, either way. (Kafka refuses what is an hour ahead.)"""
    clock = monitor.kept[rng.choice((*WORKERS, SINK))].clock
    assert clock is not None
    clock.jump(rng.randint(-10_800, 10_800))
    monitor.happened["clock jumps"] += 1


def calm(monitor: Monitor) -> None:
    """No more faults; all that was stopped goes on."""
    if isinstance(monitor.clickhouse, ClickHouseOnSmallDisk) and not monitor.clickhouse.missing:
        monitor.clickhouse.free()
    for proxy in monitor.kafka.proxies.values():
        proxy.disarm()
    monitor.kafka.start()
    monitor.clickhouse.start()
    count_clickhouse_faults(monitor)
    for kept in monitor.kept.values():
        if kept.clock is not None:
            kept.clock.jump(0)
