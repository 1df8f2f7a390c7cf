"""What the long runs call growth, and how workers are throttled."""

from __future__ import annotations

import subprocess
import sys
import time
from typing import Any, cast

import psutil  # type: ignore[import-untyped]
import pytest

from benchmarks.experiments.memory import MIB
from benchmarks.soak import overload
from benchmarks.soak.__main__ import Result
from benchmarks.soak.backlog import Batches
from benchmarks.soak.inside import Seen, heap
from benchmarks.soak.look import Growth, Look, growth, megabytes
from benchmarks.soak.throttle import Throttle, used
from schemas.errors import SinkError

FLAT = Growth(100.0, 102.0)


def result(**changed: object) -> Result:
    """A run in which nothing grew, but for what is changed."""
    inside = {
        "worker-0": {name: Growth(1_000.0, 1_050.0) for name in Seen.__struct_fields__} | {"acked": Growth(2, 21)}
    }
    figures: dict[str, Any] = {"rss": {"sink": FLAT}, "handles": {"sink": Growth(10, 10.9)}, "series": {"sink": FLAT}}
    return Result(60.0, 1_000, 16.7, 0.1, 12, 0, 0, 0, **figures | {"inside": inside} | changed)


def test_two_percent_of_memory_and_ten_of_a_list_are_no_growth() -> None:
    assert result().grew == []


def test_each_kind_of_growth_is_named() -> None:
    steps = result(
        rss={"worker-0": Growth(96.0, 186.0)}, handles={"worker-1": Growth(10, 12)}, series={"sink": Growth(100, 103)},
        inside={"worker-0": {name: Growth(100.0, 121.0) for name in Seen.__struct_fields__}},
    )  # fmt: skip
    assert steps.grew == [
        "worker-0: RSS", "worker-1: files and sockets", "sink: series", "worker-0: acked", "worker-0: unacked",
        "worker-0: calendar", "worker-0: finished", "worker-0: remembered", "worker-0: recent", "worker-0: tasks",
    ]  # fmt: skip


def test_means_of_the_first_cycle_after_the_warm_up_and_of_the_last_are_compared() -> None:
    sizes = [500, 100, 110, 300, 120, 130]  # the warm-up, a cycle, a peak between, the last cycle
    looks = [Look(at * 10.0, size * MIB, 0, 0) for at, size in enumerate(sizes)]
    assert growth(looks, megabytes, 20.0, 10.0, 60.0) == Growth(105.0, 125.0)


def test_of_a_cycle_without_a_look_the_nearest_stands() -> None:
    looks = [Look(1.0, 7 * MIB, 0, 0), Look(29.0, 9 * MIB, 0, 0)]
    assert growth(looks, megabytes, 20.0, 10.0, 60.0) == Growth(9.0, 9.0)


def test_a_process_of_which_nothing_was_seen_is_refused() -> None:
    with pytest.raises(SinkError, match="too short"):
        growth([], megabytes, 20.0, 10.0, 60.0)


@pytest.mark.skipif(sys.platform != "linux", reason="malloc is not glibc's")
def test_memory_that_malloc_hands_out_is_seen() -> None:
    before, _ = heap()
    held = [bytes(100_000) for _ in range(500)]
    after, _ = heap()
    assert 45 < after - before < 60
    assert len(held) == 500


def test_a_throttled_process_stops_and_runs_in_turns_and_freely_afterwards() -> None:
    child = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        watched = psutil.Process(child.pid)
        with Throttle([child.pid], 0.05):
            began, turns = used(watched), 0
            for stopped in (True, False, True, False, True):
                while (watched.status() == psutil.STATUS_STOPPED) is not stopped:
                    time.sleep(0.001)
                turns += stopped
            had = used(watched) - began
        assert watched.status() != psutil.STATUS_STOPPED
        # Of the first turn a part was over before the first look; above its share it gets what passes until it is seen and stopped.
        assert 0.05 * (turns - 1) <= had
    finally:
        child.kill()
        child.wait()


class Clockwork:
    """Workers that do 1,000 events in a second of CPU."""

    def __init__(self) -> None:
        self.share, self.applied = 0.5, 0

    def change(self, by: float) -> None:
        self.share *= by

    def read(self) -> None:
        """Nothing: the page is `applied`."""

    def sleep(self, seconds: float) -> None:
        self.applied += int(1_000 * self.share * seconds)


def test_workers_are_throttled_until_they_keep_up_with_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    workers, now = Clockwork(), iter(range(0, 1_000, 10))
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    monkeypatch.setattr(time, "sleep", workers.sleep)
    overload.slow_down(cast("Any", workers), cast("Any", workers), wanted=20.0, probe=10.0)
    assert 0.01 <= workers.share <= 0.02


def test_workers_that_can_not_be_held_back_are_no_overload(monkeypatch: pytest.MonkeyPatch) -> None:
    workers, now = Clockwork(), iter(range(0, 1_000, 10))
    monkeypatch.setattr(workers, "change", lambda _: None)
    monkeypatch.setattr(time, "monotonic", lambda: next(now))
    monkeypatch.setattr(time, "sleep", workers.sleep)
    with pytest.raises(SinkError, match="can't be throttled to 20 events a second"):
        overload.slow_down(cast("Any", workers), cast("Any", workers), wanted=20.0, probe=10.0)


def test_inserts_of_a_phase_are_told_from_those_before() -> None:
    inf = float("inf")
    before = Batches(5_000, 10, {"rows": {1_000.0: 10, 10_000.0: 10, inf: 10}})
    after = Batches(
        35_000, 15, {"rows": {1_000.0: 11, 10_000.0: 14, inf: 14}, "letters": {1_000.0: 1, 10_000.0: 1, inf: 1}}
    )
    during = after.since(before)
    assert (before.mean, before.most) == (500, 1_000)
    assert (during.mean, during.most) == (6_000, 10_000)
