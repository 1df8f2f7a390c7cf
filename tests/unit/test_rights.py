"""The list of rights knows every topic that is made and every table that is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from schemas.definitions import load_funnels
from schemas.funnel import Unit
from schemas.settings import ClickHouse, Settings, Source
from schemas.topics import created_topics, feeds
from sinks.clickhouse import writer
from streams.rights import COMMANDS, GRANTS, READ, WRITE, acls, grant_statements, merged

FUNNELS = load_funnels(Path(__file__).parents[1] / "e2e" / "funnels.toml")


@pytest.mark.parametrize("keyed_by", [Unit.SESSION, None], ids=["keyed", "re-keyed"])
def test_worker_and_sink_may_use_every_topic_and_nothing_is_given_for_all(keyed_by: Unit | None) -> None:
    settings = Settings(sources=(Source(topic="clicks", keyed_by=keyed_by),), create=False)
    given = merged(acl for role in ("worker", "sink") for acl in acls(f"run --only {role}", settings, FUNNELS))
    used = {acl.name for acl in given if not acl.prefixed and {READ, WRITE} & set(acl.operations)}
    made = created_topics(feeds(settings.sources, FUNNELS, settings.kafka.topic_prefix), settings.kafka.topic_prefix)
    assert set(made) | {"clicks"} == {name for name in used if name in made or name == "clicks"}
    assert [acl.operations for acl in given if acl.prefixed] == [("Describe",)]
    assert "Write" not in {operation for acl in given if acl.name == "clicks" for operation in acl.operations}


def test_only_who_creates_may_create() -> None:
    for create in (True, False):
        settings = Settings(sources=(Source(topic="clicks"),), create=create)
        operations = {
            operation
            for command in COMMANDS
            for acl in acls(command, settings, FUNNELS)
            for operation in acl.operations
        }
        assert ("Create" in operations) is create
        assert operations <= {"Read", "Write", "Describe", "Create", "DescribeConfigs"}


def test_the_sink_may_insert_into_every_table_that_it_writes_and_delete_nothing() -> None:
    tables = {table.name for table in vars(writer).values() if isinstance(table, writer.Table)}
    granted = {table for grant in GRANTS["run --only sink"] if "INSERT" in grant.right for table in grant.tables}
    assert tables <= granted
    assert not [line for line in grant_statements("run --only sink", ClickHouse()) if "DELETE" in line or "*" in line]
