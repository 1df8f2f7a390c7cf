"""A small share of the long runs (`make soak`, `make overload`): seconds instead of an hour."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.soak import __main__ as soak
from benchmarks.soak import overload
from benchmarks.soak.scene import Scene, scene
from sinks.embedded.clickhouse import EmbeddedClickHouse
from tests.faults.broker import ProxiedKafka


@pytest.fixture
def on(tmp_path: Path, kafka: ProxiedKafka, clickhouse: EmbeddedClickHouse, database: str) -> Iterator[Scene]:
    """Two workers and the sink."""
    with scene(tmp_path, kafka, clickhouse, database) as running:
        yield running


def test_nothing_is_lost_by_steady_load_nor_by_overload(on: Scene) -> None:
    steady = soak.run(on, rate=400.0, seconds=6.0, rebalances=1)
    assert steady.lost == steady.late == 0
    assert steady.events == pytest.approx(2_400, abs=100)
    assert all(grown.last == pytest.approx(grown.first, rel=0.2) for grown in steady.series.values())
    for inside in steady.inside.values():
        assert inside["acked"].last < 50
        assert inside["blocks"].last > 100_000  # the worker tells of itself

    too_much = overload.run(on, rate=2_000.0, seconds=3.0, times=4.0, probe=1.0)
    assert too_much.lost == too_much.late == 0
    assert too_much.worked < too_much.rate / 2  # a lag came
    assert too_much.lag_told > 1_000
    assert too_much.bounded
