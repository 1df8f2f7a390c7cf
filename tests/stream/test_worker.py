"""Crashes, stops, rebalances and outages while events flow: afterwards ClickHouse has what batch says, row for row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from tests.e2e.child import Child
from tests.e2e.stack import Stack, until
from tests.stream.shop import PLAIN, SITE, assert_rows, send_part

PARTS = 4


@pytest.fixture
def stack(tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str) -> Stack:
    return Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, SITE)


@pytest.fixture
def plain_stack(tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str) -> Stack:
    return Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, PLAIN)


def chunks_done(worker: Child) -> int:
    """Chunks that this process has counted."""
    lines = worker.get("/metrics")[1].splitlines()
    return next((int(float(line.split()[-1])) for line in lines if line.startswith("funnel_chunk_records_count")), 0)


def until_at_work(worker: Child, chunks: int = 3) -> None:
    """Waits until it is in the middle of what was sent."""
    worker.until(lambda: chunks_done(worker) >= chunks, f"work on {chunks} chunks")


def crash(worker: Child) -> None:
    worker.kill()


def end_in_order(worker: Child) -> None:
    assert worker.stop() == 0


@pytest.mark.parametrize("end", [crash, end_in_order], ids=["kill -9", "SIGTERM"])
def test_a_worker_that_ends_under_load_and_returns_loses_and_doubles_nothing(
    stack: Stack, end: Callable[[Child], None]
) -> None:
    with stack:
        worker, sink = stack.start_both()
        for part in range(PARTS - 1):
            send_part(stack, part, PARTS)
            until_at_work(worker)
            end(worker)
            worker = stack.start("worker")
        send_part(stack, PARTS - 1, PARTS)
        stack.until_stored(worker, sink)
        assert_rows(stack)


def test_nor_does_one_that_takes_records_without_decoding_them(plain_stack: Stack) -> None:
    test_a_worker_that_ends_under_load_and_returns_loses_and_doubles_nothing(plain_stack, crash)


@pytest.mark.parametrize("kind", ["stack", "plain_stack"])
def test_workers_that_join_and_leave_lose_and_double_nothing(kind: str, request: pytest.FixtureRequest) -> None:
    with request.getfixturevalue(kind) as stack:
        first, sink = stack.start_both()
        send_part(stack, 0, PARTS)
        until_at_work(first)
        second = stack.start("worker", "b")
        send_part(stack, 1, PARTS)
        until_at_work(second, 1)  # it has its share
        send_part(stack, 2, PARTS)
        assert first.stop() == 0  # a static member: the other takes over after the session's timeout
        send_part(stack, 3, PARTS)
        stack.until_stored(second, sink)
        assert_rows(stack)


def test_a_killed_sink_loses_and_doubles_nothing(stack: Stack) -> None:
    with stack:
        worker, sink = stack.start_both()
        send_part(stack, 0, 2)
        until_at_work(worker, 1)
        sink.kill()
        send_part(stack, 1, 2)
        sink = stack.start("sink")
        stack.until_stored(worker, sink)
        assert_rows(stack)


def test_an_outage_of_clickhouse_stops_neither_state_nor_metrics(tmp_path: Path, broker: EmbeddedKafka) -> None:
    with EmbeddedClickHouse(tmp_path / "clickhouse") as engine:
        stack = Stack(tmp_path, broker.bootstrap_servers, engine.url, "funnelwatch", SITE)
        with stack:
            worker, sink = stack.start_both()
            send_part(stack, 0, 2)
            stack.until_stored(worker, sink)
            before = chunks_done(worker)
            engine.kill()
            send_part(stack, 1, 2)
            stack.until_followed(worker)  # nothing waits for ClickHouse
            assert chunks_done(worker) > before
            assert worker.get("/readyz")[0] == 200
            sink.until(lambda: sink.get("/readyz")[0] == 503, "say that it can't write")
            assert "ClickHouse: can't" in sink.get("/readyz")[1]
            assert sink.get("/healthz")[0] == 200
            engine.start()
            stack.until_stored(worker, sink)
            sink.until_ready()
            assert_rows(stack)


def test_after_a_broker_restart_the_rows_are_complete(
    tmp_path: Path, kafka_jars: Path, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    with EmbeddedKafka(tmp_path / "kafka") as own:
        stack = Stack(tmp_path, own.bootstrap_servers, clickhouse.url, database, SITE)
        with stack:
            run = stack.start_all()
            send_part(stack, 0, 2)
            until_at_work(run)
            own.kill()
            until(lambda: not own.running, "the broker is gone")
            own.start()
            send_part(stack, 1, 2)
            stack.until_stored(run, run)
            assert_rows(stack)
            assert run.stop() == 0
