"""`funnelwatch traffic` as a user runs it: live events until a signal, none lost at the end."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

from kafka import KafkaAdminClient
from kafka.admin import NewTopic

from sinks.embedded.kafka import EmbeddedKafka


def test_visitors_come_until_a_signal(broker: EmbeddedKafka, tmp_path: Path) -> None:
    topic = f"shop-{uuid.uuid4().hex[:8]}"
    config = tmp_path / "funnelwatch.toml"
    config.write_text(f'[kafka]\nservers = ["{broker.bootstrap_servers}"]\n[[sources]]\ntopic = "{topic}"\n')
    client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    try:
        client.create_topics([NewTopic(topic, 2, 1)])
        command = [
            sys.executable,
            "-m",
            "streams.cli",
            "traffic",
            "--config",
            str(config),
            "--visitors-per-day",
            "10000000",
        ]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=Path(__file__).parents[2]
        )
        try:
            deadline = time.monotonic() + 60
            while ends(client, topic) < 100:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.2)
            process.send_signal(signal.SIGTERM)
            said, _ = process.communicate(timeout=30)
        finally:
            process.kill()
        assert process.returncode == 0, said
        told = re.search(r"([\d,]+) records sent to ", said)
        assert told is not None, said
        assert int(told[1].replace(",", "")) == ends(client, topic)
    finally:
        client.close()


def ends(client: KafkaAdminClient, topic: str) -> int:
    """Records in the topic."""
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec

    places = [TopicPartition(topic, number) for number in range(2)]
    return sum(end.offset for end in client.list_partition_offsets(dict.fromkeys(places, OffsetSpec.LATEST)).values())
