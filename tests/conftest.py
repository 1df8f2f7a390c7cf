"""Servers and files that many tests share. What can't be had is a skip with its reason, never a silent pass."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from hypothesis import HealthCheck, settings

from schemas.errors import SinkError
from sinks.embedded import jars
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka

# What helpers assert tells its values, too, as in the tests themselves.
pytest.register_assert_rewrite(*(f"tests.{path.name}" for path in Path(__file__).parent.iterdir() if path.is_dir()))

# How fast examples are made says nothing of the code, and much of the machine.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

SHARED_DATA = Path(__file__).parents[2] / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--images", metavar="FOLDER", type=Path, help="write the documentation's pictures anew: docs/img")


@pytest.fixture(scope="session")
def kafka_jars() -> Path:
    """The folder of Kafka's jars; skips where they are neither cached nor to be had."""
    try:
        return jars.fetch()
    except SinkError as error:
        pytest.skip(f"no embedded Kafka: {error}")


@pytest.fixture(scope="session")
def broker(kafka_jars: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedKafka]:
    """A running broker for the whole run: name topics and groups uniquely. Tests that stop or kill one start their own."""
    with EmbeddedKafka(tmp_path_factory.mktemp("kafka")) as running:
        yield running


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedClickHouse]:
    """A running engine for the whole run. Use `database` to have tables of your own."""
    pytest.importorskip("chdb", reason="no embedded ClickHouse: chdb is not installed (funnelwatch[embedded])")
    with EmbeddedClickHouse(tmp_path_factory.mktemp("clickhouse"), faults=True) as running:
        yield running


@pytest.fixture
def database(clickhouse: EmbeddedClickHouse) -> Iterator[str]:
    """The name of a fresh database, dropped after the test."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with connect(clickhouse) as client:
        client.command(f"CREATE DATABASE {name}")
        yield name
        client.command(f"DROP DATABASE {name} SYNC")


@pytest.fixture
def client(clickhouse: EmbeddedClickHouse, database: str) -> Iterator[Client]:
    """clickhouse-connect's client on the fresh database."""
    with connect(clickhouse, database) as connected:
        yield connected


def connect(server: EmbeddedClickHouse, database: str = "default") -> Client:
    return clickhouse_connect.get_client(
        host=server.host, port=server.port, database=database, autogenerate_session_id=False, send_receive_timeout=30
    )


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data that lies beside the clone; skips where it does not."""
    if not SHARED_DATA.is_dir():
        pytest.skip(f"no real data beside the clone: {SHARED_DATA} is not there")
    return SHARED_DATA
