"""What goes over the wire, and what the runner of migrations makes of its files. No server."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import DeadLetter
from schemas.errors import ConfigError, SinkError
from schemas.event import FIELDS
from schemas.progress import EVENT_COUNTS, Progress
from schemas.rows import Row
from schemas.settings import ClickHouse
from sinks.clickhouse import writer as w
from sinks.clickhouse.client import connect, one_line
from sinks.clickhouse.migrate import Layout, ddl, migrations, render, statements
from tests.unit.clickhouse.test_report import ENTER, SHOP


class Recorder:
    """Stands in for the driver's client: keeps what is inserted, or fails."""

    def __init__(self, error: Exception | None = None) -> None:
        self.inserts: list[tuple[str, list[str], list[Any]]] = []
        self._error = error

    def insert(self, table: str, data: list[Any], column_names: list[str], **options: object) -> None:
        if self._error:
            raise self._error
        assert options["column_oriented"] is True
        self.inserts.append((table, column_names, data))


@pytest.mark.parametrize(
    ("table", "fields"),
    [
        (w.TRANSITIONS, Row.__struct_fields__),
        (w.PROGRESS, Progress.__struct_fields__),
        (w.DEAD_LETTERS, DeadLetter.__struct_fields__),
        (w.EVENTS, FIELDS),
        (w.DEFINITIONS, w.Definition.__struct_fields__),
    ],
)
def test_the_columns_are_the_fields_and_the_tables_columns(table: w.Table, fields: tuple[str, ...]) -> None:
    assert tuple(table.names) == fields
    script = migrations()[0].script.split(f"CREATE TABLE IF NOT EXISTS {table.name} ")[1].split("ENGINE")[0]
    columns = [line.split()[0] for line in script.splitlines() if line.startswith("    ")]
    assert [name for name in columns if name not in ("rank", "registered_at", "stored_at")] == table.names


def test_rows_become_columns() -> None:
    client = Recorder()
    w.Writer(client).write_rows([ENTER, msgspec.structs.replace(ENTER, value=1_500_000_000, attempt_id="a2")])  # type: ignore[arg-type]
    ((table, names, columns),) = client.inserts
    found = dict(zip(names, columns, strict=True))
    assert table == "transitions"
    assert (found["attempt_id"], found["entry_dims"]) == (["a1", "a2"], [("paid",), ("paid",)])
    assert found["value"] == [None, Decimal("1.5")]


def test_nothing_is_inserted_for_nothing() -> None:
    client = Recorder()
    writer = w.Writer(client)  # type: ignore[arg-type]
    writer.write_rows([])
    writer.write_progress([])
    writer.register([])
    assert client.inserts == []


def test_only_the_newest_progress_of_a_key_goes_out() -> None:
    client = Recorder()
    old, new = (Progress("shop", "v1", "log", 0, revision, 1, 1) for revision in (1, 2))
    other = msgspec.structs.replace(old, partition=1)
    w.Writer(client).write_progress([new, old, other])  # type: ignore[arg-type]
    columns = dict(zip(client.inserts[0][1], client.inserts[0][2], strict=True))
    assert sorted(zip(columns["partition"], columns["revision"], strict=True)) == [(0, 2), (1, 1)]


def test_a_definition_says_what_rows_leave_out() -> None:
    found = w.define(SHOP)
    assert (found.levels, found.following, found.dimensions) == (
        ["view", "size", "cart", "buy"],
        [2, 2, 3, 3],
        ["channel"],
    )
    assert msgspec.json.decode(found.definition)["window"] == 3_600_000


def test_the_counts_of_progress_are_those_of_the_report() -> None:
    assert Progress.__struct_fields__[7:] == EVENT_COUNTS


@given(st.lists(st.integers(-(10**28), 10**28) | st.none()))
def test_money_keeps_every_digit(amounts: list[int | None]) -> None:
    texts = ["" if value is None else f"{value:f}" for value in w.money_column(amounts)]
    assert [int(text.replace(".", "")) if text else None for text in texts] == amounts


def test_money_of_many_digits_is_exact() -> None:
    assert w.money_column([10**28 + 1, -1]) == [Decimal("10000000000000000000.000000001"), Decimal("-0.000000001")]


@given(st.lists(st.integers(0, 4_000_000_000_000), max_size=300))
def test_an_insert_touches_fewer_than_a_hundred_months(times: list[int]) -> None:
    parts = w.split_by_month(times, int)
    assert sorted(time for part in parts for time in part) == sorted(times)
    assert all(
        len({datetime.fromtimestamp(time / 1000, UTC).strftime("%Y%m") for time in part}) <= 90 for part in parts
    )


def test_a_fault_is_one_line_that_says_what_was_tried() -> None:
    error = DatabaseError(
        "HTTPDriver returned code 500\nCode: 252. DB::Exception: Too many parts (300).\nStack trace: 0. x"
    )
    with pytest.raises(
        SinkError, match=r"^ClickHouse: can't insert 1 rows into transitions: Code: 252\. [^\n]*\(300\)\.$"
    ):
        w.Writer(Recorder(error)).write_rows([ENTER])  # type: ignore[arg-type]
    assert one_line(OperationalError("Error\n timed   out")) == "Error timed out"
    assert len(one_line(OperationalError("x" * 9_000))) == 300


@pytest.mark.parametrize("url", ["localhost:8123", "tcp://host:9000", "http://"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^clickhouse\.url: .* is no http or https address; write one such as"):
        connect(ClickHouse(url=url))


def test_a_cluster_gets_replicated_tables_everywhere() -> None:
    script = ddl("fw", Layout(cluster="east", transitions_days=30))
    tables = [line for line in script.splitlines() if line.startswith("CREATE")]
    assert tables
    assert all("ON CLUSTER `east`" in line for line in tables)
    assert all(line.startswith("ENGINE = Replicated") for line in script.splitlines() if line.startswith("ENGINE"))
    assert script.count("TTL stored_at + INTERVAL 30 DAY\n") == 1
    assert "${" not in script


def test_a_single_server_gets_plain_tables() -> None:
    script = ddl("fw", Layout())
    assert script.startswith(
        "CREATE DATABASE IF NOT EXISTS `fw`;\n\nUSE `fw`;\n\nCREATE TABLE IF NOT EXISTS schema_versions\n"
    )
    code = "\n".join(line for line in script.splitlines() if not line.startswith("--"))
    assert not any(word in code for word in ("CLUSTER", "Replicated", "TTL stored_at", "${"))


def test_a_placeholder_that_is_empty_leaves_no_line() -> None:
    assert render("A ${X}\n(b)\n${Y}\n;\n", {"X": "", "Y": ""}) == "A\n(b);\n"
    assert render("${X}B${Y};", {"X": "1", "Y": "2"}) == "1B2;\n"


def test_statements_end_at_semicolons_outside_of_texts_and_comments() -> None:
    script = "-- one; two\nA 'x;\\';y' `b;c` -- z;\n;\n/* ; */ B;\n-- end;\n"
    assert statements(script) == ["A 'x;\\';y' `b;c` -- z;", "/* ; */ B"]


def test_the_files_are_numbered_without_a_gap() -> None:
    assert [migration.version for migration in migrations()] == list(range(1, len(migrations()) + 1))
