"""Dead letters read from their topic, which is the truth: without a group, and nothing is committed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import KafkaError

from schemas.errors import SinkError
from schemas.settings import Kafka
from streams.dead_letters.found import Found
from streams.stream.letters import decode_letter
from streams.topic_sender import client_options

_POLL_MS = 500
#: Polls without a record after which a partition counts as read: transaction marks at its end are never handed out.
_MOST_EMPTY = 20


@contextmanager
def reader(kafka: Kafka) -> Iterator[KafkaConsumer]:
    """A consumer without a group. Its faults are SinkErrors."""
    servers = ", ".join(kafka.servers)
    try:
        consumer = KafkaConsumer(
            **client_options(kafka), group_id=None, enable_auto_commit=False, auto_offset_reset="earliest",
            max_poll_records=5_000, allow_auto_create_topics=False,
        )  # fmt: skip
    except (KafkaError, OSError) as error:
        raise SinkError(f"Kafka: no broker answers at {servers} ({type(error).__name__}); check [kafka]") from error
    try:
        yield consumer
    except KafkaError as error:
        raise SinkError(f"Kafka at {servers}: {type(error).__name__}: {error}") from error
    finally:
        consumer.close()


def records(consumer: KafkaConsumer, topic: str) -> Iterator[Any]:
    """All records that the topic holds now, those of each partition in order. Raises SinkError if there is no such topic."""
    numbers = consumer.partitions_for_topic(topic)
    if not numbers:
        raise SinkError(f"Kafka: there is no topic {topic}; check kafka.topic_prefix, or run `funnelwatch topics`")
    places = [TopicPartition(topic, number) for number in sorted(numbers)]
    consumer.assign(places)
    consumer.seek_to_beginning(*places)
    ends = consumer.end_offsets(places)
    empty = 0
    while empty < _MOST_EMPTY and any(consumer.position(place) < ends[place] for place in places):
        fetched = consumer.poll(timeout_ms=_POLL_MS)
        empty = 0 if fetched else empty + 1
        for batch in fetched.values():
            for record in batch:
                if record.offset < ends[TopicPartition(topic, record.partition)]:
                    yield record


def living(consumer: KafkaConsumer, topic: str) -> Iterator[Found]:
    """The letters that were not taken out, each once. Reads the topic twice, and keeps places alone in memory."""
    newest: dict[bytes, tuple[int, int]] = {}
    for record in records(consumer, topic):
        if record.value is None:
            newest.pop(record.key or b"", None)
        else:
            newest[record.key or b""] = record.partition, record.offset
    wanted = set(newest.values())
    for record in records(consumer, topic):
        if (record.partition, record.offset) not in wanted:
            continue
        try:
            yield Found(decode_letter(record.value), record.partition)
        except msgspec.DecodeError:  # not ours: whoever wrote it knows what it is
            continue


def record_at(consumer: KafkaConsumer, topic: str, partition: int, offset: int) -> Any | None:
    """One record of a topic; None if Kafka no longer keeps it."""
    place = TopicPartition(topic, partition)
    if partition not in (consumer.partitions_for_topic(topic) or ()):
        return None
    consumer.assign([place])
    first, end = consumer.beginning_offsets([place])[place], consumer.end_offsets([place])[place]
    if not first <= offset < end:
        return None
    consumer.seek(place, offset)
    for _ in range(_MOST_EMPTY):
        for record in consumer.poll(timeout_ms=_POLL_MS, max_records=1).get(place, ()):
            return record if record.offset == offset else None
    return None
