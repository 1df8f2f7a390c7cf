"""What funnelwatch needs of ClickHouse, through the driver that production uses."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.datatypes.registry import get_from_name
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError, StreamFailureError

COLUMNS = {
    "id": "String",
    "at": "DateTime64(3, 'UTC')",
    "day": "Date",
    "channel": "LowCardinality(String)",
    "dims": "Map(LowCardinality(String), String)",
    "value": "Nullable(Decimal(38, 9))",
    "step": "Tuple(stage UInt8, name String)",
    "tags": "Array(LowCardinality(String))",
    "revision": "UInt64",
    "is_deleted": "UInt8",
}


def create(client: Client, columns: dict[str, str], engine: str) -> None:
    listed = ", ".join(f"{name} {kind}" for name, kind in columns.items())
    client.command(f"CREATE TABLE t ({listed}) ENGINE = {engine}")


def insert(client: Client, columns: dict[str, str], *values: list[Any]) -> int:
    types = [get_from_name(kind) for kind in columns.values()]
    done = client.insert("t", list(values), column_names=list(columns), column_types=types, column_oriented=True)
    return done.written_rows


def test_columns_of_every_kind_come_back_as_they_went_in(client: Client) -> None:
    create(client, COLUMNS, "ReplacingMergeTree(revision, is_deleted) ORDER BY id")
    written = insert(
        client,
        COLUMNS,
        ["a", "b"],
        [1_700_000_000_123, 0],  # integer milliseconds
        [19_675, 0],
        ["paid", "email"],
        [{"device": "mobile"}, {}],
        [Decimal("19.990000001"), None],
        [(2, "cart"), (1, "Ωφ")],
        [["x", "y", "x"], []],
        [2**63, 1],
        [0, 0],
    )
    assert written == 2
    rows = client.query("SELECT *, toUnixTimestamp64Milli(at) FROM t FINAL ORDER BY id").result_rows
    assert [row[0] for row in rows] == ["a", "b"]
    first = dict(zip([*COLUMNS, "ms"], rows[0], strict=True))
    assert first["ms"] == 1_700_000_000_123
    assert first["dims"] == {"device": "mobile"}
    assert first["value"] == Decimal("19.990000001")
    assert tuple(first["step"].values() if isinstance(first["step"], dict) else first["step"]) == (2, "cart")
    assert first["tags"] == ["x", "y", "x"]
    assert first["revision"] == 2**63
    second = dict(zip([*COLUMNS, "ms"], rows[1], strict=True))
    assert (second["ms"], second["value"], second["tags"], second["dims"]) == (0, None, [], {})


def test_the_highest_revision_wins_and_a_deleted_row_is_gone(client: Client) -> None:
    columns = {"id": "String", "n": "Int64", "revision": "UInt64", "is_deleted": "UInt8"}
    create(client, columns, "ReplacingMergeTree(revision, is_deleted) ORDER BY id")
    insert(client, columns, ["a", "b"], [1, 1], [10, 10], [0, 0])
    insert(client, columns, ["a", "b"], [2, 1], [11, 11], [0, 1])
    insert(client, columns, ["a"], [9], [9], [0])
    assert client.query("SELECT id, n FROM t FINAL").result_rows == [("a", 2)]


def test_parameters_are_bound_by_the_server(client: Client) -> None:
    query = "SELECT {text:String}, {many:Array(UInt8)}, {nothing:Nullable(String)}, {big:UInt64}, {when:DateTime64(3, 'UTC')}"
    when = datetime(2024, 2, 29, 12, 0, 0, 5000, tzinfo=UTC)
    given = {"text": "it's \\ a\ttab\n'; DROP", "many": [1, 2], "nothing": None, "big": 2**64 - 1, "when": when}
    row = client.query(query, parameters=given).result_rows[0]
    assert row[:4] == ("it's \\ a\ttab\n'; DROP", [1, 2], None, 2**64 - 1)
    assert row[4].replace(tzinfo=UTC) == when


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("SELECT * FROM no_such_table", 60),
        ("SELEC 1", 62),
        ("SELECT no_such_column FROM system.one", 47),
        ("SELECT no_such_function(1)", 46),
        ("SELECT * FROM no_such_database.t", 81),
        ("SELECT toInt8('x')", 6),
        ("SELECT throwIf(1)", 395),
        ("SELECT 1; SELECT 2", 62),
    ],
)
def test_errors_carry_their_number(client: Client, statement: str, code: int) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(statement)
    assert caught.value.code == code


def test_an_unknown_setting_is_refused_and_a_known_one_obeyed(client: Client) -> None:
    assert client.query("SELECT getSetting('max_threads')", settings={"max_threads": 3}).result_rows == [(3,)]
    assert client.query("SELECT getSetting('max_execution_time')", settings={"max_execution_time": 7}).result_rows == [
        (7,)
    ]
    assert client.query("SELECT getSetting('max_execution_time')").result_rows != [(7,)]  # of that query alone
    with pytest.raises(DatabaseError) as caught:
        client.raw_query("SELECT 1", settings={"no_such_setting": "1"})
    assert caught.value.code == 115


def test_a_query_is_stopped_at_its_time_limit(client: Client) -> None:
    with pytest.raises(DatabaseError) as caught:
        client.query(
            "SELECT sum(sleepEachRow(0.1)) FROM numbers(30)", settings={"max_execution_time": 1, "max_block_size": 1}
        )
    assert caught.value.code == 159


def test_each_format_of_an_insert_body_is_read(client: Client) -> None:
    columns = {"id": "UInt64", "text": "String"}
    create(client, columns, "MergeTree ORDER BY id")
    client.raw_insert("t", ["id", "text"], b'{"id":1,"text":"a;b"}\n{"id":2,"text":"\xc3\xa9"}\n', fmt="JSONEachRow")
    client.raw_insert("t", ["id", "text"], "3\ttab\\tbed\n", fmt="TabSeparated")
    client.raw_insert("t", ["id", "text"], b'4,"c,d"\n', fmt="CSV")
    client.raw_insert("t", ["id", "text"], (5).to_bytes(8, "little") + b"\x03\x00\n;", fmt="RowBinary")
    client.command("INSERT INTO t (id, text) VALUES (6, 'it''s; FORMAT Native'), (7, '')")
    client.command("INSERT INTO t SELECT number, 'n' FROM numbers(8, 1)")
    rows = client.query("SELECT id, text FROM t ORDER BY id").result_rows
    assert rows == [
        (1, "a;b"), (2, "é"), (3, "tab\tbed"), (4, "c,d"), (5, "\x00\n;"), (6, "it's; FORMAT Native"), (7, ""), (8, "n"),
    ]  # fmt: skip


@pytest.mark.parametrize("method", ["lz4", "zstd", "gzip", False])
def test_bodies_are_compressed_in_every_way_that_the_driver_has(dsn: str, database: str, method: str | bool) -> None:
    with clickhouse_connect.get_client(
        dsn=dsn, database=database, compress=method, autogenerate_session_id=False
    ) as client:
        create(client, {"id": "UInt64", "text": "String"}, "MergeTree ORDER BY id")
        numbers = list(range(70_000))
        client.insert("t", [numbers, [f"text {n}" for n in numbers]], column_names=["id", "text"], column_oriented=True)
        assert client.query("SELECT sum(id), uniqExact(text) FROM t").result_rows == [(2_449_965_000, 70_000)]
        with client.query_column_block_stream("SELECT id FROM t") as blocks:
            assert sum(sum(block[0]) for block in blocks) == 2_449_965_000


def test_a_row_that_can_not_be_read_refuses_the_insert_and_leaves_the_engine_usable(client: Client) -> None:
    create(client, {"id": "UInt64"}, "MergeTree ORDER BY id")
    with pytest.raises(DatabaseError):
        client.raw_insert("t", ["id"], b'{"id": "not a number"}\n', fmt="JSONEachRow")
    with pytest.raises(DatabaseError) as caught:
        client.raw_insert("no_such_table", ["id"], b'{"id": 1}\n', fmt="JSONEachRow")
    assert caught.value.code == 60
    assert client.query("SELECT count() FROM t").result_rows == [(0,)]


def test_an_error_in_the_middle_of_a_stream_reaches_the_reader(client: Client) -> None:
    query = "SELECT number, throwIf(number = 299999) FROM numbers(300000)"
    with pytest.raises((StreamFailureError, DatabaseError)), client.query_rows_stream(query) as rows:
        assert sum(1 for _ in rows) < 300_000


def test_an_empty_result_keeps_its_columns_and_arrow_tables_are_served(client: Client) -> None:
    assert client.query("SELECT 1 AS one WHERE 0").result_rows == []
    assert client.query("SELECT 1 AS one LIMIT 0").column_names == ("one",)
    pytest.importorskip("pyarrow")
    table = client.query_arrow("SELECT number, toString(number) AS text FROM numbers(3)")
    assert table.to_pydict() == {"number": [0, 1, 2], "text": [b"0", b"1", b"2"]} or table.to_pydict() == {
        "number": [0, 1, 2],
        "text": ["0", "1", "2"],
    }


async def test_the_async_client_runs_queries_at_the_same_time(dsn: str, database: str) -> None:
    client = await clickhouse_connect.get_async_client(dsn=dsn, database=database, autogenerate_session_id=False)
    try:
        await client.command("CREATE TABLE t (n UInt64) ENGINE = MergeTree ORDER BY n")
        await asyncio.gather(*[client.insert("t", [[n]], column_names=["n"]) for n in range(10)])
        sums = await asyncio.gather(
            *[client.query("SELECT {k:UInt64}, sum(n) FROM t", parameters={"k": k}) for k in range(10)]
        )
        assert [result.result_rows[0] for result in sums] == [(k, 45) for k in range(10)]
    finally:
        await client.close()


def test_states_of_aggregates_merge_to_the_exact_result(client: Client) -> None:
    client.command(
        "CREATE TABLE t (day Date, units AggregateFunction(uniqExact, String), total SimpleAggregateFunction(sum, Int64))"
        " ENGINE = AggregatingMergeTree ORDER BY day"
    )
    for _ in range(2):
        client.command(
            "INSERT INTO t SELECT toDate('2024-01-01'), uniqExactState(toString(number)), toInt64(1) FROM numbers(10)"
        )
    assert client.query("SELECT uniqExactMerge(units), sum(total) FROM t").result_rows == [(10, 2)]


def test_a_materialized_view_follows_each_insert(client: Client) -> None:
    client.command("CREATE TABLE source (k String, n Int64) ENGINE = MergeTree ORDER BY k")
    client.command("CREATE TABLE target (k String, n Int64) ENGINE = SummingMergeTree ORDER BY k")
    client.command("CREATE MATERIALIZED VIEW v TO target AS SELECT k, sum(n) AS n FROM source GROUP BY k")
    client.insert("source", [["a", 1], ["a", 2], ["b", 5]], column_names=["k", "n"])
    client.insert("source", [["a", 10]], column_names=["k", "n"])
    assert client.query("SELECT k, sum(n) FROM target GROUP BY k ORDER BY k").result_rows == [("a", 13), ("b", 5)]


def test_a_refreshable_view_counts_replaced_rows_once(client: Client) -> None:
    client.command("CREATE TABLE source (k UInt64, r UInt64) ENGINE = ReplacingMergeTree(r) ORDER BY k")
    client.command("CREATE TABLE target (n UInt64) ENGINE = MergeTree ORDER BY n")
    client.command("CREATE MATERIALIZED VIEW v REFRESH EVERY 1 HOUR TO target AS SELECT count() AS n FROM source FINAL")
    client.insert("source", [[1, 1], [2, 1]], column_names=["k", "r"])
    client.insert("source", [[1, 2]], column_names=["k", "r"])
    client.command("SYSTEM REFRESH VIEW v")
    client.command("SYSTEM WAIT VIEW v")
    assert client.query("SELECT n FROM target").result_rows == [(2,)]


def test_window_funnel_counts_in_strict_once(client: Client) -> None:
    """The oracle of ordered funnels: A@1, {A,B}@9, B@11, C@15 with window 8 reaches 3."""
    events = "[(1, 1, 0, 0), (9, 1, 1, 0), (11, 0, 1, 0), (15, 0, 0, 1)]"
    query = (
        "SELECT windowFunnel(8, 'strict_once')(toUInt64(e.1), e.2 = 1, e.3 = 1, e.4 = 1) "
        f"FROM (SELECT arrayJoin({events}) AS e)"
    )
    assert client.query(query).result_rows == [(3,)]
