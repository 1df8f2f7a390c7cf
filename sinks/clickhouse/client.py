"""The connection to ClickHouse, over HTTP, and its faults as one line each."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3.exceptions import HTTPError

from schemas.errors import ConfigError, SinkError
from schemas.settings.sections import ClickHouse

#: Seconds until a connection counts as failed; an answer has `clickhouse.timeout`.
CONNECT_SECONDS = 10
#: What the database may say before the rest of its message (a stack, the query) is left out.
LONGEST_MESSAGE = 300
#: In a message: the database or a table has not been made.
_NO_TABLES = ("Code: 60.", "Code: 81.", "UNKNOWN_TABLE", "UNKNOWN_DATABASE")


__all__ = ["Client", "connect", "database_exists", "faults", "one_line", "rows_of"]


def connect(settings: ClickHouse, *, database: str | None = None) -> Client:
    """A client for the server that `settings` name. `database`: instead of theirs ("default" is always there).

    Not for use by two threads at once. Raises ConfigError for a url that is none, SinkError if the server can't be
    reached or does not know the user or the database.
    """
    parts = urlsplit(settings.url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ConfigError(
            "clickhouse.url", f"{settings.url!r} is no http or https address", 'write one such as "http://host:8123"'
        )
    seconds = max(1, settings.timeout // 1000)
    port = parts.port or (8443 if parts.scheme == "https" else 8123)
    with faults(f"connect to {parts.scheme}://{parts.hostname}:{port} as {settings.user}"):
        return clickhouse_connect.get_client(
            interface=parts.scheme,
            host=parts.hostname,
            port=port,
            proxy_path=parts.path.strip("/"),
            username=settings.user,
            password=settings.password.reveal(),
            database=settings.database if database is None else database,
            ca_cert=str(settings.ca) if settings.ca else None,
            connect_timeout=min(CONNECT_SECONDS, seconds),
            send_receive_timeout=seconds,
            autogenerate_session_id=False,
            client_name="funnelwatch",
            settings={"max_execution_time": seconds},
        )


@contextmanager
def faults(what: str) -> Iterator[None]:
    """Turns whatever the driver raises into a SinkError of one line: "ClickHouse: can't {what}: …"."""
    try:
        yield
    except (ClickHouseError, HTTPError, OSError, EOFError) as error:
        raise SinkError(f"ClickHouse: can't {what}: {one_line(error)}") from error


def one_line(error: BaseException) -> str:
    """A server's or driver's message as one short line, without its stack."""
    text = str(error) or type(error).__name__
    found = re.search(r"(?:Code: \d+\. )?DB::Exception: .*", text, re.DOTALL)
    text = " ".join((found.group() if found else text).split("Stack trace")[0].split())
    remedy = "; run `funnelwatch migrate`" if any(sign in text for sign in _NO_TABLES) else ""
    return (text if len(text) <= LONGEST_MESSAGE else text[: LONGEST_MESSAGE - 1] + "…") + remedy


def rows_of(
    client: Client, what: str, sql: str, parameters: Mapping[str, Any] | None = None
) -> Sequence[Sequence[Any]]:
    """All rows of a query with `{name:Type}` parameters. Raises SinkError ("can't {what}: …")."""
    with faults(what):
        return client.query(sql, parameters=dict(parameters or {})).result_rows


def database_exists(client: Client, database: str) -> bool:
    """Whether the server has `database`."""
    sql = "SELECT count() FROM system.databases WHERE name = {name:String}"
    return bool(rows_of(client, "look for the database", sql, {"name": database})[0][0])
