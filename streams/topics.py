"""The topics: what each must be like, made where they are missing, and held against what is there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import msgspec
from kafka import OffsetAndMetadata, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic, OffsetSpec
from kafka.errors import KafkaError, NoError, TopicAlreadyExistsError

from schemas import topics as names
from schemas.errors import ConfigError, SinkError
from schemas.funnel import Funnel, Unit
from schemas.settings import Kafka, SecurityProtocol, Settings, Start
from schemas.topics import Feed, feeds
from sinks.kafka import check_login
from streams.topic_sender import client_options

#: Roles with a consumer group each.
WORKER, SINK = "worker", "sink"
_DAY = 86_400_000
#: How long internal logs and outputs keep records: long enough to mend a sink over a long weekend.
RETENTION = {"retention.ms": str(7 * _DAY)}
#: State is compacted only: with a time limit, attempts that are open for longer would be lost. In small segments: the one that is being
#: written is never compacted, and a worker that takes over reads all of it.
COMPACTED = {
    "cleanup.policy": "compact", "retention.ms": "-1", "min.cleanable.dirty.ratio": "0.1", "segment.bytes": str(64 << 20),
}  # fmt: skip
#: Dead letters lie under their place: an empty record takes one out (replayed, forgotten) within a day at most.
LETTERS = RETENTION | {
    "cleanup.policy": "compact,delete", "max.compaction.lag.ms": str(_DAY), "min.cleanable.dirty.ratio": "0.01", "segment.ms": str(_DAY),
}  # fmt: skip
#: Dead letters hold whole records and their envelope: more than the sources' own limit.
LARGE = {"max.message.bytes": str(16 * 1024 * 1024)}
#: Each minute is written anew every two seconds: small segments, so that compaction can take the former ones away.
LIVE = {
    "cleanup.policy": "compact,delete",
    "retention.ms": str(3 * _DAY),
    "segment.bytes": str(4 * 1024 * 1024),
    "segment.ms": str(_DAY // 24),
    "min.cleanable.dirty.ratio": "0.1",
}


class TopicSpec(msgspec.Struct, frozen=True):
    """A topic that funnelwatch makes."""

    name: str
    partitions: int
    configs: dict[str, str]


class Layout(msgspec.Struct, frozen=True):
    """Where everything flows: the feeds, their partition counts, those of the sources, and the output topics."""

    feeds: tuple[Feed, ...]
    partitions: dict[str, int]
    transitions: str
    drop_offs: str
    dead_letters: str
    annotations: str
    live: str
    baselines: str


@contextmanager
def admin(kafka: Kafka) -> Iterator[KafkaAdminClient]:
    """An admin client; its faults are SinkErrors that say what to check."""
    servers = ", ".join(kafka.servers)
    try:
        client = KafkaAdminClient(**client_options(kafka))
    except (KafkaError, OSError) as error:
        plain = kafka.security_protocol is SecurityProtocol.PLAINTEXT
        remedy = "check kafka.servers" if plain else check_login(kafka)
        raise SinkError(f"Kafka: no broker answers at {servers} ({error or type(error).__name__}); {remedy}") from error
    try:
        yield client
    except KafkaError as error:
        raise SinkError(f"Kafka at {servers}: {error}") from error
    finally:
        client.close()


def partition_counts(client: KafkaAdminClient, topics: Sequence[str]) -> dict[str, int]:
    """Partitions of those of the topics that exist."""
    existing = set(client.list_topics())
    wanted = [topic for topic in topics if topic in existing]
    described = client.describe_topics(wanted) if wanted else []
    for topic in described:
        if not topic["partitions"]:
            raise SinkError(f"Kafka: the topic {topic['name']} is not known to all brokers yet")
    return {topic["name"]: len(topic["partitions"]) for topic in described}


def layout(settings: Settings, funnels: Sequence[Funnel], counts: dict[str, int]) -> tuple[Layout, list[TopicSpec]]:
    """The layout for these settings, and what its topics must be like. `counts`: partitions of the topics that exist.

    Raises ConfigError for a source that does not exist, or whose partitions changed since its units' state was begun.
    """
    prefix, partitions = settings.kafka.topic_prefix, settings.kafka.partitions
    if not settings.sources:
        raise ConfigError("sources", "there is none", "add [[sources]] with the topic of your events")
    for source in settings.sources:
        if source.topic not in counts:
            raise ConfigError(f"sources: {source.topic}", "no such topic in Kafka", "create it, or correct the name")
    found = feeds(settings.sources, funnels, prefix)
    outputs = (
        names.transitions(prefix),
        names.drop_offs(prefix),
        names.dead_letters(prefix),
        names.annotation_log(prefix),
        names.live(prefix),
        names.baselines(prefix),
    )
    specs = [TopicSpec(outputs[0], partitions, LARGE | RETENTION), TopicSpec(outputs[1], partitions, RETENTION)]
    specs.append(TopicSpec(outputs[2], partitions, LARGE | LETTERS))
    specs.append(TopicSpec(outputs[3], 1, COMPACTED))
    specs.append(TopicSpec(outputs[4], 1, LARGE | LIVE))
    specs.append(TopicSpec(outputs[5], 1, LARGE | COMPACTED))
    for feed in found:
        log_partitions = counts[feed.topic] if feed.direct else counts.get(feed.topic, partitions)
        if not feed.direct:
            specs.append(TopicSpec(feed.topic, log_partitions, LARGE | RETENTION))
        state = names.state_log(prefix, feed.unit)
        if counts.get(state, log_partitions) != log_partitions:
            raise partitions_changed(feed.topic, feed.unit, log_partitions, counts[state])
        specs.append(TopicSpec(state, log_partitions, LARGE | COMPACTED))
    all_counts = counts | {spec.name: counts.get(spec.name, spec.partitions) for spec in specs}
    return Layout(found, all_counts, *outputs), specs


def partitions_changed(topic: str, unit: Unit, now: int, begun: int) -> ConfigError:
    """A log has other partitions than its state: refused, before units are looked for where their state is not."""
    return ConfigError(
        f"sources: {topic}",
        f"has {now} partitions, but the state of its {unit.value}s was begun with {begun}: "
        "units would be looked for on other partitions than where their state is",
        "drop `keyed_by` (events are then re-keyed), or give kafka.topic_prefix and kafka.group_prefix new names and "
        "start anew",
    )


def prepare(settings: Settings, funnels: Sequence[Funnel]) -> Layout:
    """Makes the topics that are missing (with `create = false`: says which are) and returns the layout."""
    with admin(settings.kafka) as client:
        wanted = [source.topic for source in settings.sources]
        every = [*wanted, *names.created_topics(feeds(settings.sources, funnels, settings.kafka.topic_prefix),
                                                settings.kafka.topic_prefix)]  # fmt: skip
        counts = partition_counts(client, every)
        found, specs = layout(settings, funnels, counts)
        missing = [spec for spec in specs if spec.name not in counts]
        if missing and not settings.create:
            listed = ", ".join(spec.name for spec in missing)
            raise ConfigError(
                "create = false", f"these topics are missing: {listed}", "`funnelwatch topics` prints how"
            )
        for spec in missing:
            create(client, spec, settings.kafka.replication_factor)
        for source in settings.sources:
            if source.start is Start.LATEST:
                for role in (WORKER, SINK):
                    begin_at_the_end(client, group(settings.kafka, role), source.topic, counts[source.topic])
    return found


def group(kafka: Kafka, role: str) -> str:
    """The consumer group of a role."""
    return f"{kafka.group_prefix}{role}"


def begin_at_the_end(client: KafkaAdminClient, group_id: str, topic: str, partitions: int) -> None:
    """Commits the end of the topic for a group that has read nothing of it. (The client's own reset to `latest` would hold for
    state, too, and skip it.)"""
    places = [TopicPartition(topic, number) for number in range(partitions)]
    known = client.list_group_offsets({group_id: places}).get(group_id, {})
    if any(place.offset >= 0 for place in known.values()):
        return
    ends = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    answers = client.alter_group_offsets(
        group_id, {place: OffsetAndMetadata(end.offset, "", -1) for place, end in ends.items()}
    )
    refused = {place: error for place, error in answers.items() if error is not NoError}
    if refused:
        place, error = next(iter(refused.items()))
        raise SinkError(
            f"Kafka: the group {group_id} can't begin at the end of {place.topic} ({error.__name__}); it is in use: stop its "
            "other members first"
        )


def lags(client: KafkaAdminClient, group_id: str, topics: Sequence[str]) -> dict[TopicPartition, int | None]:
    """Records that a group has not worked on yet, by partition; None where it has committed nothing."""
    counts = partition_counts(client, topics)
    places = [TopicPartition(topic, number) for topic in counts for number in range(counts[topic])]
    ends = client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST))
    known = client.list_group_offsets({group_id: places}).get(group_id, {})
    found: dict[TopicPartition, int | None] = {}
    for place in places:
        committed = known.get(place)
        behind = None if committed is None or committed.offset < 0 else ends[place].offset - committed.offset
        found[place] = behind
    return found


def create(client: KafkaAdminClient, spec: TopicSpec, replication: int) -> None:
    """Makes one topic, if nobody else did meanwhile."""
    topic = NewTopic(spec.name, spec.partitions, replication, topic_configs=spec.configs)
    try:
        client.create_topics([topic])
    except TopicAlreadyExistsError:
        return
    except KafkaError as error:
        raise SinkError(
            f"Kafka: can't create the topic {spec.name} ({type(error).__name__}); check kafka.replication_factor ({replication}) against "
            "the number of brokers, and the right to create topics"
        ) from error
