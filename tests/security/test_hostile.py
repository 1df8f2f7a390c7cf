"""Values that strangers write, through the real parts: decoder, engine, ClickHouse, report, terminal, metrics page."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner
from clickhouse_connect.driver.client import Client
from prometheus_client.exposition import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from schemas.decode import DecodeOptions, decoder
from schemas.funnel import Funnel, Stage, Unit
from schemas.rows import Row
from sinks.clickhouse.migrate import Layout, apply
from sinks.clickhouse.queries import read_report
from sinks.clickhouse.writer import Writer
from sinks.prometheus.collector import registry
from sinks.prometheus.counters import FunnelCounters, Tally
from sinks.prometheus.labels import LabelPolicy
from streams.cli import cli
from streams.commands.report import show_report
from tests.e2e.oracle import expected

T = 1_767_571_200_000
HOSTILE = (
    "'; DROP TABLE transitions; --", "\\'; SELECT 1; --", "{funnel:String}", "%s%n%(x)s", "<script>alert(1)</script>",
    '{{ define "x" }}{{ end }}', '"} 1\nevil_metric{x="', "\x1b[2J\x1b]0;owned\x07", "\u009b31mred", "\u202etxet", "=cmd|'/c calc'!A0",
    "$(reboot)`reboot`", "[bold red]markup[/]", "a\\", "\U000e0041tag",
)  # fmt: skip
FIELDS = (
    "channel",
    "campaign",
    "device",
    "country",
    "source",
    "medium",
    "content",
    "term",
    "url",
    "referrer",
    "site",
    "owner",
)
SHOP = Funnel(
    name="it's \"shop\" {x}", version="1", unit=Unit.SESSION, window=3_600_000, dimensions=("campaign", "properties.plan"),
    stages=(Stage(name="view\" ' \\", events=("view",)), Stage(name="buy <b>", events=("buy",))),
)  # fmt: skip


def records() -> list[bytes]:
    """A visit of two events for each value, which stands in every field that takes a text."""
    made = []
    for number, value in enumerate(HOSTILE):
        for step, name in enumerate(("view", "buy")):
            event = {"event": name, "event_id": f"{number}-{step} {value[:20]}".replace("\x1b", "").replace("\x07", ""),
                     "timestamp": T + 1000 * step, "session_id": f"s{number}", "properties": {"plan": value, value: 1},
                     "variant": {"x": value}}  # fmt: skip
            made.append(msgspec.json.encode(event | dict.fromkeys(FIELDS, value)))
    return made


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    decode, now = decoder(DecodeOptions()), int(time.time() * 1000)
    found = expected([SHOP], records(), lambda data: decode(data, now))
    assert not found.refused or all(reason == "bad_id" for _, reason in found.refused)
    return list(found.rows.values())


def harmless(text: str) -> bool:
    """Nothing in it that a terminal obeys."""
    return all(c.isprintable() or c == "\n" for c in text)


def test_sql_takes_them_as_values(client: Client, rows: list[Row], capsys: pytest.CaptureFixture[str]) -> None:
    apply(client, Layout())
    writer = Writer(client)
    writer.register([SHOP])
    writer.write_rows(rows)
    report = read_report(client, SHOP, by=SHOP.dimensions)
    assert report.attempts == len({row.attempt_id for row in rows}) >= len(HOSTILE) - 3
    assert set(report.by["campaign"]) == {row.entry_dims[0] for row in rows}
    assert client.query("SELECT count() FROM transitions").result_rows[0][0] == len(rows)
    for options in ({}, {"as_json": True}, {"as_csv": True}):
        show_report(report, **options)
        said = capsys.readouterr().out
        assert harmless(said), options
    cells = [cell for row in csv.reader(io.StringIO(said)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "@", "+"))]


def test_the_metrics_page_stays_a_metrics_page(rows: list[Row]) -> None:
    counters = FunnelCounters([SHOP], LabelPolicy(max_values=len(HOSTILE) + 5), 'site"} evil 1\n')
    tally = Tally()
    tally.add(rows, [])
    counters.count(tally)
    page = generate_latest(registry(counters)).decode()
    families = list(text_string_to_metric_families(page))
    assert families
    assert not [family.name for family in families if not family.name.startswith("funnel_")]
    values = {sample.labels.get("value") for family in families for sample in family.samples}
    assert "'; DROP TABLE transitions; --" in values
    assert not [line for line in page.splitlines() if line.startswith("evil")]
    assert harmless(page)


def test_batch_shows_them_harmless(tmp_path: Path) -> None:
    file, funnels = tmp_path / "events.jsonl", tmp_path / "funnels.toml"
    file.write_bytes(b"\n".join([*records(), b"\x1b[2Jno json \xff", b'{"event":"\\u001b[2J","timestamp":"\\u009b"}']))
    funnels.write_text(
        '[[funnels]]\nname = "shop"\nunit = "session"\nwindow = "1h"\ndimensions = ["campaign"]\n'
        '[[funnels.stages]]\nname = "view"\nevents = ["view"]\n[[funnels.stages]]\nname = "buy"\nevents = ["buy"]\n'
    )
    for extra in ([], ["--json"], ["--by", "campaign"], ["--by", "campaign", "--json"]):
        done = CliRunner().invoke(cli, ["batch", str(file), "--funnels", str(funnels), "--format", "jsonl", *extra])
        assert done.exit_code == 0, done.output
        assert harmless(done.stdout), extra
        assert harmless(done.stderr), extra
