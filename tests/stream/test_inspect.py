"""`funnelwatch inspect TOPIC` on a real broker: what it finds, and that it leaves no trace there."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from schemas.settings import Settings, load_settings
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import KeyValue
from streams.cli import cli
from tests.e2e.stack import write_records
from tests.formats.encodings import ENCODINGS
from tests.formats.framed import fill
from tests.formats.registry import StubRegistry
from tests.formats.shop import shop_fields


@pytest.fixture
def admin(broker: EmbeddedKafka) -> Iterator[KafkaAdminClient]:
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    yield client
    client.close()


def filled(admin: KafkaAdminClient, broker: EmbeddedKafka, parts: dict[int, list[KeyValue]]) -> str:
    """A topic with these records by partition."""
    topic = f"inspect-{uuid.uuid4().hex[:8]}"
    admin.create_topics([NewTopic(topic, len(parts), 1, topic_configs={"retention.ms": "-1"})])
    settings: Settings = load_settings(None, {}, {"kafka.servers": broker.bootstrap_servers})
    asyncio.run(write_records(settings, topic, parts))
    return topic


def run(broker: EmbeddedKafka, *arguments: str) -> Any:
    return CliRunner().invoke(cli, ["inspect", *arguments, "--set", f"kafka.servers={broker.bootstrap_servers}"])


def spread(records: list[KeyValue]) -> dict[int, list[KeyValue]]:
    """By key, on three partitions; a fourth stays empty."""
    parts: dict[int, list[KeyValue]] = {0: [], 1: [], 2: [], 3: []}
    for key, value in records:
        parts[sum(key or b"") % 3].append((key, value))
    return parts


def test_a_topic_is_looked_at_and_left_as_it_was(
    broker: EmbeddedKafka, admin: KafkaAdminClient, tmp_path: Path
) -> None:
    events = list(shop_fields("e", 900))
    records = [(fields["session_id"].encode(), ENCODINGS["native"].write(fields)) for fields in events]
    topic = filled(admin, broker, spread([*records, (None, b"\x1b]0;x\x07 no event"), (None, None)]))
    before = sorted(admin.list_topics()), sorted(map(str, admin.list_groups()))
    result = run(broker, topic, "--json", "--write", str(tmp_path / "out"))
    assert result.exit_code == 0, result.output
    missing = run(broker, topic[:-1] + "x")
    assert (sorted(admin.list_topics()), sorted(map(str, admin.list_groups()))) == before
    document = json.loads(result.stdout)
    assert (document["partitions"], document["held"], document["sampled"]) == (4, 902, 902)
    assert document["encodings"] == {"native JSON": 900, "text": 1, "empty": 1}
    assert document["keyed_by"] == "session"
    assert document["sources"] == f'[[sources]]\ntopic = "{topic}"\nkeyed_by = "session"\n'
    assert {each["reason"]: each["records"] for each in document["refused"]} == {"unparseable": 2}
    assert missing.exit_code == 2
    assert f"did you mean {topic}?" in missing.stderr
    check = CliRunner().invoke(cli, ["check", "--config", str(tmp_path / "out" / "funnelwatch.toml")])
    assert check.exit_code == 0, check.output


def test_only_the_newest_records_are_read(broker: EmbeddedKafka, admin: KafkaAdminClient) -> None:
    events = list(shop_fields("e", 600))
    topic = filled(admin, broker, {0: [(b"k", ENCODINGS["segment"].write(fields)) for fields in events]})
    document = json.loads(run(broker, topic, "--json", "--records", "100").stdout)
    assert (document["held"], document["sampled"], document["keyed_by"], document["format"]) == (
        600,
        100,
        None,
        "segment",
    )
    assert document["first"] >= min(fields["timestamp"] for fields in events[500:])


@pytest.mark.parametrize("encoding, kind", [("avro", "AVRO"), ("protobuf", "PROTOBUF"), ("json_schema", "JSON")])
def test_framed_records_are_read_by_the_registrys_schemas(
    encoding: str, kind: str, broker: EmbeddedKafka, admin: KafkaAdminClient
) -> None:
    records: list[KeyValue] = [(None, ENCODINGS[encoding].write(fields)) for fields in shop_fields("e", 200)]
    topic = filled(admin, broker, {0: records})
    with StubRegistry() as registry:
        fill(registry)
        document = json.loads(run(broker, topic, "--json", "--set", f"registry.url={registry.url}").stdout)
    assert document["encodings"] == {"Confluent-framed": 200}
    assert (document["format"], document["dead_letters"], document["mapping"]) == ("confluent", 0.0, None)
    assert document["notes"] == [f"by the registry's schemas: {kind}"]
    assert document["sources"] == f'[[sources]]\ntopic = "{topic}"\nformat = "confluent"\n'
    without = json.loads(run(broker, topic, "--json").stdout)
    assert "write its url in [registry]" in without["notes"][0]


def test_an_empty_topic(broker: EmbeddedKafka, admin: KafkaAdminClient) -> None:
    topic = filled(admin, broker, {0: []})
    document = json.loads(run(broker, topic, "--json").stdout)
    assert (document["sampled"], document["format"], document["notes"]) == (0, None, ["there is no record yet"])
