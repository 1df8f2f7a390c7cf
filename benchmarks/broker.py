"""What the benchmarks do with the broker: topics, backlogs, offsets, sizes, and reading a topic back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from kafka.admin import NewTopic

from benchmarks.workloads import PARTITIONS, Expected, Workload
from schemas.settings import Kafka
from sinks.kafka import BatchWriter, KeyValue

#: Records of a partition that are held until they are written.
BUFFERED = 10_000


def preload(servers: str, topic: str, workload: Workload) -> Expected:
    """Makes the topic and writes the whole stream into it while it is made; returns what it comes to."""
    create(servers, topic)
    return asyncio.run(_write(Kafka(servers=(servers,)), topic, workload))


async def _write(kafka: Kafka, topic: str, workload: Workload) -> Expected:
    writer, counter = BatchWriter(kafka), workload.counter()
    await writer.start()
    buffers: list[list[KeyValue]] = [[] for _ in range(PARTITIONS)]
    for step in workload.steps():
        counter.add(step)
        number = workload.place(step.session)
        buffers[number].append((workload.key(step.session).encode(), workload.encode(step)))
        if len(buffers[number]) == BUFFERED:
            await writer.write(topic, number, buffers[number])
            buffers[number].clear()
    for number, buffer in enumerate(buffers):
        await writer.write(topic, number, buffer)
    await writer.stop()
    return counter.expected()


def create(servers: str, topic: str) -> None:
    """Makes a topic."""
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.create_topics([NewTopic(topic, PARTITIONS, 1)])
    admin.close()


def delete(servers: str, prefix: str) -> None:
    """Removes the topics of a run, so that runs do not fill the disk and the page cache. `prefix`: of their names."""
    admin = KafkaAdminClient(bootstrap_servers=servers)
    admin.delete_topics([topic for topic in admin.list_topics() if topic.startswith(prefix)])
    admin.close()


class Progress:
    """How far a consumer group has committed on a topic, measured against the topic's end when this was made."""

    def __init__(self, servers: str, topic: str, group: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=servers, group_id=group, enable_auto_commit=False)
        partitions = self._consumer.partitions_for_topic(topic) or set(range(PARTITIONS))
        self._partitions = [TopicPartition(topic, number) for number in sorted(partitions)]
        self._ends = self._consumer.end_offsets(self._partitions)

    def left(self) -> int:
        """Records that are not committed yet."""
        done = {partition: self._consumer.committed(partition) or 0 for partition in self._partitions}
        return int(sum(self._ends[partition] - done[partition] for partition in self._partitions))

    def close(self) -> None:
        self._consumer.close()


class Written:
    """How many records a topic has."""

    def __init__(self, servers: str, topic: str) -> None:
        self._consumer = KafkaConsumer(bootstrap_servers=servers, enable_auto_commit=False)
        self._partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]

    def count(self) -> int:
        return int(sum(self._consumer.end_offsets(self._partitions).values()))

    def close(self) -> None:
        self._consumer.close()


def read_back(servers: str, topic: str, take: Callable[[Any], None]) -> None:
    """Gives every record of a topic, as aiokafka has them, to `take`; those of one partition in order."""
    asyncio.run(_read(servers, topic, take))


async def _read(servers: str, topic: str, take: Callable[[Any], None]) -> None:
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=servers, auto_offset_reset="earliest", max_partition_fetch_bytes=4 * 1024 * 1024
    )
    await consumer.start()
    try:
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for batch in (await consumer.getmany(timeout_ms=500, max_records=20_000)).values():
                for record in batch:
                    take(record)
    finally:
        await consumer.stop()


def last_written(servers: str, topic: str) -> float:
    """When the newest record of a topic was written, in seconds since 1970 UTC; 0 if there is none."""
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
