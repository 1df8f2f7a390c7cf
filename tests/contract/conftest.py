"""One suite, two engines: the embedded one always, a real server as well when CLICKHOUSE_URL names it."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

CLICKHOUSE_URL = os.environ.get("CLICKHOUSE_URL", "")


@pytest.fixture(
    params=[
        "embedded",
        pytest.param(
            "server",
            marks=[
                pytest.mark.real_server,
                pytest.mark.skipif(not CLICKHOUSE_URL, reason="no ClickHouse server: CLICKHOUSE_URL is not set"),
            ],
        ),
    ]
)
def dsn(request: pytest.FixtureRequest) -> str:
    """`http://user:password@host:port` of the engine under test."""
    if request.param == "server":
        return CLICKHOUSE_URL
    return str(request.getfixturevalue("clickhouse").url)


@pytest.fixture
def database(dsn: str) -> Iterator[str]:
    """A fresh database on the engine under test (the suite's own, in place of the embedded engine's)."""
    name = f"contract_{uuid.uuid4().hex[:12]}"
    with clickhouse_connect.get_client(dsn=dsn, autogenerate_session_id=False) as client:
        client.command(f"CREATE DATABASE {name}")
        yield name
        client.command(f"DROP DATABASE {name} SYNC")


@pytest.fixture
def client(dsn: str, database: str) -> Iterator[Client]:
    with clickhouse_connect.get_client(
        dsn=dsn, database=database, autogenerate_session_id=False, send_receive_timeout=30
    ) as connected:
        yield connected
