"""`hours_v` under replays, corrections, tombstones and any order of arrival, before and after past days are computed."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from schemas.rows import Row
from schemas.settings.sections import ClickHouse
from sinks.clickhouse.client import Client, connect
from sinks.clickhouse.migrate import bring_up_to_date
from sinks.clickhouse.writer import Writer
from sinks.embedded.clickhouse import EmbeddedClickHouse
from tests.contract.rows import FUNNEL, final_rows, writes

Key = tuple[str, str, str, str, str, int, str, str]


@pytest.fixture
def tables(clickhouse: EmbeddedClickHouse, database: str) -> Client:
    settings = ClickHouse(url=clickhouse.url, database=database)
    bring_up_to_date(settings)
    return connect(settings)


def counted(rows: list[Row]) -> Counter[Key]:
    """What `hours_v` must say: rows by segment and content."""
    found = Counter[Key]()
    for row in rows:
        for segment in [("all", "all"), *zip(FUNNEL.dimensions, row.entry_dims, strict=True)]:
            found[*segment, row.kind, row.from_stage, row.to_stage, row.stage, row.outcome, row.currency] += 1
    return found


def stored(tables: Client) -> Counter[Key]:
    sql = """SELECT dimension, dimension_value, kind, from_stage, to_stage, stage, outcome, currency, sum(n)
        FROM hours_v WHERE funnel = 'checkout' GROUP BY ALL"""
    return Counter({(*key,): n for *key, n in tables.query(sql).result_rows})


def compute(tables: Client) -> None:
    tables.command("SYSTEM REFRESH VIEW hours_mv")
    tables.command("SYSTEM WAIT VIEW hours_mv")


@pytest.mark.parametrize("seed", [1, 2])
def test_hours_are_exact_whatever_was_sent_how_often_and_in_which_order(tables: Client, seed: int) -> None:
    rows = final_rows(seed, attempts=80)
    writer = Writer(tables)
    writer.register([FUNNEL])
    batches = writes(rows, seed)
    for batch in batches:
        writer.write_rows(batch)
    assert stored(tables) == counted(rows)
    compute(tables)
    assert tables.query("SELECT count() FROM hours").result_rows[0][0] > 0
    assert stored(tables) == counted(rows)
    for batch in batches[::-1]:
        writer.write_rows(batch)  # a replay: nothing changes, before or after the next computation
    assert stored(tables) == counted(rows)
    compute(tables)
    assert stored(tables) == counted(rows)


def test_money_and_times_of_an_hour_are_those_of_its_rows(tables: Client) -> None:
    rows = final_rows(3, attempts=120)
    writer = Writer(tables)
    writer.register([FUNNEL])
    for batch in writes(rows, 3):
        writer.write_rows(batch)
    wanted: dict[str, Decimal] = {}
    for row in rows:
        if row.value is not None:
            wanted[row.currency] = wanted.get(row.currency, Decimal(0)) + Decimal(row.value).scaleb(-9)
    waits = sorted(row.duration for row in rows if row.outcome == "converted")
    for _ in range(2):
        sql = "SELECT currency, sum(money) FROM hours_v WHERE dimension = 'device' AND currency != '' GROUP BY currency"
        assert {str(row[0]): row[1] for row in tables.query(sql).result_rows} == wanted
        sql = """SELECT quantilesTDigestMerge(0.5, 0.9, 0.99)(durations) FROM hours_v
            WHERE dimension = 'all' AND outcome = 'converted'"""
        half = tables.query(sql).result_rows[0][0][0]
        assert waits[len(waits) * 2 // 5] <= half <= waits[len(waits) * 3 // 5]
        compute(tables)


def test_today_is_counted_when_asked_for(tables: Client) -> None:
    """What arrives for today after the past was computed is there at once."""
    tables.command("""INSERT INTO hours (funnel, version, dimension, dimension_value, hour, n, counted_to)
        VALUES ('other', 'v', 'all', 'all', 0, 1, '2026-01-31')""")  # past days end with 30 January
    rows = final_rows(4, attempts=30)  # of 31 January and 1 February
    writer = Writer(tables)
    writer.register([FUNNEL])
    writer.write_rows(rows)
    assert stored(tables) == counted(rows)
