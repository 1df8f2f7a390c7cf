"""What a user meets at the start: servers that are not there yet, topics that are missing or were changed."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from kafka import KafkaAdminClient

from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from tests.e2e.stack import Stack
from tests.stream.shop import SITE

NOWHERE = "127.0.0.1:1"


def settings_with(stack: Stack, old: str, new: str) -> None:
    """Changes a text in the stack's settings file."""
    text = stack.config.read_text()
    assert old in text
    stack.config.write_text(text.replace(old, new))


def message_lines(text: str) -> list[str]:
    """Non-empty lines."""
    return [line for line in text.splitlines() if line.strip()]


def test_an_unreachable_broker_is_waited_for_by_name(tmp_path: Path, broker: EmbeddedKafka) -> None:
    with Stack(tmp_path, broker.bootstrap_servers, f"http://{NOWHERE}", "nowhere", SITE) as stack:
        settings_with(stack, broker.bootstrap_servers, NOWHERE)
        worker = stack.start("worker", ready=False)
        worker.until(lambda: "trying again" in worker.text(), "say what it waits for")
        assert f"no broker answers at {NOWHERE}" in worker.text()
        assert "check kafka.servers; trying again in 1 s" in worker.text()
        worker.stop(10)
        assert "Traceback" not in worker.text()


def test_an_unreachable_clickhouse_is_waited_for_by_name(tmp_path: Path, broker: EmbeddedKafka) -> None:
    with Stack(tmp_path, broker.bootstrap_servers, f"http://{NOWHERE}", "nowhere", SITE) as stack:
        sink = stack.start("sink", ready=False)
        sink.until(lambda: "trying again" in sink.text(), "say what it waits for")
        assert f"ClickHouse: can't connect to http://{NOWHERE} as default" in sink.text()
        assert "Kafka keeps the rows" in sink.text()
        assert "Traceback" not in sink.text()
        status, why = sink.get("/readyz")
        assert status == 503
        assert why.startswith(f"ClickHouse: can't connect to http://{NOWHERE}")
        assert sink.stop(20) == 0


def test_a_missing_source_topic_is_one_line_and_exit_code_2(tmp_path: Path, broker: EmbeddedKafka) -> None:
    with Stack(tmp_path, broker.bootstrap_servers, f"http://{NOWHERE}", "nowhere", SITE) as stack:
        settings_with(stack, stack.topic("clicks"), "no-such-topic")
        worker = stack.start("worker", ready=False)
        assert worker.wait(30) == 2
        assert message_lines(worker.text()) == [
            "Error: sources: no-such-topic: no such topic in Kafka; create it, or correct the name"
        ]


@pytest.mark.parametrize(("role", "setting"), [("worker", "listen"), ("sink", "sink_listen")])
def test_a_port_that_is_taken_is_told_without_a_traceback(
    role: str, setting: str, tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, SITE) as stack, socket.socket() as taken:
        web = stack.settings.web
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        settings_with(stack, f'{setting} = "{getattr(web, setting)}"', f'{setting} = "{place}"')
        refused = stack.start(role, ready=False)
        assert refused.wait(30) == 2
        said = f"[web] {setting}: {place} can't be listened on: Address already in use; choose another address or port"
        *told, last = message_lines(refused.text())
        assert last == f"Error: {said}"
        assert all(line.endswith(said) for line in told), told


def test_partitions_added_to_a_keyed_source_are_refused_with_the_remedy(
    tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, SITE) as stack:
        worker = stack.start("worker")
        assert worker.stop() == 0
        admin = KafkaAdminClient(bootstrap_servers=stack.servers)
        admin.create_partitions({stack.topic("clicks"): 5})
        admin.close()
        refused = stack.start("worker", ready=False)
        assert refused.wait(30) == 2
        (line,) = message_lines(refused.text())
        assert f"{stack.topic('clicks')}: has 5 partitions, but the state of its sessions was begun with 2" in line
        assert "drop `keyed_by` (events are then re-keyed), or give kafka.topic_prefix" in line
