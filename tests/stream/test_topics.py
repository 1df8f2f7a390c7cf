"""Topics against the real broker: made once, as they must be; where a new group begins; what is refused."""

from __future__ import annotations

import uuid

import pytest
from kafka import KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient, NewTopic
from msgspec.structs import replace

from schemas.definitions import load_funnels
from schemas.errors import ConfigError, SinkError
from schemas.settings import Settings, load_settings
from sinks.embedded.kafka import EmbeddedKafka
from streams.commands.run import wait_for
from streams.topics import SINK, WORKER, admin, group, lags, prepare
from tests.e2e.test_equals_batch import EXAMPLES

FUNNELS = EXAMPLES / "shop" / "funnels.toml"


@pytest.fixture
def settings(broker: EmbeddedKafka) -> Settings:
    """A source of two partitions with three records, to be read from its end on; topics and groups of its own."""
    name = f"t{uuid.uuid4().hex[:8]}"
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    client.create_topics([NewTopic(name, 2, 1)])
    client.close()
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    for number in (0, 0, 1):
        producer.send(name, b"{}", partition=number)
    producer.close()
    given = {
        "kafka.servers": broker.bootstrap_servers,
        "kafka.topic_prefix": f"{name}.",
        "kafka.group_prefix": f"{name}.",
        "kafka.replication_factor": "1",
        "kafka.partitions": "3",
    }
    path = broker.directory / f"{name}.toml"
    path.write_text(f'funnels = "{FUNNELS}"\n[[sources]]\ntopic = "{name}"\nstart = "latest"\n')
    return load_settings(path, {}, given)


def test_a_new_group_begins_at_the_end_and_a_known_one_where_it_was(settings: Settings) -> None:
    topic = settings.sources[0].topic
    funnels = load_funnels(settings.funnels)
    wait_for(lambda: prepare(settings, funnels))  # a broker's first group waits for its coordinator
    with admin(settings.kafka) as client:
        for role in (WORKER, SINK):
            assert lags(client, group(settings.kafka, role), [topic]) == {
                TopicPartition(topic, 0): 0,
                TopicPartition(topic, 1): 0,
            }
    producer = KafkaProducer(bootstrap_servers=list(settings.kafka.servers))
    producer.send(topic, b"{}", partition=1)
    producer.close()
    prepare(settings, funnels)
    with admin(settings.kafka) as client:
        assert lags(client, group(settings.kafka, WORKER), [topic])[TopicPartition(topic, 1)] == 1


def test_topics_are_made_as_they_must_be(settings: Settings) -> None:
    prefix = settings.kafka.topic_prefix
    layout = prepare(settings, load_funnels(settings.funnels))
    made = {name.removeprefix(prefix): count for name, count in layout.partitions.items() if name.startswith(prefix)}
    assert made == {
        "log.session": 3,
        "state.session": 3,
        "transitions": 3,
        "drop-offs": 3,
        "dead-letters": 3,
        "annotations": 1,
        "live": 1,
        "baselines": 1,
    }
    assert prepare(settings, load_funnels(settings.funnels)) == layout


def test_too_many_copies_for_the_brokers_are_one_line(settings: Settings) -> None:
    kafka = replace(settings.kafka, replication_factor=3)
    with pytest.raises(SinkError) as refused:
        prepare(replace(settings, kafka=kafka), load_funnels(settings.funnels))
    assert "InvalidReplicationFactorError" in str(refused.value)
    assert "check kafka.replication_factor (3) against the number of brokers" in str(refused.value)
    assert len(str(refused.value)) < 250


def test_without_the_right_to_create_the_missing_ones_are_named(settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"create = false: these topics are missing: .*transitions"):
        prepare(replace(settings, create=False), load_funnels(settings.funnels))
