"""Forgetting a person: state, rows and dead letters are erased; what Kafka still holds, and how long, is said.

The order goes through the source, in order with the events, so that the worker that has the unit drops it, and no recovery brings it back.
Rows are erased once the worker has passed the order and the sink all that the worker wrote before it.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec

from schemas import topics as names
from schemas.event import Event
from schemas.funnel import Funnel
from schemas.privacy.sealing import Seal, is_sealed
from schemas.settings import Settings
from schemas.topics import feeds
from sinks.kafka import BatchWriter, KeyValue
from streams.dead_letters.found import Found
from streams.decoding import event_protection
from streams.stream.forget import forget_record
from streams.topics import SINK, WORKER, group, partition_counts

#: Seconds between two looks at how far a group is.
LOOK = 0.25


class Kept(msgspec.Struct, frozen=True):
    """A topic that may still hold records of the person. `days`: how long it keeps them; None: for ever."""

    topic: str
    days: float | None


class Letters(msgspec.Struct):
    """Dead letters of the person. `closed`: sealed ones that could not be opened."""

    found: list[Found] = []
    closed: int = 0


def stored_id(settings: Settings, person: str) -> str:
    """The id as it is stored: a pseudonym where ids are replaced, or where it holds an address."""
    event = Event(event="", ts=0, event_id="", session_id=person)
    protect = event_protection(settings)
    if protect is not None:
        protect(event, person.encode() + b"@")  # "@": it is looked at, whatever is in it
    return event.session_id or ""


async def send_orders(settings: Settings, ids: Sequence[str], places: Sequence[TopicPartition]) -> None:
    """Writes the order for each id into each of these partitions."""
    writer = BatchWriter(settings.kafka)
    await writer.start()
    try:
        records = [forget_record(unit_id, settings.events.earliest) for unit_id in ids]
        for place in places:
            await writer.write(place.topic, place.partition, records)
    finally:
        await writer.stop()


def order_places(settings: Settings, funnels: Sequence[Funnel], counts: dict[str, int]) -> list[TopicPartition]:
    """Where orders are written. A source that feeds a kind of unit directly: to all partitions, since only its producers know
    which has the unit. Else one partition will do: re-keying finds the unit."""
    direct = [feed.topic for feed in feeds(settings.sources, funnels, settings.kafka.topic_prefix) if feed.direct]
    if direct:
        return [TopicPartition(direct[0], number) for number in range(counts[direct[0]])]
    return [TopicPartition(settings.sources[0].topic, 0)]


def letters_of(settings: Settings, person: str, letters: Iterable[Found]) -> Letters:
    """Those whose record names the person. Masked ones hold nothing of anybody."""
    secret, looked = settings.privacy.dead_letter_key.reveal(), Letters([])
    seal, named = (Seal(secret) if secret else None), naming(person)
    for each in letters:
        if not is_sealed(each.letter):
            continue
        if seal is None or each.letter.payload[4:12] != seal.key_id.encode():
            looked.closed += 1
            continue
        opened = seal.open(each.letter)
        if named(opened.key) or named(opened.payload):
            looked.found.append(each)
    return looked


def naming(person: str) -> Callable[[bytes], Any]:
    """Whether a record's bytes name the person: the id as a word of its own, as it is or escaped as JSON does it."""
    spelled = {person.encode(), msgspec.json.encode(person)[1:-1], ascii(person)[1:-1].encode()}
    choices = b"|".join(re.escape(one) for one in spelled)
    return re.compile(rb"(?<![\w.@-])(?:" + choices + rb")(?![\w@-])").search


async def take_out(settings: Settings, letters: Sequence[Found]) -> None:
    """Takes letters out of their topic; Kafka's cleaner removes their bytes within a day."""
    topic, by_partition = names.dead_letters(settings.kafka.topic_prefix), dict[int, list[KeyValue]]()
    for each in letters:
        by_partition.setdefault(each.partition, []).append((each.letter.id.encode(), None))
    writer = BatchWriter(settings.kafka)
    await writer.start()
    try:
        for partition, records in by_partition.items():
            await writer.write(topic, partition, records)
    finally:
        await writer.stop()


def send(settings: Settings, ids: Sequence[str], places: Sequence[TopicPartition]) -> None:
    """`send_orders`, waited for."""
    asyncio.run(send_orders(settings, ids, places))


def ends(client: KafkaAdminClient, topics: Sequence[str]) -> dict[TopicPartition, int]:
    """Where the partitions of these topics that hold records end now."""
    counts = partition_counts(client, topics)
    places = [TopicPartition(topic, number) for topic in counts for number in range(counts[topic])]
    if not places:
        return {}
    firsts = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.EARLIEST))
    lasts = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    return {place: int(end.offset) for place, end in lasts.items() if end.offset > firsts[place].offset}


def until_passed(client: KafkaAdminClient, group_id: str, wanted: dict[TopicPartition, int], deadline: float) -> bool:
    """Waits until a group has committed these offsets; False once it is `deadline` (monotonic seconds)."""
    while True:
        known = client.list_group_offsets({group_id: list(wanted)}).get(group_id, {})
        if all(place in known and known[place].offset >= end for place, end in wanted.items()):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(LOOK)


def wait_for_both(client: KafkaAdminClient, settings: Settings, funnels: Sequence[Funnel], seconds: float) -> str:
    """Waits until the worker has followed the orders, and the sink has stored what the worker wrote before. Returns who was too slow
    ("worker", "sink"), "" if nobody was."""
    kafka, prefix, deadline = settings.kafka, settings.kafka.topic_prefix, time.monotonic() + seconds
    sources = [source.topic for source in settings.sources]
    logs = [feed.topic for feed in feeds(settings.sources, funnels, prefix) if not feed.direct]
    for topics in (sources, logs):
        if not until_passed(client, group(kafka, WORKER), ends(client, topics), deadline):
            return WORKER
    stored = [names.transitions(prefix), names.dead_letters(prefix), *(sources if settings.clickhouse.events else [])]
    return "" if until_passed(client, group(kafka, SINK), ends(client, stored), deadline) else SINK


def kept(client: KafkaAdminClient, topics: Sequence[str]) -> list[Kept]:
    """How long each of these topics keeps records."""
    found = []
    for topic in partition_counts(client, topics):
        configs = client.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)], config_filter="all")
        text = str(configs[ConfigResourceType.TOPIC.name.lower()][topic]["retention.ms"]["value"])
        found.append(Kept(topic, None if text.startswith("-") else int(text) / 86_400_000))
    return found
