"""What sources do to a monitor: get more partitions, send units that outgrow a topic."""

from __future__ import annotations

import time
from pathlib import Path

import msgspec
from kafka import KafkaAdminClient
from kafka.admin import ConfigResource, ConfigResourceType

from schemas.decode import DecodeOptions, decoder
from schemas.definitions import load_funnels
from schemas.funnel import Unit
from schemas.topics import state_log, transitions
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from tests.e2e.oracle import difference, expected, stored_rows
from tests.e2e.stack import Stack
from tests.faults.flow import SITE, Flow, records
from tests.stream.shop import FUNNELS, MONDAY


def test_a_partition_that_is_added_to_a_keyed_source_ends_the_worker_before_it_is_read(
    tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    flow = Flow(3, count=200, parts=1)
    with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, SITE) as stack:
        worker = stack.start("worker", variables={"FWFAUST_CONSUMER_METADATA_MAX_AGE_MS": "1000"})  # else 5 minutes
        flow.send(stack, 0)
        stack.until_followed(worker)
        before = stack.read_topic(transitions(stack.prefix))
        admin = KafkaAdminClient(bootstrap_servers=stack.servers)
        admin.create_partitions({stack.topic("clicks"): SITE.source_partitions + 1})
        admin.close()
        event = msgspec.json.encode({"event": "page_view", "timestamp": MONDAY, "session_id": "s", "visitor_id": "v"})
        stack.send("clicks", SITE.source_partitions, [(b"s", event)])
        assert worker.wait(60) == 2
        assert "has 5 partitions, but the state of its sessions was begun with 4" in worker.text()
        assert stack.read_topic(transitions(stack.prefix)) == before


def test_a_unit_that_outgrows_its_topic_loses_nothing(
    tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    """The state of a bot is larger than what the topic takes: the worker says so, and goes on once the limit is raised."""
    flow = Flow(3, count=500, parts=1)
    bot = [
        msgspec.json.encode({
            "event": "view_item", "event_id": f"{number:0200}", "timestamp": MONDAY + number, "visitor_id": "bot", "session_id": "bot",
        })
        for number in range(200)
    ]  # fmt: skip
    now = int(time.time() * 1000)
    decode = decoder(DecodeOptions())
    wanted = expected(
        load_funnels(FUNNELS), [*bot, *(value for _, value in records(3, 500))], lambda data: decode(data, now)
    ).rows
    with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, SITE) as stack:
        small = {"FUNNELWATCH_KAFKA_BATCH_BYTES": "10000"}
        worker, sink = stack.start("worker", variables=small), stack.start("sink")
        limit(stack, 20_000)
        stack.send("clicks", 0, [(b"bot", value) for value in bot])
        assert worker.wait(60) == 1
        topic = state_log(stack.prefix, Unit.SESSION)
        assert (
            f"a batch for {topic}, partition 0, is larger than the topic takes; raise its max.message.bytes"
            in worker.text()
        )
        limit(stack, 1_000_000)
        worker = stack.start("worker", variables=small)
        flow.send(stack, 0)
        stack.until_stored(worker, sink)
        client = stack.client()
        try:
            assert difference(stored_rows(client), wanted) == ""
        finally:
            client.close()


def limit(stack: Stack, size: int) -> None:
    """The most that the topic of the sessions' state takes in one batch, bytes."""
    topic = ConfigResource(
        ConfigResourceType.TOPIC, state_log(stack.prefix, Unit.SESSION), {"max.message.bytes": str(size)}
    )
    admin = KafkaAdminClient(bootstrap_servers=stack.servers)
    try:
        admin.alter_configs([topic])
    finally:
        admin.close()
