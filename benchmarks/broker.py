"""What the benchmarks do with the broker: topics, backlogs, offsets, sizes, and reading a topic back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from benchmarks.workloads import PARTITIONS, Workload
from schemas.settings import Kafka
from sinks.kafka import BatchWriter


def preload(servers: str, topic: str, workload: Workload) -> None:
    """Makes the topic and writes the whole workload into it, each session on one partition."""
    create(servers, topic)
    asyncio.run(_write(Kafka(servers=(servers,)), topic, workload))


def create(servers: str, topic: str) -> None:
    """Makes a topic."""
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    admin.close()


async def _write(kafka: Kafka, topic: str, workload: Workload) -> None:
    writer = BatchWriter(kafka)
    await writer.start()
    for partition in range(PARTITIONS):
        await writer.write(topic, partition, workload.records(partition))
    await writer.stop()


class Progress:
    """How far a consumer group has committed on a topic."""

    def __init__(self, servers: str, topic: str, group: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=servers, group_id=group, enable_auto_commit=False)
        self._partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        self._ends = self._consumer.end_offsets(self._partitions)

    def left(self) -> int:
        """Records that are not committed yet."""
        done = {partition: self._consumer.committed(partition) or 0 for partition in self._partitions}
        return int(sum(self._ends[partition] - done[partition] for partition in self._partitions))

    def close(self) -> None:
        self._consumer.close()


def count(servers: str, topic: str) -> int:
    """Records of a topic."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    try:
        partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        return int(sum(consumer.end_offsets(partitions).values()))
    finally:
        consumer.close()


def read_back(servers: str, topic: str) -> Iterator[Any]:
    """All records of a topic as kafka-python gives them, partition by partition."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False, max_poll_records=20_000)
    try:
        for number in sorted(consumer.partitions_for_topic(topic) or ()):
            partition = TopicPartition(topic, number)
            consumer.assign([partition])
            consumer.seek_to_beginning(partition)
            end = consumer.end_offsets([partition])[partition]
            while consumer.position(partition) < end:
                for batch in consumer.poll(timeout_ms=500).values():
                    yield from batch
    finally:
        consumer.close()


def last_written(servers: str, topic: str) -> float:
    """When the newest record of a topic was written, in seconds since 1970 UTC."""
    consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
    newest = 0
    try:
        for number in consumer.partitions_for_topic(topic) or ():
            partition = TopicPartition(topic, number)
            end = consumer.end_offsets([partition])[partition]
            consumer.assign([partition])
            consumer.seek(partition, max(0, end - 1))
            while consumer.position(partition) < end:
                for batch in consumer.poll(timeout_ms=500).values():
                    newest = max([newest, *(record.timestamp for record in batch)])
    finally:
        consumer.close()
    return newest / 1000


def bytes_on_disk(directory: Path, topics: Sequence[str]) -> int:
    """Bytes of the topics' log segments in the embedded broker's directory."""
    return sum(
        segment.stat().st_size
        for topic in topics
        for folder in (directory / "data").glob(f"{topic}-*")
        if folder.name[len(topic) + 1 :].isdigit()
        for segment in folder.glob("*.log")
    )
