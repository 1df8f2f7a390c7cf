"""What docker-compose.yml gives each program, judged by the program itself (or its own engine)."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from clickhouse_connect.driver.client import Client
from kafka.admin import KafkaAdminClient

from sinks.embedded import kafka as embedded
from sinks.embedded.kafka import EmbeddedKafka
from tests.alerts.promtool import need_promtool
from tests.deploy.strict_yaml import load

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = load((ROOT / "docker-compose.yml").read_text())
#: Variables that the image hands to Java, not to the broker.
NOT_PROPERTIES = {"KAFKA_HEAP_OPTS"}


def run(*command: str | Path, cwd: Path | None = None) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def mounted(service: str, folder: Path) -> None:
    """Lays the files that a service mounts out in `folder`, at their places in the container."""
    for volume in COMPOSE["services"][service]["volumes"]:
        source, inside, *_ = volume.split(":")
        place = folder / inside[1:]
        if source.startswith("./"):
            place.parent.mkdir(parents=True, exist_ok=True)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
            copy(ROOT / source, place)


def option(service: str, name: str) -> str:
    (found,) = (word.partition("=")[2] for word in COMPOSE["services"][service]["command"] if word.startswith(name))
    return str(found)


def test_promtool_takes_what_prometheus_is_given(tmp_path: Path) -> None:
    mounted("prometheus", tmp_path)
    said = run(need_promtool(), "check", "config", tmp_path / option("prometheus", "--config.file")[1:])
    assert re.search(r"SUCCESS: \d+ rules found", said)


def test_amtool_takes_what_alertmanager_is_given(tmp_path: Path) -> None:
    amtool = shutil.which("amtool")
    if amtool is None:
        pytest.skip("amtool is not installed: apt-get install prometheus-alertmanager, or run .ci/tools as root")
    mounted("alertmanager", tmp_path)
    said = run(amtool, "check-config", tmp_path / option("alertmanager", "--config.file")[1:])
    assert "1 templates" in said
    assert "SUCCESS" in said


def properties(environment: dict[str, str]) -> dict[str, str]:
    """What the image apache/kafka makes of its environment: `KAFKA_LOG_DIRS` is `log.dirs`."""
    return {
        name.removeprefix("KAFKA_").replace("_", ".").lower(): value
        for name, value in environment.items()
        if name not in NOT_PROPERTIES
    }


@pytest.mark.slow
def test_the_real_broker_starts_with_the_containers_settings(
    kafka_jars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = properties(COMPOSE["services"]["kafka"]["environment"])

    def server_properties(data: Path, port: int, controller: int, *_: object) -> str:
        here = {
            "//:9092": f"//127.0.0.1:{port}",
            "kafka:9092": f"127.0.0.1:{port}",
            "//:9093": f"//127.0.0.1:{controller}",
        }
        here |= {"kafka:9093": f"127.0.0.1:{controller}", "//:19092": "//127.0.0.1:0", "/var/lib/kafka/data": str(data)}
        lines = []
        for name, value in given.items():
            for there, ours in here.items():
                value = value.replace(there, ours)  # noqa: PLW2901 - one after the other
            lines.append(f"{name}={value}\n")
        return "".join(lines)

    monkeypatch.setattr(embedded, "server_properties", server_properties)
    with EmbeddedKafka(tmp_path / "kafka") as broker:
        client = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        try:
            assert client.describe_cluster()["brokers"]
        finally:
            client.close()
        documented = run(*broker._java("kafka.server.KafkaConfig"))  # prints its settings as a page of HTML
    assert set(given) <= set(re.findall(r'id="([a-z.]+)"', documented))


def test_clickhouse_parses_the_readers_statements(client: Client, tmp_path: Path) -> None:
    """The script as bash runs it, with the client's place taken by one that keeps the statements."""
    secrets = tmp_path / "password"
    secrets.write_text("it's a \\ password\n")
    script = (
        (ROOT / "deploy/compose/clickhouse-reader.sh")
        .read_text()
        .replace("/run/secrets/clickhouse-reader", str(secrets))
    )
    (tmp_path / "script.sh").write_text(f"set -e\nclickhouseclient=(printf %s)\n{script}")
    said = run("bash", tmp_path / "script.sh").removeprefix("-q")
    create, grant = (one.strip() for one in said.strip().rstrip(";").split(";"))
    assert create.endswith(r"BY 'it\'s a \\ password'")
    for statement in (create, grant):
        client.command(f"EXPLAIN AST {statement}")
