"""`funnelwatch leave`: a member that ended without a word is taken out of its group, and the others have its partitions."""

from __future__ import annotations

import uuid
from pathlib import Path

from aiokafka import AIOKafkaConsumer
from click.testing import CliRunner
from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from sinks.embedded.kafka import EmbeddedKafka
from streams.commands.leave import leave, members


async def test_one_that_will_not_come_back_leaves_at_once(broker: EmbeddedKafka, tmp_path: Path) -> None:
    name = uuid.uuid4().hex[:8]
    group, topic = f"{name}.worker", f"shop-{name}"
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    try:
        client.create_topics([NewTopic(topic, 2, 1)])
        worker = AIOKafkaConsumer(
            topic, bootstrap_servers=broker.bootstrap_servers, group_id=group, group_instance_id="worker-1"
        )
        await worker.start()
        await worker.getmany(timeout_ms=100)
        await worker.stop()
        assert members(client, group) == ("worker-1",)  # as long as the session timeout

        options = ["--set", f"kafka.servers={broker.bootstrap_servers}", "--set", f"kafka.group_prefix={name}."]
        told = CliRunner().invoke(leave, ["worker-1", *options])
        assert (told.exit_code, told.output) == (0, f"worker-1 has left {group}\n")
        assert members(client, group) == ()

        again = CliRunner().invoke(leave, ["worker-1", *options])
        assert again.exit_code == 2
        assert "no group has a member 'worker-1'; members with a name: none" in again.output
    finally:
        client.close()
