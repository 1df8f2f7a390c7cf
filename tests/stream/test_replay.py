"""Replay into a real broker."""

from collections import defaultdict
from pathlib import Path
from time import time
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from click.testing import CliRunner
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from schemas.errors import SinkError
from schemas.settings.sections import Kafka
from streams.commands.replay import replay_command
from streams.topic_sender import TopicSender
from streams.traffic import Traffic, TrafficConfig, TrafficRecord

PARTITIONS = 3
MONDAY = 1_767_571_200_000


@pytest.fixture
def topic(broker: Any) -> str:
    name = f"clicks-{uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    admin.create_topics([NewTopic(name, PARTITIONS, 1)])
    admin.close()
    return name


@pytest.fixture
def kafka(broker: Any) -> Kafka:
    return Kafka(servers=(broker.bootstrap_servers,))


@pytest.fixture
def config(tmp_path: Path, kafka: Kafka, topic: str) -> list[str]:
    path = tmp_path / "funnelwatch.toml"
    path.write_text(
        f'[kafka]\nservers = ["{kafka.servers[0]}"]\n[[sources]]\ntopic = "{topic}"\nkeyed_by = "session"\n',
    )
    return ["--config", str(path)]


@pytest.fixture
def records(tmp_path: Path) -> list[TrafficRecord]:
    """Some thousand records, also in the file `traffic.jsonl`: out of order, twice, and broken as they come."""
    traffic = Traffic(TrafficConfig(seed=5, start_ms=MONDAY, visitors_per_day=1_500, bad_share=0.05))
    made = [record for record in traffic.records(MONDAY + 8 * 3_600_000) if record.data]
    (tmp_path / "traffic.jsonl").write_bytes(b"".join(record.data + b"\n" for record in made))
    return made


def read_all(kafka: Kafka, topic: str) -> dict[int, list[Any]]:
    """All records of the topic, by partition."""
    consumer = KafkaConsumer(bootstrap_servers=list(kafka.servers), auto_offset_reset="earliest")
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    consumer.assign(partitions)
    ends = consumer.end_offsets(partitions)
    found: dict[int, list[Any]] = defaultdict(list)
    deadline = time() + 60
    while any(consumer.position(partition) < ends[partition] for partition in partitions):
        assert time() < deadline, "the records can't be read back"
        for partition, batch in consumer.poll(timeout_ms=500).items():
            found[partition.partition].extend(batch)
    consumer.close()
    return found


def test_everything_arrives_in_event_time_order_by_partition_and_ends_with_a_heartbeat(
    kafka: Kafka, topic: str, config: list[str], records: list[TrafficRecord], tmp_path: Path
) -> None:
    started = int(time() * 1000)
    result = CliRunner().invoke(replay_command, [str(tmp_path / "traffic.jsonl"), *config])
    assert result.exit_code == 0, result.output
    good = [record for record in records if record.bad is None]
    newest = max(record.ts for record in good if not record.bot)
    assert result.stdout.startswith(f"{len(good):,} events sent to {topic}, and {len(records) - len(good)} records")
    found = read_all(kafka, topic)
    assert sorted(found) == list(range(PARTITIONS))
    sent: list[tuple[bytes, int]] = []
    refused: list[bytes] = []
    for batch in found.values():
        assert msgspec.json.decode(batch[-1].value) == {"event": "$heartbeat", "timestamp": newest}
        assert batch[-1].key is None
        keyed = [record for record in batch[:-1] if record.key is not None]
        times = [msgspec.json.decode(record.value)["timestamp"] for record in keyed]
        assert times == sorted(times)
        sent += [(record.key, ts) for record, ts in zip(keyed, times, strict=True)]
        refused += [record.value for record in batch[:-1] if record.key is None]
        assert min(record.timestamp for record in batch) >= started  # sent now, whenever it happened
    assert sorted(sent) == sorted((record.key or b"", record.ts) for record in good)
    assert sorted(refused) == sorted(record.data for record in records if record.bad is not None)


def test_a_session_lies_in_one_partition(
    kafka: Kafka, topic: str, config: list[str], records: list[TrafficRecord], tmp_path: Path
) -> None:
    assert records
    assert CliRunner().invoke(replay_command, [str(tmp_path / "traffic.jsonl"), "--as-is", *config]).exit_code == 0
    homes: dict[bytes, set[int]] = defaultdict(set)
    for partition, batch in read_all(kafka, topic).items():
        for record in batch:
            if record.key is not None:
                homes[record.key].add(partition)
    assert len(homes) > 100
    assert {len(partitions) for partitions in homes.values()} == {1}


def test_a_missing_topic_is_one_clear_line(config: list[str], records: list[TrafficRecord], tmp_path: Path) -> None:
    assert records
    arguments = [str(tmp_path / "traffic.jsonl"), "--topic", "no-such-topic", *config]
    result = CliRunner().invoke(replay_command, arguments)
    assert result.exit_code == 2
    assert "topic 'no-such-topic' does not exist at 127.0.0.1:" in result.output
    assert "Traceback" not in result.output


def test_an_unreachable_broker_is_one_clear_line() -> None:
    with pytest.raises(SinkError, match=r"can't reach Kafka at 127\.0\.0\.1:1 \(Connection refused\); check \["):
        TopicSender(Kafka(servers=("127.0.0.1:1",)), "clicks")


def test_many_more_records_than_may_be_pending(kafka: Kafka, topic: str) -> None:
    with TopicSender(kafka, topic) as sender:
        for number in range(45_000):
            sender.send(b"%d" % number, b"k%d" % (number % 50))
        sender.heartbeat(MONDAY)
    found = read_all(kafka, topic)
    assert sum(len(batch) for batch in found.values()) == 45_000 + PARTITIONS
    for batch in found.values():
        numbers = [int(record.value) for record in batch[:-1]]
        assert numbers == sorted(numbers)


def test_a_record_that_is_too_large_is_one_clear_line(kafka: Kafka, topic: str) -> None:
    with TopicSender(kafka, topic) as sender, pytest.raises(SinkError, match="2,000,000 bytes is too large for topic"):
        sender.send(b"x" * 2_000_000, None)
