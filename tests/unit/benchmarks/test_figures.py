"""Figures are medians of rounds with their spread; ratios are taken within a round; who could not run is named."""

from pathlib import Path

import msgspec
import pytest

from benchmarks import contestants, figures, report
from benchmarks.contestants import CONTESTANTS, Installed, installed
from benchmarks.full import FullRun, SinkRun
from benchmarks.product import Run
from benchmarks.rounds import Runs

FAST = [Run(1_000, cpu, 2.0, 0.5, 104_857_600, 230_000, 170_000) for cpu in (0.1, 0.2, 0.4)]
SLOW = [Run(100, cpu, 2.0, 0.5, 52_428_800, 9_000, 7_000) for cpu in (0.1, 0.4, 0.2)]
SINK = SinkRun(rows=2_000, cpu=0.01, clickhouse_cpu=0.02, wall=4.0, peak_rss=104_857_600)


def test_figures_are_medians_and_the_ratio_is_taken_round_by_round() -> None:
    named = {each.name: each for each in figures.of_runs("product_dense", FAST)}
    assert named["product_dense_events_per_cpu_second"].value == 5_000.0
    assert named["product_dense_cpu_per_event"] == figures.Figure(
        "product_dense_cpu_per_event", 200.0, "us", (100.0, 400.0)
    )
    assert named["product_dense_peak_rss"].value == 100.0
    assert named["product_dense_written_per_event"].value == 400.0
    ratio = figures.ratio("dense_product_to_faust", FAST, SLOW)
    assert (ratio.value, ratio.spread) == (10.0, (5.0, 20.0))
    assert msgspec.json.decode(figures.as_json([ratio])) == {
        "dense_product_to_faust": {"value": 10.0, "unit": "times", "spread": [5.0, 20.0]}
    }


def test_the_sinks_cost_is_told_by_row() -> None:
    named = {each.name: (each.value, each.unit) for each in figures.of_sink([SINK])}
    assert named == {
        "sink_rows": (2_000, "rows"),
        "sink_rows_per_second": (500.0, "rows/s"),
        "sink_rows_per_cpu_second": (200_000.0, "rows/s"),
        "sink_cpu_per_row": (5.0, "us"),
        "sink_clickhouse_cpu_per_row": (10.0, "us"),
        "sink_peak_rss": (100.0, "MiB"),
    }


def runs(*names: str) -> Runs:
    made = Runs()
    made.workers = {name: FAST if name.startswith("product") else SLOW for name in names}
    made.full = [FullRun(run, SINK) for run in FAST]
    return made


def test_there_is_a_ratio_for_each_framework_that_ran() -> None:
    named = {each.name: each.value for each in runs("product_dense", "faust_dense", "quix_dense").figures()}
    assert named["dense_product_to_faust"] == named["dense_product_to_quix"] == 10.0
    assert "dense_product_to_bytewax" not in named
    assert named["product_full_dense_events_per_cpu_second"] == 5_000.0


def test_a_framework_that_is_not_installed_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    missing = Installed(None, "left out: no wheel")
    monkeypatch.setattr(report, "installed", lambda _: missing)
    document = report.document(runs("product_dense", "faust_dense", "quix_dense").figures(), [("date", "today")], 3)
    assert "| bytewax, dense | left out: no wheel |  |  |  |  |  |\n" in document
    assert "| quixstreams, dense | 100 | 500 | 50 | 50 | 160 | 10.0 (5.0 … 20.0) |\n" in document
    assert "| **funnelwatch**, dense | 1,000 | 5,000 | 500 | 100 | 400 |  |\n" in document
    assert "- rounds: 3\n" in document
    assert "| `dense_product_to_quix` | 10 | times | 5 … 20 |\n" in document


def test_a_package_is_looked_for_where_it_was_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(contestants, "ENVIRONMENT", tmp_path / "none")
    installed.cache_clear()
    try:
        here = installed("faust-streaming")
        assert here.python is not None
        assert here.versions.startswith("0.15.3, aiokafka ")
    finally:
        installed.cache_clear()
    assert [other.name for other in CONTESTANTS] == ["faust", "quix", "bytewax"]
