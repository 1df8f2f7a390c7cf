"""The tables against the pure counting of rows: the same figures, whatever was written how often and in which order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

import msgspec
import pytest
from click.testing import CliRunner
from clickhouse_connect.driver.client import Client

from schemas.dead_letter import DeadLetter
from schemas.definitions import load_funnels
from schemas.errors import SinkError
from schemas.event import Event
from schemas.progress import Progress
from schemas.report import StageFigures
from schemas.rows import Row
from schemas.settings import ClickHouse, Secret
from schemas.tally import report_from_rows
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import Layout, Migration, apply, bring_up_to_date, create_database, migrations
from sinks.clickhouse.queries import read_report, versions_with_attempts
from sinks.clickhouse.writer import Writer
from sinks.embedded.faults import Faults
from streams.backtest.attempts import Attempt, from_clickhouse, from_rows
from streams.commands.migrate import migrate
from streams.commands.report import report
from tests.contract.rows import FUNNEL, NOON, final_rows, writes

DAY = 86_400_000


@pytest.fixture
def settings(dsn: str, database: str) -> ClickHouse:
    """The settings of a worker that has the fresh database to itself, and keeps all: the tests' events are old."""
    server = urlsplit(dsn)
    return ClickHouse(
        url=f"{server.scheme}://{server.hostname}:{server.port}",
        user=server.username or "default",
        password=Secret(server.password or ""),
        database=database,
        transitions_ttl_days=0,
        attempts_ttl_days=0,
        events_ttl_days=0,
        dead_letters_ttl_days=0,
    )


@pytest.fixture
def tables(settings: ClickHouse) -> Iterator[Client]:
    """A client of the fresh database, with all tables."""
    bring_up_to_date(settings)
    with connect(settings) as client:
        yield client


def progress(revision: int, horizon: int, read: int = 10, partition: int = 0) -> Progress:
    return Progress(
        FUNNEL.name, FUNNEL.version, "units", partition, revision, horizon, horizon, read, read - 3, 1, 1, 1
    )


def write_all(tables: Client, rows: list[Row], seed: int) -> None:
    writer = Writer(tables)
    writer.register([FUNNEL])
    for batch in writes(rows, seed):
        writer.write_rows(batch)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_report_equals_the_one_counted_from_the_final_rows(tables: Client, seed: int) -> None:
    rows = final_rows(seed, attempts=80)
    write_all(tables, rows, seed)
    horizon = NOON + DAY // 2
    Writer(tables).write_progress(
        [progress(5, horizon, 20), progress(4, horizon - 9_000, 7), progress(9, horizon, 30, 1)]
    )
    events = {"read": 50, "matched": 44, "ignored": 2, "duplicate": 2, "late": 2}

    counted = report_from_rows(FUNNEL, rows, events, horizon, ("device", "channel"))

    assert read_report(tables, FUNNEL, None, ("device", "channel")) == counted
    assert counted.attempts == 80
    assert 0 < counted.matured < 80
    assert set(counted.by["channel"]) == {"paid", "mail", "(none)", "o'hara\\\t"}


def test_a_report_since_a_time_takes_the_attempts_that_entered_then_or_later(tables: Client) -> None:
    rows = final_rows(4, attempts=60)
    write_all(tables, rows, 4)
    since = sorted({row.entry_time for row in rows})[20]

    counted = report_from_rows(FUNNEL, [row for row in rows if row.entry_time >= since], {}, None)

    assert read_report(tables, FUNNEL, since) == counted
    assert 0 < counted.attempts < 60


def test_the_backtest_reads_the_attempts_that_the_rows_tell_of(tables: Client) -> None:
    rows = [row for row in final_rows(6, attempts=60) if not row.is_deleted]
    write_all(tables, final_rows(6, attempts=60), 6)
    until = sorted({row.entry_time for row in rows})[40]

    def shown(attempts: Iterable[Attempt]) -> list[tuple[object, ...]]:
        return sorted((one.dims, tuple(sorted((r.at, r.level, r.value) for r in one.reached))) for one in attempts)

    expected = shown(from_rows(row for row in rows if row.entry_time < until))
    assert shown(from_clickhouse(tables, FUNNEL, 0, until)) == expected
    assert len(expected) == 40
    assert from_clickhouse(tables, FUNNEL, until, until) == []


def test_a_merge_changes_no_figure(tables: Client) -> None:
    rows = final_rows(5, attempts=50)
    write_all(tables, rows, 5)
    before = read_report(tables, FUNNEL, None, ("channel",))
    tables.command("OPTIMIZE TABLE transitions FINAL")
    tables.command("OPTIMIZE TABLE attempts FINAL")
    assert read_report(tables, FUNNEL, None, ("channel",)) == before


def test_an_empty_database_gives_an_empty_report(tables: Client) -> None:
    found = read_report(tables, FUNNEL, None, ("channel",))
    assert (found.attempts, found.units, found.horizon, found.revenue, found.by) == (0, 0, None, {}, {"channel": {}})
    assert versions_with_attempts(tables, FUNNEL.name) == []


def test_the_views_agree_with_the_report_minute_by_minute(tables: Client) -> None:
    rows = final_rows(6, attempts=60)
    write_all(tables, rows, 6)
    found = read_report(tables, FUNNEL, None, ("channel",))
    sums = tables.query(
        "SELECT stage, dimension, dimension_value, sum(entered), sum(converted), sum(dropped), sum(still_open) "
        "FROM stage_minutes_v WHERE dimension != 'device' GROUP BY ALL"
    ).result_rows
    seen = {(stage, dimension, value): tuple(figures) for stage, dimension, value, *figures in sums}

    assert totals(seen, "all", "all") == figures_of(found.stages)
    for value, stages in found.by["channel"].items():
        assert totals(seen, "channel", value) == figures_of(stages)
    went_on = {level: seen[level, "all", "all"][1] for level in range(4)}
    assert went_on[0] == sum(1 for levels in levels_of(rows) if 2 in levels)
    assert went_on[1] == sum(1 for levels in levels_of(rows) if {1, 2} <= levels)
    assert went_on[2] == sum(1 for levels in levels_of(rows) if {2, 3} <= levels)
    assert went_on[3] == 0


def totals(seen: dict[tuple[int, str, str], tuple[int, ...]], dimension: str, value: str) -> list[tuple[int, int, int]]:
    zero = (0, 0, 0, 0)
    cells = [seen.get((level, dimension, value), zero) for level in range(4)]
    return [(entered, dropped, still_open) for entered, _, dropped, still_open in cells]


def figures_of(stages: tuple[StageFigures, ...]) -> list[tuple[int, int, int]]:
    return [(stage.attempts, stage.dropped, stage.open) for stage in stages]


def levels_of(rows: list[Row]) -> list[set[int]]:
    levels: dict[str, set[int]] = {}
    for row in rows:
        if row.kind == "enter":
            levels.setdefault(row.attempt_id, set()).add(row.stage)
    return list(levels.values())


def test_the_money_of_the_minutes_is_that_of_the_rows(tables: Client) -> None:
    rows = final_rows(7, attempts=60)
    write_all(tables, rows, 7)
    found = tables.query("SELECT currency, sum(value) FROM value_minutes_v WHERE dimension = 'all' GROUP BY currency")
    sums: dict[str, int] = {}
    for row in rows:
        if row.value is not None:
            sums[row.currency] = sums.get(row.currency, 0) + row.value
    assert {row[0]: row[1] for row in found.result_rows} == {
        currency: Decimal(value).scaleb(-9) for currency, value in sums.items()
    }


def test_dimensions_have_their_names_and_unknown_versions_get_numbers(tables: Client) -> None:
    row = next(row for row in final_rows(8, attempts=1) if row.kind == "enter")
    writer = Writer(tables)
    writer.register([FUNNEL])
    writer.write_rows([row, msgspec.structs.replace(row, version="another")])
    found = tables.query("SELECT version, dimensions FROM attempts_v ORDER BY version").result_rows
    channel, device = row.entry_dims
    assert found == [
        ("a1b2c3d4e5f6", {"channel": channel, "device": device}),
        ("another", {"dim1": channel, "dim2": device}),
    ]


def test_every_column_comes_back_as_it_was_written(tables: Client) -> None:
    row = Row(
        "shop", "v", "ab", "enter", "cart", 2**62, 0, "unit", 1_700_000_000_123, 3, True, 1_700_000_000_456, 1_700_000_000_789,
        "e1", "view", "cart", 1, 2**63, "forward", "", 333, ("a", ""), ("b", "☃"), -(10**27) - 1, "EUR", 1, "o1", True,
    )  # fmt: skip
    Writer(tables).write_rows([row])
    columns = [
        f"toUnixTimestamp64Milli({name})" if name in ("session_start", "entry_time", "event_time") else name
        for name in Row.__struct_fields__
    ]
    (found,) = tables.query(f"SELECT {', '.join(columns)} FROM transitions FINAL").result_rows
    wanted = [getattr(row, name) for name in Row.__struct_fields__]
    wanted[21:24] = [["a", ""], ["b", "☃"], Decimal("-1000000000000000000.000000001")]
    wanted[25] = Decimal("0.000000001")
    assert list(found) == wanted


def test_more_than_a_hundred_months_go_in_at_once(tables: Client) -> None:
    (row, *_) = final_rows(9, attempts=1)
    rows = [
        msgspec.structs.replace(row, attempt_id=f"{month}", entry_time=row.entry_time - month * 31 * DAY)
        for month in range(240)
    ]
    Writer(tables).write_rows(rows)
    assert tables.query("SELECT count(), uniqExact(toYYYYMM(entry_time)) FROM transitions").result_rows[0][0] == 240


def test_progress_never_falls_back(tables: Client) -> None:
    writer = Writer(tables)
    writer.write_progress([progress(7, NOON + 7, 70)])
    writer.write_progress([progress(5, NOON + 5, 50), progress(3, NOON + 3, 30, partition=1)])
    found = read_report(tables, FUNNEL)
    assert (found.horizon, found.events["read"]) == (NOON + 3, 100)


def test_dead_letters_and_events_are_kept_once(tables: Client) -> None:
    writer = Writer(tables)
    letter = DeadLetter("clicks", 3, 17, "bad_timestamp", "timestamp: 'soon'", NOON, b"key\xff", b"\x00\xffpayload")
    event = Event(
        event="buy", ts=NOON, event_id="e1", visitor_id="v", revenue=1_500_000_000, currency="EUR", consent=False,
        properties={"a": [1]}, variant={"test": "b"},
    )  # fmt: skip
    for _ in range(2):
        writer.write_dead_letters([letter])
        writer.write_events([event, msgspec.structs.replace(event, ts=NOON + 5)])
    letters = tables.query(
        "SELECT topic, partition, offset, reason, hex(key), hex(payload) FROM dead_letters_v"
    ).result_rows
    assert letters == [("clicks", 3, 17, "bad_timestamp", "6B6579FF", "00FF7061796C6F6164")]
    events = tables.query(
        "SELECT toUnixTimestamp64Milli(ts), visitor_id, user_id, revenue, consent, properties, variant FROM events_v"
    ).result_rows
    assert events == [(NOON, "v", "", Decimal("1.5"), 0, '{"a":[1]}', {"test": "b"})]


def test_a_connection_that_breaks_after_the_insert_changes_nothing(
    request: pytest.FixtureRequest, dsn: str, tables: Client
) -> None:
    server = request.getfixturevalue("clickhouse")
    if server.url != dsn:
        pytest.skip("only the embedded engine can break on demand")
    rows = final_rows(10, attempts=30)
    writer = Writer(tables)
    for start in range(0, len(rows), 25):
        server.inject(Faults(cut_inserts=1))
        with suppress(SinkError):  # the driver may or may not have sent it again by itself
            writer.write_rows(rows[start : start + 25])
        server.inject(Faults())
        writer.write_rows(rows[start : start + 25])
    assert read_report(tables, FUNNEL, None, ("device",)) == report_from_rows(FUNNEL, rows, {}, None, ("device",))


def test_migrations_are_applied_once_and_may_break_anywhere(settings: ClickHouse) -> None:
    with connect(settings, database="default") as root:
        root.command(create_database(settings.database, Layout()))
    with connect(settings) as client:
        half = migrations()[0].script.split("CREATE TABLE IF NOT EXISTS progress")[0]
        broken = Migration(1, "001_tables.sql", half + "\nCREATE TABLE broken;")
        with pytest.raises(SinkError, match=r"can't apply 001_tables\.sql: Code: 80\."):
            apply(client, Layout(), [broken])
        assert [migration.version for migration in apply(client, Layout())] == [1, 2, 3, 4, 5]
        assert apply(client, Layout()) == []


def test_tables_of_another_release_are_refused(tables: Client) -> None:
    with pytest.raises(SinkError, match=r"migration 2 is applied\): upgrade it$"):
        apply(tables, Layout(), migrations()[:1])
    changed = [Migration(known.version, known.name, known.script + " ") for known in migrations()]
    with pytest.raises(SinkError, match=r"001_tables\.sql was applied with another text"):
        apply(tables, Layout(), changed)


def test_retention_is_in_the_tables(settings: ClickHouse) -> None:
    bring_up_to_date(msgspec.structs.replace(settings, transitions_ttl_days=400, events_ttl_days=90))
    with connect(settings) as client:
        sql = "SELECT name FROM system.tables WHERE database = currentDatabase() AND create_table_query LIKE '%TTL%'"
        names = {name for (name,) in client.query(sql).result_rows}
    assert names == {"transitions", "events", "expectation_counts"}  # the last keeps as long as is learned from


def test_a_missing_database_names_the_remedy(settings: ClickHouse) -> None:
    absent = msgspec.structs.replace(settings, database="nowhere")
    with pytest.raises(SinkError, match=r"run `funnelwatch migrate`$"), connect(absent) as client:
        read_report(client, FUNNEL)


def test_a_refused_connection_is_one_line() -> None:
    with pytest.raises(SinkError, match=r"^ClickHouse: can't connect to http://127.0.0.1:9 as default: [^\n]*$"):
        connect(ClickHouse(url="http://127.0.0.1:9"))


DEFINITIONS = """
[[funnels]]
name = "signup"
unit = "visitor"
dimensions = ["channel"]
stages = [{ name = "visit", events = ["visit"] }, { name = "join", events = ["join"] }]
"""


def test_the_commands_make_the_tables_and_read_the_report(
    settings: ClickHouse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNNELWATCH_CLICKHOUSE_URL", settings.url)
    monkeypatch.setenv("FUNNELWATCH_CLICKHOUSE_DATABASE", settings.database)
    monkeypatch.setenv("FUNNELWATCH_FUNNELS", str(tmp_path / "funnels.toml"))
    (tmp_path / "funnels.toml").write_text(DEFINITIONS)
    monkeypatch.chdir(tmp_path)
    run = CliRunner().invoke
    names = ("001_tables", "002_views", "003_hours", "004_annotations", "005_expectation")
    assert run(migrate, []).output == "".join(f"applied {name}.sql\n" for name in names)
    assert run(migrate, []).output == f"database {settings.database} is up to date\n"
    assert run(migrate, ["--print"]).output.startswith(f"CREATE DATABASE IF NOT EXISTS `{settings.database}`;\n")

    (funnel,) = load_funnels(tmp_path / "funnels.toml")
    with connect(settings) as client:
        Writer(client).write_rows([
            msgspec.structs.replace(row, funnel="signup", version=funnel.version, item="visit", to_stage="visit",
                                    entry_dims=("mail",))
            for row in final_rows(1, attempts=5) if row.kind == "enter" and row.stage == 0
        ])  # fmt: skip
    told = msgspec.json.decode(run(report, ["signup", "--by", "channel", "--json"]).output)
    assert (told["attempts"], told["stages"][0]["open"], list(told["by"]["channel"])) == (5, 5, ["mail"])
    assert "5 attempts are open" in run(report, ["signup"]).output
    assert run(report, ["signup", "--csv"]).output.splitlines()[1].startswith("signup,all,all,visit,")
    wrong = run(report, ["sign"])
    assert (wrong.exit_code, wrong.output.count("\n")) == (2, 1)
    assert wrong.output.endswith("has no funnel 'sign'; did you mean 'signup'?\n")
