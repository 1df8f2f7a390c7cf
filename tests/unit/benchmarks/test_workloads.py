"""The benchmarks' events are fixed, and what a plain count makes of them is what the engine finds."""

from collections import Counter, defaultdict
from itertools import islice
from pathlib import Path

import msgspec
import pytest

from benchmarks import engine
from benchmarks.definitions import load
from benchmarks.oracle import Expected, Step, WrongCounts
from benchmarks.workloads import PARTITIONS, RATE, START, Workload, dense, gap, realistic, rekeyed
from schemas.decode import DecodeOptions, Format, decoder
from schemas.event import Event
from schemas.funnel import Unit
from schemas.rows import End, Kind
from streams.engine.match import CompiledFunnel
from streams.engine.partition import Partition


def test_the_same_events_come_each_time_and_a_longer_stream_begins_with_a_shorter_one() -> None:
    assert list(islice(dense(2_000).steps(), 500)) == list(dense(500).steps())
    assert dense(2_000).first(500) == dense(500)
    key, value = next(dense(10).records(0))
    assert (key, value) == (
        b"s000000000000",
        b'{"event_id":"s0000000000000000","event":"product_view","timestamp":%d,"session_id":"s000000000000"}' % START,
    )


def test_events_come_in_the_order_of_their_times() -> None:
    for workload in (dense(5_000), realistic(5_000), gap(5_000)):
        times = [step.ts for step in workload.steps()]
        assert len(times) == 5_000
        assert times == sorted(times)


def test_all_dense_events_are_stages_and_a_fifth_of_the_realistic_ones() -> None:
    shares = {}
    for workload in (dense(20_000), realistic(100_000)):
        stages = {stage for walk in workload.walks for stage in walk.stages}
        shares[workload.name] = sum(step.event in stages for step in workload.steps()) / workload.count
    assert shares["dense"] == 1.0
    assert shares["realistic"] == pytest.approx(0.2, abs=0.01)


def test_realistic_events_have_twelve_fields_and_about_400_bytes() -> None:
    values = [value for _, value in realistic(2_000).records(1)]
    assert {len(msgspec.json.decode(value)) for value in values} >= {12}
    assert 380 < sum(map(len, values)) / len(values) < 450


def test_gap_events_have_no_session_and_rekeyed_ones_another_key_than_their_session() -> None:
    for key, value in gap(200).records(2):
        event = msgspec.json.decode(value)
        assert "session_id" not in event
        assert event["visitor_id"] == key.decode()
    partitions = defaultdict(set)
    for number in range(PARTITIONS):
        for key, value in rekeyed(2_000).records(number):
            event = msgspec.json.decode(value)
            assert event["visitor_id"] == key.decode() != event["session_id"]
            partitions[event["session_id"]].add(number)
    assert {len(numbers) for numbers in partitions.values()} == {1}


def slow(workload: Workload, factor: int) -> Workload:
    """The same sessions, with `factor` times as much time between their beginnings: attempts run out."""
    return msgspec.structs.replace(workload, rate=RATE / factor)


@pytest.mark.parametrize(
    "workload", [slow(dense(6_000), 300), slow(realistic(6_000), 300), slow(gap(6_000), 300)], ids=["dense", "realistic", "gap"]
)  # fmt: skip
def test_the_plain_count_is_what_the_engine_finds(workload: Workload, tmp_path: Path) -> None:
    workload = msgspec.structs.replace(workload, direct=True)  # the engine alone: each partition has its own clock
    expected = workload.expected()
    assert sum(expected.dropped.values()) > 100
    funnels = load(workload.walks, workload.dimensions, tmp_path)
    decode = decoder(DecodeOptions(format=Format.AUTO))
    entered: Counter[tuple[str, str]] = Counter()
    ends: defaultdict[str, Counter[str]] = defaultdict(Counter)
    revenue = 0
    for number in range(PARTITIONS):
        partition = Partition("log", number, Unit.SESSION, [CompiledFunnel(funnel) for funnel in funnels], {})
        events: list[Event] = [decode(value, 1 << 42) for _, value in workload.records(number)]
        for offset, event in enumerate(events):
            partition.event(offset, event)
        for row in partition.finish().rows:
            if row.kind == Kind.ENTER.value:
                entered[row.funnel, row.to_stage] += 1
                revenue += row.value or 0
            elif row.kind == Kind.END.value:
                ends[row.funnel]["converted" if row.outcome == End.CONVERTED.value else "dropped"] += 1
    assert dict(entered) == expected.entered
    assert {name: counts["converted"] for name, counts in ends.items()} == expected.converted
    assert {name: counts["dropped"] for name, counts in ends.items()} == expected.dropped
    assert revenue == expected.revenue


def test_a_pause_above_the_gap_cuts_a_visitors_session() -> None:
    counter = gap(1_000).counter()
    for number, (ts, event) in enumerate(
        [(0, "product_view"), (120_000, "add_to_cart"), (240_001, "product_view"), (250_000, "add_to_cart")]
    ):
        counter.add(Step(START + ts, 7, number, event))
    assert counter.expected() == Expected(
        4, {("purchase", "product_view"): 2, ("purchase", "add_to_cart"): 2}, {"purchase": 0}, {"purchase": 1}, 0
    )  # fmt: skip
    counter.add(Step(START + 430_000, 8, 0, "product_view"))  # 250,000 + gap + lateness, on another partition
    assert counter.expected().dropped == {"purchase": 1}


def test_without_a_common_clock_a_partition_waits_for_its_own_last_event() -> None:
    counter = dense(1_000).counter()
    counter.add(Step(START, 4, 0, "product_view"))
    counter.add(Step(START + 660_001, 5, 0, "product_view"))
    assert counter.expected().dropped == {"purchase": 0}
    counter.add(Step(START + 660_001, 8, 0, "product_view"))
    assert counter.expected().dropped == {"purchase": 1}
    assert counter.expected().rows == 4


def test_a_walk_out_of_order_is_refused() -> None:
    counter = dense(1_000).counter()
    counter.add(Step(START, 1, 0, "product_view"))
    with pytest.raises(WrongCounts, match="session 1 does not walk in order at checkout"):
        counter.add(Step(START + 1, 1, 1, "checkout"))
    with pytest.raises(WrongCounts, match="at add_to_cart"):
        counter.add(Step(START + 600_001, 1, 2, "add_to_cart"))


def test_the_engine_benchmark_measures_each_part() -> None:
    costs = engine.costs(dense(24_000))
    assert [cost.part for cost in costs] == ["take", "finish", "rows", "counters", "decode"]
    assert all(cost.per_event > 0 for cost in costs)
