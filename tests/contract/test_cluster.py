"""What a cluster is told: every migration as a golden file, each of its statements parsed by the real engine.

After a change of a migration: `python -m tests.contract.test_cluster` writes the golden files anew; read the difference.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from sinks.clickhouse.migrate import RECORD, Layout, create_database, migrations, render, statements

GOLDEN = Path(__file__).parents[1] / "golden" / "cluster"
LAYOUT = Layout("east-1", transitions_days=400, attempts_days=400, events_days=90, dead_letters_days=30)
#: Tables that each replica fills by itself: a replicated target of a refreshed view would be filled by all at once.
OWN = ("hours",)


def scripts() -> dict[str, str]:
    """Name of the golden file → the script that a cluster gets."""
    variables = LAYOUT.variables()
    head = f"{create_database('funnelwatch', LAYOUT)};\n\n{render(RECORD, variables).strip()};\n"
    return {"000_database.sql": head} | {each.name: render(each.script, variables) for each in migrations()}


NAMES = sorted(scripts())


@pytest.mark.parametrize("name", NAMES)
def test_a_migration_on_a_cluster_is_what_was_read(name: str) -> None:
    golden = GOLDEN / name
    assert golden.is_file(), (
        f"{golden.name} is missing: run `python -m tests.contract.test_cluster`, and read what it writes"
    )
    assert scripts()[name] == golden.read_text(encoding="utf-8")
    assert sorted(path.name for path in GOLDEN.iterdir()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_the_engine_parses_every_statement(name: str, client: Client) -> None:
    found = statements(scripts()[name])
    assert found
    for statement in found:
        tree = client.query(f"EXPLAIN AST {statement}").result_rows
        assert tree[0][0].split()[0] in ("CreateQuery", "DropQuery", "AlterQuery", "InsertQuery"), tree[0]
        formatted = client.query("SELECT formatQuery(%(sql)s)", parameters={"sql": statement}).result_rows[0][0]
        assert " ON CLUSTER `east-1`" in formatted
        # what it is made into means the same: nothing of it was passed over
        assert client.query("SELECT formatQuery(%(sql)s)", parameters={"sql": formatted}).result_rows[0][0] == formatted


def test_the_parser_would_refuse_a_mistake(client: Client) -> None:
    """ON CLUSTER behind REFRESH, where ClickHouse does not take it."""
    wrong = "CREATE MATERIALIZED VIEW v REFRESH EVERY 15 MINUTE ON CLUSTER `east-1` TO t AS SELECT 1"
    with pytest.raises(DatabaseError, match="Syntax error"):
        client.query(f"EXPLAIN AST {wrong}")


@pytest.mark.parametrize("name", NAMES)
def test_all_is_made_on_the_cluster_and_every_table_is_replicated(name: str) -> None:
    for statement in statements(scripts()[name]):
        if statement.startswith(("INSERT", "SELECT")):
            continue
        assert re.match(
            r"(CREATE|ALTER|DROP|RENAME|TRUNCATE) (OR REPLACE )?(DATABASE|TABLE|VIEW|MATERIALIZED VIEW)"
            r"( IF (NOT )?EXISTS)? \S+ ON CLUSTER `east-1`",
            statement,
        ), statement
        engine = re.search(r"^\)? ?ENGINE = (\w+)", statement, re.MULTILINE)
        if statement.startswith("CREATE TABLE"):
            assert engine is not None
            table = statement.split("ON CLUSTER")[0].split()[-1]
            assert engine[1].startswith("Replicated") is (table not in OWN), (table, engine[1])


def test_the_refreshed_view_of_a_cluster_fills_each_replicas_own_table() -> None:
    script = scripts()["003_hours.sql"]
    assert (
        "CREATE MATERIALIZED VIEW IF NOT EXISTS hours_mv ON CLUSTER `east-1` REFRESH EVERY 15 MINUTE TO hours AS"
        in script
    )
    assert ") ENGINE = MergeTree\nORDER BY" in script


if __name__ == "__main__":
    GOLDEN.mkdir(exist_ok=True)
    for file, text in scripts().items():
        (GOLDEN / file).write_text(text, encoding="utf-8")
