"""Expected conversions through the engine and the counters: right in health, additive over workers, unchanged by takeovers."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from schemas.event import Event
from sinks.prometheus import counters
from sinks.prometheus.labels import EVERYTHING, Segment
from tests.unit.expectation.shop import MINUTE, START, Worker, chunks, events, funnel, visits

PARTITIONS = 3
SEGMENTS = [
    EVERYTHING, Segment("channel", "paid"), Segment("channel", "email"), Segment("device", "mobile"),
    Segment("channel×device", "paid×mobile"),
]  # fmt: skip


def one_worker(seen: Sequence[Event], size: int = 200) -> Worker:
    worker = Worker(funnel(), {})
    for number, chunk in chunks(random.Random(1), seen, PARTITIONS, size):
        worker.follow(number, chunk)
    return worker


@pytest.fixture(scope="module")
def healthy() -> list[Event]:
    """Ten hours, 20 visits a minute."""
    rng = random.Random(3)
    return events(rng, visits(rng, 600, 20))


def test_in_health_all_is_as_expected(healthy: list[Event]) -> None:
    worker = one_worker(healthy)
    for level in ("view", "cart"):
        for segment in SEGMENTS:
            observed, expected = worker.observed(level, segment), worker.expected(level, segment)
            assert observed > 500
            assert observed == pytest.approx(expected, abs=4 * expected**0.5), (level, segment)


def test_all_traffic_is_the_sum_of_its_cells(healthy: list[Event]) -> None:
    worker = one_worker(healthy)
    whole = worker.expected("view")
    for dimension, values in {
        "channel": ("paid", "email"),
        "device": ("mobile", "desktop"),
        "channel×device": ("paid×mobile", "paid×desktop", "email×mobile", "email×desktop"),
    }.items():
        assert sum(worker.expected("view", Segment(dimension, value)) for value in values) == pytest.approx(whole)


def test_where_chunks_are_cut_changes_nothing(healthy: list[Event]) -> None:
    seen = healthy[:6_000]
    coarse, fine = one_worker(seen, 500), one_worker(seen, 20)
    for level in ("view", "cart"):
        assert fine.expected(level) == pytest.approx(coarse.expected(level), rel=1e-6)


def test_it_grows_evenly(healthy: list[Event]) -> None:
    """However the rules cut their minutes, what is expected in one is a minute's worth: not two here and none there."""
    worker, begins, every = Worker(funnel(), {}), START + 180 * MINUTE, 5_000
    seen: dict[int, list[tuple[int, Event]]] = {}
    for offset, event in enumerate(healthy):
        seen.setdefault(max(-1, (event.ts - begins) // every), []).append((offset, event))
    worker.follow(0, seen[-1])
    expected = []
    for look in range(60 * MINUTE // every):
        worker.follow(0, seen.get(look, []))
        expected.append(worker.expected("view"))
    per_look = (expected[-1] - expected[0]) / (len(expected) - 1)
    assert per_look > 0.5
    span = 18  # of a minute and a half
    for earlier, later in zip(expected, expected[span:], strict=False):
        assert later - earlier == pytest.approx(span * per_look, rel=0.2)


@pytest.mark.parametrize(("learned_at", "near"), [(0, 1e-6), (10, 0.1)])
def test_when_the_series_are_read_changes_nothing(healthy: list[Event], learned_at: int, near: float) -> None:
    """What chunks bring waits until somebody reads; also where a partition leaves, and where a step is learned meanwhile (which is
    followed from a partition's next chunk on, or from the one after it)."""
    seldom, often = Worker(funnel(), {}, seeded=False), Worker(funnel(), {}, seeded=False)
    known = Worker(funnel(), {}).counters.baselines.by_level.values()
    for step, (number, chunk) in enumerate(chunks(random.Random(1), healthy[:9_000], PARTITIONS)):
        for worker in (seldom, often):
            if step == learned_at:
                for baseline in known:
                    assert baseline.learned is not None
                    worker.counters.baselines.learn(baseline.learned, "UTC", START)
            if step == 60:
                worker.leave(number)
            worker.follow(number, chunk)
        often.counters.settle()
    for level in ("view", "cart"):
        for segment in SEGMENTS:
            assert often.observed(level, segment) == seldom.observed(level, segment) > 0
            assert often.expected(level, segment) == pytest.approx(seldom.expected(level, segment), rel=near)
            assert often.expected(level, segment) > 0
    assert samples(often) == samples(seldom)


def samples(worker: Worker) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All that is shown but what is expected, once nothing is held back any more."""
    for _ in range(2):
        list(worker.counters.families())
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in worker.counters.families()
        for sample in family.samples
        if "expected" not in sample.name and not sample.name.endswith("_created")
    }


def test_rows_do_not_wait_without_bound(healthy: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "WAITING", 1_000)
    worker = Worker(funnel(), {})
    most = 0
    for number, chunk in chunks(random.Random(1), healthy[:9_000], PARTITIONS):
        worker.follow(number, chunk)
        most = max(most, worker.counters.waiting)
    assert 500 < most <= 1_000


def test_a_change_of_mix_is_no_fall() -> None:
    """Suddenly nine of ten visitors come by the channel that converts half as well."""
    rng = random.Random(4)
    before, after = visits(rng, 120, 20), visits(rng, 480, 20, paid=0.95)
    shift = 120 * MINUTE
    moved = [type(v)(v.at + shift, f"n{v.session}", v.channel, v.device) for v in after]
    worker = one_worker(events(rng, [*before, *moved]))
    observed, expected = worker.observed("view"), worker.expected("view")
    assert observed == pytest.approx(expected, abs=4 * expected**0.5)
    assert expected < 0.4 * 20 * 600  # the mean rate of both would be 0.45


def test_a_fall_is_missed_conversions(healthy: list[Event]) -> None:
    rng = random.Random(3)
    fallen = events(rng, visits(rng, 600, 20), fault=(START, "buy", 0.4))
    worker = one_worker(fallen)
    assert worker.observed("view") == pytest.approx(worker.expected("view"), rel=0.05)
    assert worker.observed("cart") / worker.expected("cart") < 0.45


def test_workers_that_hand_partitions_over_expect_the_same(healthy: list[Event]) -> None:
    """Three workers; every partition changes hands at random, and now and then one of them is killed: its memory is gone, what is
    durable stays. Together they expect what one without interruption does."""
    alone = one_worker(healthy)
    stores: dict[int, dict[str, bytes]] = {}
    workers = [Worker(funnel(), stores) for _ in range(3)]
    gone: list[Worker] = []
    owner = dict.fromkeys(range(PARTITIONS), 0)
    rng, moves = random.Random(8), 0
    for number, chunk in chunks(random.Random(1), healthy, PARTITIONS):
        if rng.random() < 0.2:
            workers[owner[number]].leave(number)
            owner[number] = (owner[number] + rng.randint(1, 2)) % 3
            moves += 1
        if rng.random() < 0.05:
            victim = rng.randrange(3)
            gone.append(workers[victim])
            workers[victim] = Worker(funnel(), stores)
            moves += 1
        workers[owner[number]].follow(number, chunk)
    assert moves > 20
    for level in ("view", "cart"):
        for segment in SEGMENTS:
            shared = sum(worker.expected(level, segment) for worker in [*workers, *gone])
            assert shared == pytest.approx(alone.expected(level, segment), rel=0.01), (level, segment)
            assert sum(worker.observed(level, segment) for worker in [*workers, *gone]) == alone.observed(
                level, segment
            )


def test_without_history_nothing_is_expected_and_that_is_said(healthy: list[Event]) -> None:
    worker = Worker(funnel(), {}, seeded=False)
    for number, chunk in chunks(random.Random(1), healthy[:2_000], PARTITIONS):
        worker.follow(number, chunk)
    assert worker.expected("view") == 0
    assert worker.observed("view") > 0
    said = {
        (sample.name, sample.labels["funnel_stage"]): sample.value
        for family in worker.counters.families()
        for sample in family.samples
        if sample.name == "funnel_expectation_learning"
    }
    assert said == {("funnel_expectation_learning", "view"): 1, ("funnel_expectation_learning", "cart"): 1}


def test_a_stage_that_is_learned_while_the_worker_runs_is_expected_from_then_on(healthy: list[Event]) -> None:
    worker, seeded = Worker(funnel(), {}, seeded=False), Worker(funnel(), {})
    half = len(healthy) // 2
    for number, chunk in chunks(random.Random(1), healthy[:half], 1):
        worker.follow(number, chunk)
    for baseline in seeded.counters.baselines.by_level.values():
        assert baseline.learned is not None
        worker.counters.baselines.learn(baseline.learned, "UTC", START)
    before = worker.observed("view")
    for number, chunk in chunks(random.Random(1), healthy[half:], 1):
        worker.follow(number, [(half + offset, event) for offset, event in chunk])
    seen = worker.observed("view") - before
    assert 0.85 * seen < worker.expected("view") < 1.02 * seen  # who came before is not expected: no false fall
