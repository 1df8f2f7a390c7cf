"""`funnelwatch annotate` with the real broker, worker and sink: shown, stored, kept over restarts, taken back."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from sinks.clickhouse.client import rows_of
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from streams.commands.annotate import annotate
from tests.e2e.child import Child
from tests.e2e.stack import Stack
from tests.stream.shop import SITE

NAME = 'release 42 "<b>" {{ . }} \\'
SHOWN = r'name="release 42 \"<b>\" {{ . }} \\"'


@pytest.fixture
def stack(tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str) -> Stack:
    return Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, SITE)


def series(worker: Child) -> list[str]:
    lines = worker.get("/metrics")[1].splitlines()
    return [line for line in lines if line.startswith("funnel_annotation_timestamp_seconds{")]


def said(stack: Stack, *arguments: str) -> str:
    ran = CliRunner().invoke(annotate, ["--config", str(stack.config), *arguments])
    assert ran.exit_code == 0, ran.output
    return ran.output


def test_what_is_announced_is_shown_stored_kept_and_taken_back(stack: Stack) -> None:
    with stack:
        worker, sink = stack.start_both()
        assert "(release): 2026-11-22 14:05 UTC" in said(stack, NAME, "--at", "2026-11-22T15:05+01:00")
        said(stack, "move", "--at", "2026-11-23T00:00", "--kind", "maintenance", "--until", "2h")
        worker.until(lambda: len(series(worker)) == 2, "two annotations")
        (release,) = (line for line in series(worker) if SHOWN in line)
        assert 'kind="release"' in release
        assert float(release.split()[-1]) == 1795356300.0
        assert worker.stop() == 0
        worker = stack.start("worker")
        worker.until(lambda: len(series(worker)) == 2, "both after a restart")
        assert "taken back" in said(stack, NAME, "--remove")
        worker.until(lambda: len(series(worker)) == 1, "one left")
        query = "SELECT name, kind, toString(at), toString(until) FROM annotations_v"
        moved = ("move", "maintenance", "2026-11-23 00:00:00.000", "2026-11-23 02:00:00.000")
        with stack.client() as client:
            sink.until(lambda: list(map(tuple, rows_of(client, "read", query))) == [moved], "the row of the one left")
