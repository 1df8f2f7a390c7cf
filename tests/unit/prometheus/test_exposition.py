"""What Prometheus reads: valid in both formats, whatever the values hold, and named by its rules."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from schemas import metrics
from schemas.annotation import Annotation
from schemas.expectation.curve import learn_curve
from schemas.expectation.learned import Counts, LearnedStep
from schemas.funnel import Funnel
from schemas.metrics import METRICS, Metric, Type
from schemas.reasons import Outcome, Reason
from schemas.rows import Row
from sinks.prometheus.collector import registry
from sinks.prometheus.counters import FunnelCounters, Tally
from sinks.prometheus.health import WorkerHealth
from sinks.prometheus.labels import LabelPolicy
from sinks.prometheus.reference import markdown

HOSTILE = (
    'say "hi"',
    "back\\slash",
    "line\nbreak",
    "nul\x00",
    "<b>&amp;",
    "} 1\nfunnel_fake_total 7",
    "\ud83d",
    "é×漢",
    " ",
)


@pytest.fixture
def full(shop: Funnel, row: Callable[..., Row]) -> CollectorRegistry:
    """A worker that has seen everything, with hostile values in every label that comes from outside."""
    counters = FunnelCounters([shop], LabelPolicy(crosses=(("channel", "device"),)), 'ex"ample\n')
    rows = [
        row(kind=kind, stage=3, reached=15, entry_dims=(text, text), duration=61_000, value=value, currency=text,
            outcome="excluded" if kind == "end" else "", from_stage=text, to_stage="buy", direction="back")
        for text in HOSTILE
        for kind, value in (("enter", 10**9), ("end", None), ("move", None), ("refund", -1))
    ]  # fmt: skip
    for baseline in counters.baselines.by_level.values():
        curve = learn_curve({0: 1}, counters.baselines.unit, 60)
        learned = LearnedStep(baseline.step.fingerprint, 0, 1, 1, Counts(2, 1), curve)
        assert counters.baselines.learn(learned, "UTC", 1_700_000_000_000)
    counters.count(Tally(rows))
    counters.count(Tally([msgspec.structs.replace(r, is_deleted=1) for r in rows]))
    health = WorkerHealth("example", ["shop"], ["clicks"], ["transitions"], "0.1.0")
    for text in HOSTILE:
        health.count_dead_letters(text, {Reason.BAD_TEXT: 1})
    health.count_events("shop", {Outcome.MATCHED: 3})
    health.annotations = lambda: [Annotation(text, 1_500) for text in HOSTILE]
    health.observe_chunk(100, [5, 50])
    health.observe_event_lags("clicks", [7])
    health.set_watermark("units", 0, 1_700_000_000_123)
    health.set_consumer_lag("units", 0, 4)
    health.set_recovery(2_600)
    own = registry(counters, health)
    list(own.collect())
    return own


def samples(families: object) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in families  # type: ignore[attr-defined]
        for sample in family.samples
    }


def test_both_formats_read_back_as_they_were_counted(full: CollectorRegistry) -> None:
    counted = samples(full.collect())
    assert samples(parse_text(generate_latest(full).decode())) == counted
    openmetrics, _ = choose_encoder("application/openmetrics-text")
    read_back = parse_openmetrics(openmetrics(full).decode())  # type: ignore[no-untyped-call]
    assert samples(read_back) == counted
    assert not any(name.startswith("funnel_fake") for name, _ in counted)
    values = {value for _, labels in counted for _, value in labels}
    assert {
        'say "hi"',
        "back\\slash",
        "line\ufffdbreak",
        "nul\ufffd",
        "<b>&amp;",
        "} 1\ufffdfunnel_fake_total 7",
    } <= values


def test_every_exported_metric_is_there_with_its_labels_and_no_other(full: CollectorRegistry) -> None:
    by_name = {metric.name: metric for metric in METRICS}
    seen: set[str] = set()
    for name, labels in samples(full.collect()):
        family = name if name in by_name else re.sub("_(bucket|count|sum)$", "", name)
        metric = by_name[family]
        own = {label for label, _ in labels} - {"le"}
        if family in ("funnel_retracted_total", "funnel_retracted_value_total"):
            assert own <= set(metric.labels)
        else:
            assert own == set(metric.labels)
        seen.add(family)
    assert seen == {metric.name for metric in METRICS if metric.exported}


def test_integers_become_base_units(full: CollectorRegistry) -> None:
    found = samples(full.collect())
    labels = frozenset({("funnel_site", "example"), ("log", "units"), ("partition", "0")})
    assert found["funnel_watermark_timestamp_seconds", labels] == 1_700_000_000.123
    assert found["funnel_recovery_seconds", frozenset({("funnel_site", "example")})] == 2.6


def test_promtool_accepts_the_page(full: CollectorRegistry) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed: the naming rules are checked by test_names_follow_prometheus_rules")
    page = generate_latest(full)
    run = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True, timeout=60, check=False)
    assert (run.returncode, run.stdout.decode(), run.stderr.decode()) == (0, "", "")


# Prometheus' promlint, rule by rule.
UNIT_ABBREVIATIONS = {"s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d"}
NOT_BASE_UNITS = {"milliseconds", "minutes", "hours", "days", "weeks", "kilobytes", "bits", "percent", "microseconds"}


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.name)
def test_names_follow_prometheus_rules(metric: Metric) -> None:
    words = metric.name.split("_")
    assert re.fullmatch("funnel(_[a-z]+)+", metric.name)
    assert metric.name.endswith("_total") == (metric.type is Type.COUNTER)
    assert not metric.name.endswith(("_count", "_sum", "_bucket", "_info_total"))
    assert not any(kind in metric.name for kind in ("counter", "gauge", "histogram", "summary"))
    assert not UNIT_ABBREVIATIONS & set(words)
    assert not NOT_BASE_UNITS & set(words)
    assert metric.help.endswith(".")
    assert "\n" not in metric.help
    assert metric.labels[0] == "funnel_site"
    assert not {"le", "quantile", "job", "instance", "stage", "site"} & set(metric.labels)
    assert len(set(metric.labels)) == len(metric.labels)
    assert list(metric.buckets) == sorted(set(metric.buckets))
    assert bool(metric.buckets) == (metric.type is Type.HISTOGRAM)


def test_the_names_that_rules_and_dashboards_rely_on() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS) == 38
    declared = {value.name for value in vars(metrics).values() if isinstance(value, Metric)}
    assert declared == {metric.name for metric in METRICS}
    assert [metric.name for metric in METRICS if not metric.exported] == []
    assert metrics.STAGE_DURATION.buckets[0] == 1_000
    assert metrics.STAGE_DURATION.buckets[-1] == 7 * 86_400_000


def test_the_reference_is_what_the_schema_says() -> None:
    page = Path(__file__).parents[3] / "docs" / "metrics.md"
    assert page.read_text(encoding="utf-8") == markdown(), "run: python -m sinks.prometheus.reference > docs/metrics.md"
