"""Some records of a topic or of a file. A topic is only looked at: no group, no commit, nothing is created."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from schemas.decode import Format, Mapping, detect_format, mapping_for, read_records
from schemas.errors import ConfigError, SinkError
from schemas.problems import nearest
from schemas.settings import Kafka
from sinks.kafka import client_options
from streams.inspect.recognise import delimiter_of
from streams.topics import admin

#: Seconds without a record after which a partition's sample is what it is.
SILENCE = 5.0


class Sampled(msgspec.Struct, frozen=True, gc=False):
    """A record. `time`: ms, when Kafka got it; of a file's record, when it was read."""

    value: bytes | None
    key: bytes | None = None
    partition: int = 0
    time: int = 0


class Sample(msgspec.Struct, frozen=True):
    """`held`: records in the topic (0 of a file, nobody counts them). `format`, `mapping`: as a file's first lines show them."""

    name: str
    records: Sequence[Sampled]
    partitions: int = 0
    held: int = 0
    format: Format | None = None
    mapping: Mapping | None = None


def of_topic(kafka: Kafka, topic: str, most: int) -> Sample:
    """The newest records of every partition. Raises ConfigError where there is no such topic, SinkError without a broker."""
    with admin(kafka) as client:
        known = sorted(client.list_topics())  # a consumer that names a missing topic could bring it into being
        if topic not in known:
            raise ConfigError(
                f"topic {topic}", "there is no such file, and no such topic in Kafka", _remedy(topic, known)
            )
        partitions = [part["partition_index"] for part in client.describe_topics([topic])[0]["partitions"]]
    try:
        return asyncio.run(_tail(kafka, topic, sorted(partitions), most))
    except (KafkaError, OSError) as error:
        raise SinkError(
            f"Kafka: can't read {topic} ({str(error) or type(error).__name__}); check the right to read it"
        ) from error


def _remedy(topic: str, known: Iterable[str]) -> str:
    outer = [name for name in known if not name.startswith("__")]
    return nearest(topic, outer) if outer else "Kafka has no topic at all"


async def _tail(kafka: Kafka, topic: str, numbers: Sequence[int], most: int) -> Sample:
    consumer = AIOKafkaConsumer(group_id=None, enable_auto_commit=False, **client_options(kafka))
    await consumer.start()
    try:
        places = [TopicPartition(topic, number) for number in numbers]
        consumer.assign(places)
        first, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        each = max(1, most // max(1, len(places)))
        for place in places:
            consumer.seek(place, max(first[place], ends[place] - each))
        records = await _read(consumer, {place: ends[place] for place in places if ends[place] > first[place]}, each)
        held = sum(ends[place] - first[place] for place in places)
    finally:
        await consumer.stop()
    return Sample(topic, records, len(places), held)


async def _read(consumer: Any, ends: dict[Any, int], each: int) -> list[Sampled]:
    """Until each partition is at its end. Gaps (compaction, transactions' marks) hold no records."""
    found: dict[Any, list[Sampled]] = {place: [] for place in ends}
    heard = time.monotonic()
    while time.monotonic() - heard < SILENCE:
        positions = [await consumer.position(place) for place in ends]
        if all(position >= end for position, end in zip(positions, ends.values(), strict=True)):
            break
        for place, records in (await consumer.getmany(*ends, timeout_ms=200)).items():
            heard = time.monotonic()
            found[place] += [
                Sampled(record.value, record.key, place.partition, record.timestamp)
                for record in records
                if record.offset < ends[place]
            ]
    return [record for records in found.values() for record in records[:each]]


def of_file(path: Path, most: int) -> Sample:
    """The first records of a file. Raises ConfigError for one that can't be read, or whose format nobody knows."""
    now, head = int(time.time() * 1000), [line.data for line in islice(read_records(path, Format.NATIVE), 50)]
    try:
        kind = detect_format(path)
    except ConfigError:  # it looks at plain cells only
        if delimiter_of(head) is None:
            raise
        kind = Format.CSV
    mapping = None
    if kind is Format.CSV:
        mapping = mapping_for(path, kind, Mapping(format="csv", delimiter=delimiter_of(head) or ","))
    lines = read_records(path, kind, mapping)
    return Sample(
        str(path), [Sampled(line.data, time=now) for line in islice(lines, most)], format=kind, mapping=mapping
    )
