"""The embedded Kafka: old records stay, crashes lose nothing, nothing is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import NewTopic
from kafka.errors import KafkaError, MessageSizeTooLargeError

from schemas.errors import SinkError
from sinks.embedded import jars
from sinks.embedded.kafka import EmbeddedKafka

ROOT = Path(__file__).parents[2]
LONG_AGO = 946_684_800_000  # 2000-01-01


@pytest.fixture
def own(kafka_jars: Path, tmp_path: Path) -> Iterator[EmbeddedKafka]:
    """A broker that the test may kill."""
    with EmbeddedKafka(tmp_path / "kafka") as running:
        yield running


@pytest.fixture
def topic(broker: EmbeddedKafka) -> str:
    return make_topic(broker)


def make_topic(broker: EmbeddedKafka, **configs: str) -> str:
    name = f"t-{uuid.uuid4().hex[:8]}"
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    try:
        admin.create_topics([NewTopic(name, num_partitions=1, replication_factor=1, topic_configs=configs)])
    finally:
        admin.close()
    return name


def send(broker: EmbeddedKafka, topic: str, *values: bytes, timestamp_ms: int = LONG_AGO) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, max_request_size=20_000_000, retries=3)
    try:
        for value in values:
            producer.send(topic, value=value, timestamp_ms=timestamp_ms).get(timeout=30)
    finally:
        producer.close()


def read(broker: EmbeddedKafka, topic: str) -> list[tuple[int, bytes]]:
    """(timestamp, value) of all records of the topic's one partition."""
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, enable_auto_commit=False)
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        consumer.seek_to_beginning(partition)
        end = consumer.end_offsets([partition])[partition]
        found: list[tuple[int, bytes]] = []
        deadline = time.monotonic() + 30
        while len(found) < end and time.monotonic() < deadline:
            for records in consumer.poll(timeout_ms=200).values():
                found += [(record.timestamp, record.value) for record in records]
        return found
    finally:
        consumer.close()


def test_records_of_long_ago_stay(broker: EmbeddedKafka, topic: str) -> None:
    send(broker, topic, b"a", b"b")
    assert read(broker, topic) == [(LONG_AGO, b"a"), (LONG_AGO, b"b")]


def test_a_record_of_fifteen_megabytes_is_taken_and_a_topic_may_ask_for_less(broker: EmbeddedKafka, topic: str) -> None:
    send(broker, topic, b"x" * 15_000_000)
    assert [len(value) for _, value in read(broker, topic)] == [15_000_000]
    small = make_topic(broker, **{"max.message.bytes": "1000"})
    with pytest.raises(MessageSizeTooLargeError):
        send(broker, small, b"x" * 2000)


def test_topics_are_not_made_by_asking_for_them(broker: EmbeddedKafka) -> None:
    name = f"absent-{uuid.uuid4().hex[:8]}"
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers)
    try:
        assert not consumer.partitions_for_topic(name)
        assert name not in consumer.topics()
    finally:
        consumer.close()


def test_records_survive_a_crash_and_the_address_stays(own: EmbeddedKafka) -> None:
    topic, address = make_topic(own), own.bootstrap_servers
    send(own, topic, b"before")
    own.kill()
    assert not own.running
    own.start()
    assert own.bootstrap_servers == address
    send(own, topic, b"after")
    own.stop()
    own.start()
    assert [value for _, value in read(own, topic)] == [b"before", b"after"]


def test_a_paused_broker_answers_nobody_until_it_is_resumed(own: EmbeddedKafka) -> None:
    topic = make_topic(own)
    own.pause()
    assert own.running
    with pytest.raises(KafkaError):
        KafkaAdminClient(bootstrap_servers=own.bootstrap_servers, request_timeout_ms=1_000, bootstrap_timeout_ms=2_000)
    own.resume()
    send(own, topic, b"a")
    assert [value for _, value in read(own, topic)] == [b"a"]
    own.pause()
    own.stop()  # a frozen broker can be ended, too
    assert not own.running


def test_a_broker_that_can_not_start_is_one_clear_line(kafka_jars: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    with pytest.raises(SinkError) as caught:
        EmbeddedKafka(tmp_path).start()
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def test_the_broker_ends_when_its_owner_is_killed(kafka_jars: Path, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from sinks.embedded.kafka import EmbeddedKafka\n"
        "server = EmbeddedKafka(Path(sys.argv[1])); server.start(); print(server.pid, flush=True); time.sleep(600)"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        pid = int(owner.stdout.readline())
        os.kill(pid, 0)
        owner.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and Path(f"/proc/{pid}").exists():
        time.sleep(0.05)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_jar_that_is_not_the_listed_one_is_refused_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forged = tmp_path / "kafka-clients-4.1.1.jar"
    forged.write_bytes(b"not the jar")
    monkeypatch.setenv("EMBEDDED_KAFKA_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(jars, "_download", lambda _: [forged])
    with pytest.raises(SinkError, match="SHA-256"):
        jars.fetch()
    assert not jars.fetched()


def test_every_jar_is_listed_once_with_its_digest() -> None:
    lines = [line.split() for line in jars.DIGESTS.read_text().splitlines()]
    assert len(lines) == 46
    assert all(len(digest) == 64 and name.endswith(".jar") for digest, name in lines)
    assert f"kafka_2.13-{jars.KAFKA_VERSION}.jar" in {name for _, name in lines}
