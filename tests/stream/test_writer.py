"""What the batch writer puts on records."""

from __future__ import annotations

import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from schemas.errors import SinkError
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import BatchWriter
from tests.e2e.stack import Stack
from tests.stream.shop import SITE

DAY = 86_400_000


async def test_records_of_old_events_are_not_older_to_kafka_than_its_retention(
    tmp_path: Path, broker: EmbeddedKafka
) -> None:
    """A worker that begins with a month of history would have its logs deleted before it or the sink reads them."""
    stack = Stack(tmp_path, broker.bootstrap_servers, "http://127.0.0.1:1", "nowhere", SITE)
    now, topic = int(time.time() * 1000), stack.topic("clicks")
    writer = BatchWriter(stack.settings.kafka)
    await writer.start()
    try:
        await writer.write(topic, 0, [(None, b"a month old")], now - 30 * DAY)
        await writer.write(topic, 0, [(None, b"a minute old")], now - 60_000)
    finally:
        await writer.stop()
    old, recent = stack.read_topic(topic)
    assert now - DAY <= old.timestamp <= now + DAY
    assert recent.timestamp == now - 60_000  # latency is measured from it


async def test_a_clock_that_is_hours_ahead_is_named_as_the_cause(
    tmp_path: Path, broker: EmbeddedKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(tmp_path, broker.bootstrap_servers, "http://127.0.0.1:1", "nowhere", SITE)
    topic = stack.topic("clicks")
    writer = BatchWriter(stack.settings.kafka)
    await writer.start()
    try:
        ahead = time.time() + 3 * 3600
        monkeypatch.setattr("sinks.kafka.time", SimpleNamespace(time=lambda: ahead))
        with pytest.raises(SinkError, match="if this machine's clock is ahead, set it"):
            await writer.write(topic, 0, [(None, b"of the future")])
    finally:
        await writer.stop()
