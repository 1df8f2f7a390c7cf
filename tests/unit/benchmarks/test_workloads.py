"""The benchmarks' events are fixed, and what a plain count makes of them is what the engine finds."""

from collections import Counter, defaultdict
from pathlib import Path

import msgspec
import pytest

from benchmarks import engine, figures
from benchmarks.definitions import load
from benchmarks.product import Run
from benchmarks.workloads import PARTITIONS, START, Workload, dense, realistic
from schemas.decode import DecodeOptions, Format, decoder
from schemas.event import Event
from schemas.funnel import Unit
from schemas.rows import End, Kind
from streams.engine.match import CompiledFunnel
from streams.engine.partition import Partition


def test_the_same_events_come_each_time_and_a_longer_stream_begins_with_a_shorter_one() -> None:
    assert dense(2_000).first(500).steps == dense(500).steps
    key, value = next(dense(10).records(0))
    assert (key, value) == (
        b"s000000000000",
        b'{"event_id":"s0000000000000000","event":"product_view","timestamp":%d,"session_id":"s000000000000"}' % START,
    )


def test_all_dense_events_are_stages_and_a_fifth_of_the_realistic_ones() -> None:
    shares = {}
    for workload in (dense(20_000), realistic(100_000)):
        stages = {stage for walk in workload.walks for stage in walk.stages}
        shares[workload.name] = sum(step.event in stages for step in workload.steps) / len(workload.steps)
    assert shares["dense"] == 1.0
    assert shares["realistic"] == pytest.approx(0.2, abs=0.01)


def test_realistic_events_have_twelve_fields_and_about_400_bytes() -> None:
    values = [value for _, value in realistic(2_000).records(1)]
    assert {len(msgspec.json.decode(value)) for value in values} >= {12}
    assert 380 < sum(map(len, values)) / len(values) < 450


def slow(workload: Workload, factor: int) -> Workload:
    """The same events, with `factor` times as much time between sessions' beginnings: attempts run out."""
    begins = {step.session: step.ts for step in reversed(workload.steps)}
    steps = [
        msgspec.structs.replace(step, ts=step.ts + (begins[step.session] - START) * (factor - 1))
        for step in workload.steps
    ]
    steps.sort(key=lambda step: (step.ts, step.session, step.number))
    return msgspec.structs.replace(workload, steps=steps)


@pytest.mark.parametrize("workload", [slow(dense(6_000), 300), slow(realistic(6_000), 300)], ids=["dense", "realistic"])
def test_the_plain_count_is_what_the_engine_finds(workload: Workload, tmp_path: Path) -> None:
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


def test_a_walk_out_of_order_is_refused() -> None:
    workload = dense(20_000)
    with pytest.raises(AssertionError, match="does not walk in order"):
        msgspec.structs.replace(workload, steps=workload.steps[::-1]).expected()


def test_the_engine_benchmark_measures_each_part() -> None:
    costs = engine.costs(dense(24_000))
    assert [cost.part for cost in costs] == ["decode", "match", "event", "finish", "rows", "counters"]
    assert all(cost.per_event > 0 for cost in costs)


def test_figures_are_medians_and_the_ratio_is_taken_round_by_round() -> None:
    fast = [Run(1_000, cpu, 2.0, 0.5, 104_857_600, 230_000, 170_000) for cpu in (0.1, 0.2, 0.4)]
    faust = [Run(100, cpu, 2.0, 0.5, 52_428_800, 9_000, 7_000) for cpu in (0.1, 0.4, 0.2)]
    named = {each.name: each for each in figures.of_runs("product_dense", fast)}
    assert named["product_dense_events_per_cpu_second"].value == 5_000.0
    assert named["product_dense_cpu_per_event"] == figures.Figure(
        "product_dense_cpu_per_event", 200.0, "us", (100.0, 400.0)
    )
    assert named["product_dense_peak_rss"].value == 100.0
    assert named["product_dense_state_per_event"].value == 170.0
    assert figures.ratio(fast, faust).value == 10.0
    assert figures.ratio(fast, faust).spread == (5.0, 20.0)
    assert msgspec.json.decode(figures.as_json([figures.ratio(fast, faust)])) == {
        "dense_product_to_faust": {"value": 10.0, "unit": "times", "spread": [5.0, 20.0]}
    }
