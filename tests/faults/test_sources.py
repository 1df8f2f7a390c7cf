"""What sources do to a monitor: fall silent, run at different speeds, send what can't be read, grow without bound."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
import pytest

from schemas.event import HEARTBEAT
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import KeyValue
from tests.e2e.oracle import difference, stored_rows
from tests.e2e.stack import Site, Stack
from tests.faults.flow import answer, records
from tests.stream.shop import FUNNELS

COUNT = 3_000


@pytest.mark.parametrize("speed", [1, 4])
def test_two_sources_at_different_speeds_make_nothing_late(
    speed: int, tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    """Half of the events lie in each; one is `speed` times as far ahead all the time; a partition of each has nothing at all."""
    site = Site(
        funnels=FUNNELS, sources={"web": 'idle_after = "1h"', "app": 'idle_after = "1h"'}, source_partitions=2, partitions=2,
        chunk_records=200,
    )  # fmt: skip
    every, wanted = records(5, COUNT), answer(5, COUNT)
    halves = {"web": every[::2], "app": every[1::2]}
    with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, site) as stack:
        worker, sink = stack.start_both()
        done = {"web": 0, "app": 0}
        while any(done[name] < len(half) for name, half in halves.items()):
            for name, half in halves.items():
                step = 100 * (speed if name == "web" else 1)
                part: list[KeyValue] = [(None, value) for _, value in half[done[name] : done[name] + step]]
                if part:
                    stack.send(name, 0, part)
                done[name] += step
        end = msgspec.json.encode({"event": HEARTBEAT, "timestamp": wanted.horizon})
        for name in halves:
            stack.send_all(name, {0: [(None, end)], 1: [(None, end)]})
        stack.until_stored(worker, sink)
        assert_equal(stack, wanted.rows)
        assert late(stack) == 0


def assert_equal(stack: Stack, wanted: object) -> None:
    """Rows of ClickHouse against those of batch."""
    client = stack.client()
    try:
        assert difference(stored_rows(client), wanted) == ""  # type: ignore[arg-type]
    finally:
        client.close()


def late(stack: Stack) -> int:
    """Events that came too late, over all funnels."""
    client = stack.client()
    try:
        return int(client.query("SELECT sum(late) FROM progress_v").result_rows[0][0])
    finally:
        client.close()


def test_poison_and_oversized_units_stop_nobody(
    tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    """Bytes that are no JSON, JSON that is no event, a megabyte, a thousand brackets; and one visitor with thousands of events at once."""
    site = Site(funnels=FUNNELS, sources={"clicks": 'idle_after = "2s"'}, source_partitions=1, partitions=2)
    now = int(time.time() * 1000) - 60_000
    poison = [
        b"\xff\xfe\x00",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"[" * 1000,
        b'{"event":1}',
        b"x" * 1_200_000,
        b'{"event":"a","timestamp":1e400}',
    ]
    bot = [
        msgspec.json.encode({
            "event": "page_view", "event_id": f"e{number}", "timestamp": now + number, "visitor_id": "v", "session_id": "s",
            "url": "https://shop.example/" + "x" * 300,
        })
        for number in range(4_000)
    ]  # fmt: skip
    after = msgspec.json.encode({"event": "page_view", "timestamp": now + 5_000, "visitor_id": "w", "session_id": "t"})
    with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, site) as stack:
        worker, sink = stack.start_both()
        mixed: list[KeyValue] = [
            (b"k", value) for pair in zip(poison, bot[: len(poison)], strict=True) for value in pair
        ]
        stack.send("clicks", 0, [*mixed, *((b"k", value) for value in bot[len(poison) :]), (None, after)])
        stack.until_stored(worker, sink)
        client = stack.client()
        try:
            letters = client.query("SELECT reason, hex(payload) FROM dead_letters_v").result_rows
            units = client.query("SELECT uniqExact(unit_id) FROM transitions_v WHERE funnel = 'purchase'").result_rows
        finally:
            client.close()
        assert sorted(payload for _, payload in letters) == sorted(value.hex().upper() for value in poison)
        assert units == [(2,)]
        assert worker.stop() == 0
        assert sink.stop() == 0
