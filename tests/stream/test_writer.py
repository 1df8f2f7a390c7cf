"""What the batch writer puts on records."""

from __future__ import annotations

import time
from pathlib import Path

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
