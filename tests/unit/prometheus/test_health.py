"""The worker's own metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import pytest

from schemas.reasons import Outcome, Reason
from sinks.prometheus.health import WorkerHealth

Read = Callable[[Iterable[Any]], dict[tuple[str, frozenset[tuple[str, str]]], float]]


@pytest.fixture
def health() -> WorkerHealth:
    return WorkerHealth("example", ["shop", "leads"], ["clicks"], ["transitions", "events"], "0.1.0", lambda: 0)


def key(name: str, **labels: str) -> tuple[str, frozenset[tuple[str, str]]]:
    return name, frozenset({"funnel_site": "example", **labels}.items())


def test_known_names_stand_at_0(health: WorkerHealth, read: Read) -> None:
    found = read(health.families())
    assert all(found[key("funnel_events_total", funnel=f, outcome=o)] == 0 for f in ("shop", "leads") for o in Outcome)
    assert all(found[key("funnel_dead_letters_total", source="clicks", reason=r)] == 0 for r in Reason)
    for name in ("rows", "errors", "retries"):
        assert found[key(f"funnel_sink_{name}_total", table="events")] == 0
    assert found[key("funnel_rebalances_total")] == 0
    assert found[key("funnel_attempts_open", funnel="leads")] == 0


def test_counts_and_latencies(health: WorkerHealth, read: Read) -> None:
    read(health.families())
    health.count_events("shop", {Outcome.MATCHED: 7, Outcome.LATE: 2})
    health.count_dead_letters("clicks", {Reason.BAD_ID: 3})
    health.count_sink_rows("events", 500, [100, 101])
    health.count_sink_error("events")
    health.count_sink_retry("events")
    health.count_rebalance()
    health.observe_event_lags("clicks", [-5_000, 400])
    health.observe_chunk(1_000, [20, 30])
    found = read(health.families())
    assert found[key("funnel_events_total", funnel="shop", outcome="late")] == 2
    assert found[key("funnel_dead_letters_total", source="clicks", reason="bad_id")] == 3
    assert found[key("funnel_sink_rows_total", table="events")] == 500
    assert found[key("funnel_sink_batch_rows_bucket", table="events", le="100.0")] == 0
    assert found[key("funnel_sink_batch_rows_bucket", table="events", le="1000.0")] == 1
    assert found[key("funnel_sink_errors_total", table="events")] == 1
    assert found[key("funnel_sink_retries_total", table="events")] == 1
    assert found[key("funnel_rebalances_total")] == 1
    assert found[key("funnel_sink_latency_seconds_bucket", table="events", le="0.1")] == 1
    assert found[key("funnel_sink_latency_seconds_bucket", table="events", le="+Inf")] == 2
    assert found[key("funnel_event_lag_seconds_sum", source="clicks")] == 0.4
    assert found[key("funnel_chunk_records_bucket", le="1000.0")] == 1
    assert found[key("funnel_counting_latency_seconds_sum")] == 0.05


def test_gauges_are_asked_when_scraped(health: WorkerHealth, read: Read) -> None:
    open_now = {"shop": 4}
    health.attempts_open = lambda: open_now
    health.state_units = lambda: 9
    health.sink_queue_age = lambda: 1_500
    assert read(health.families())[key("funnel_attempts_open", funnel="shop")] == 4
    open_now["shop"] = 3
    found = read(health.families())
    assert found[key("funnel_attempts_open", funnel="shop")] == 3
    assert found[key("funnel_attempts_open", funnel="leads")] == 0
    assert found[key("funnel_state_units")] == 9
    assert found[key("funnel_sink_queue_age_seconds")] == 1.5


def test_a_revoked_partition_takes_its_gauges_along(health: WorkerHealth, read: Read) -> None:
    for partition in (0, 1):
        health.set_watermark("units", partition, 5_000)
        health.set_consumer_lag("units", partition, 10)
    health.forget_partition("units", 0)
    health.forget_partition("units", 7)
    found = read(health.families())
    assert found[key("funnel_watermark_timestamp_seconds", log="units", partition="1")] == 5.0
    assert found[key("funnel_consumer_lag_records", topic="units", partition="1")] == 10
    assert key("funnel_watermark_timestamp_seconds", log="units", partition="0") not in found
    assert key("funnel_consumer_lag_records", topic="units", partition="0") not in found
