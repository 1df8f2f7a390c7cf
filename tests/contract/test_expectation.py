"""Learning from ClickHouse against the counting of files: the same counts of the same visits, and what they teach."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import urlsplit

import msgspec
import pytest
from clickhouse_connect.driver.client import Client

from schemas.errors import SinkError
from schemas.event import Event
from schemas.expectation.history import Names, Needed
from schemas.expectation.learned import LearnedStep
from schemas.expectation.rates import Rates
from schemas.expectation.steps import steps
from schemas.progress import Progress
from schemas.settings import ClickHouse, Secret, Settings
from sinks.clickhouse.client import connect
from sinks.clickhouse.expectation import Learner, Seeded, write_seeds
from sinks.clickhouse.migrate import bring_up_to_date
from sinks.clickhouse.writer import Writer
from streams.batch.history import count_history
from streams.batch.intake import BatchInput, Intake
from streams.batch.run import Batch
from streams.commands.seed import queried
from streams.engine.batch import walk_unit
from tests.unit.expectation.shop import DAY, MINUTE, RATES, START, events, funnel, visits

SHOP = funnel()
CROSSES = (("channel", "device"),)
MINUTES = 2 * 1440
HORIZON = START + MINUTES * MINUTE
LEARNER = Learner((SHOP,), MINUTE, "UTC", Names({}, 20), Needed(DAY, 100), CROSSES)


@pytest.fixture
def tables(dsn: str, database: str) -> Iterator[Client]:
    """A fresh database with all tables."""
    server = urlsplit(dsn)
    settings = ClickHouse(
        url=f"{server.scheme}://{server.hostname}:{server.port}", user=server.username or "default",
        password=Secret(server.password or ""), database=database, transitions_ttl_days=0,
    )  # fmt: skip
    bring_up_to_date(settings)
    with connect(settings) as client:
        yield client


@pytest.fixture(scope="module")
def seen() -> list[Event]:
    """Two days, three visits a minute."""
    rng = random.Random(11)
    return [event for event in events(rng, visits(rng, MINUTES, 3)) if event.ts < HORIZON]


def counted_from_events(seen: list[Event]) -> list[Seeded]:
    """What `seed` counts, with the horizon of a stream that has followed them all."""
    last = Event(event="other", ts=HORIZON, event_id="last", session_id="last")
    data = [msgspec.json.encode(number) for number in range(len(seen) + 1)]
    every = [*seen, last]
    records = [Raw(number, item) for number, item in enumerate(data)]
    source = BatchInput("made up", records, lambda raw: every[int(raw)])  # type: ignore[arg-type]
    return list(count_history(Batch((SHOP,)), [source], MINUTE, CROSSES, Intake()))


class Raw(msgspec.Struct):
    line: int
    data: bytes


def fill(tables: Client, seen: list[Event], horizon: int = HORIZON) -> None:
    """The rows of these visits as the sink writes them, and how far they go."""
    by_session: dict[str, list[Event]] = {}
    for event in seen:
        by_session.setdefault(event.session_id or "", []).append(event)
    rows = [row for one in by_session.values() for row in walk_unit(SHOP, one, horizon)]
    writer = Writer(tables)
    writer.register([SHOP])
    writer.write_rows(rows)
    writer.write_progress([Progress(SHOP.name, SHOP.version, "units", 0, 1, horizon, horizon)])


def table(tables: Client, seeded: int) -> set[tuple[object, ...]]:
    sql = """SELECT step, toUnixTimestamp(quarter) * 1000, dimension, dimension_value, entered, converted,
        arraySort(mapKeys(delays)), arraySum(mapValues(delays)) FROM expectation_counts FINAL WHERE seeded = {seeded:UInt8}"""
    return {(*row[:6], tuple(row[6]), row[7]) for row in tables.query(sql, parameters={"seeded": seeded}).result_rows}


def expected_rows(counts: list[Seeded]) -> set[tuple[object, ...]]:
    return {
        (one.step, one.quarter, one.dimension, one.value, one.entered, one.converted, tuple(sorted(one.delays)),
         sum(one.delays.values()))
        for one in counts
    }  # fmt: skip


def test_clickhouse_counts_what_the_files_say(tables: Client, seen: list[Event]) -> None:
    """Every step, quarter of an hour and segment; counting again, and in two parts, changes nothing."""
    fill(tables, seen, HORIZON - DAY)
    LEARNER.count_all(tables)
    writer = Writer(tables)
    writer.write_progress([Progress(SHOP.name, SHOP.version, "units", 0, 2, HORIZON, HORIZON)])
    LEARNER.count_all(tables)
    LEARNER.count_all(tables)
    counts = counted_from_events(seen)
    assert len(counts) > 2_000
    assert table(tables, 0) == expected_rows(counts)


def test_seeds_teach_what_history_teaches(tables: Client, seen: list[Event]) -> None:
    write_seeds(tables, counted_from_events(seen))
    from_seeds = list(LEARNER.learn_all(tables, HORIZON))
    fill(tables, seen)
    LEARNER.count_all(tables)
    assert list(LEARNER.learn_all(tables, HORIZON)) == from_seeds  # lived through: the seeds are in nobody's way
    view, cart = from_seeds
    assert view.ready
    assert cart.ready
    check(view, 0)
    check(cart, 1)


def check(learned: LearnedStep, level: int) -> None:
    rates = Rates(learned)
    for channel, own in RATES.items():
        for device in ("mobile", "desktop"):
            found = rates.rate(40, "channel×device", f"{channel}×{device}")
            assert found == pytest.approx(own[level], rel=0.2), (channel, device)
    assert learned.curve.converted_by(4) == pytest.approx(0.55, abs=0.06)  # the median is 4 minutes
    assert learned.curve.converted_by(60) == pytest.approx(1, abs=0.01)
    assert sum(counts.entered for counts in learned.parts["device"].values()) == learned.whole.entered


def test_too_little_history_is_learning_and_says_until_when(tables: Client, seen: list[Event]) -> None:
    nothing = list(LEARNER.learn_all(tables, HORIZON))
    assert [step.ready for step in nothing] == [False, False]
    assert nothing[0].ready_at == HORIZON + DAY + 2 * 3_600_000
    write_seeds(tables, counted_from_events([event for event in seen if event.ts < START + DAY // 2]))
    early = next(LEARNER.learn_all(tables, HORIZON))
    assert not early.ready
    assert early.ready_at == START + DAY + 2 * 3_600_000


def test_a_past_incident_teaches_nothing(tables: Client) -> None:
    """Nobody could go on for three hours of the second day: the rates are those of the other hours."""
    rng = random.Random(12)
    fault, over = START + DAY + 36_000_000, START + DAY + 46_800_000
    seen = [
        event for event in events(rng, visits(rng, MINUTES, 3)) if event.event != "cart" or not fault <= event.ts < over
    ]
    gone = {event.session_id for event in seen} - {event.session_id for event in seen if event.event == "cart"}
    kept = [event for event in seen if event.event != "buy" or event.session_id not in gone]
    write_seeds(tables, counted_from_events(kept))
    learned = next(LEARNER.learn_all(tables, HORIZON))
    assert learned.whole.converted / learned.whole.entered == pytest.approx(0.45, abs=0.015)
    assert not [
        at
        for at in range(fault + 1_800_000, over - 1_800_000, 900_000)
        if Weekly.slot(at) in learned.whole.slots and learned.whole.slots[Weekly.slot(at)][1] == 0
    ]


class Weekly:
    """Slots in UTC."""

    @staticmethod
    def slot(ms: int) -> int:
        return (ms - START) // 900_000 % 672


def test_a_changed_stage_begins_anew_and_the_others_keep_theirs(tables: Client, seen: list[Event]) -> None:
    write_seeds(tables, counted_from_events(seen))
    stages = [{"name": name, "events": [name]} for name in ("view", "cart")]
    changed = funnel(stages=[*stages, {"name": "buy", "events": ["buy", "order"]}])
    learner = msgspec.structs.replace(LEARNER, funnels=(changed,))
    assert [step.ready for step in learner.learn_all(tables, HORIZON)] == [True, False]
    assert [step.fingerprint for step in steps(changed, MINUTE)] != [step.fingerprint for step in steps(SHOP, MINUTE)]


def test_rare_values_are_one(tables: Client, seen: list[Event]) -> None:
    write_seeds(tables, counted_from_events(seen))
    narrow = msgspec.structs.replace(LEARNER, names=Names({"channel": ("paid",)}, 1))
    learned = next(narrow.learn_all(tables, HORIZON))
    assert set(learned.parts["channel"]) == {"paid", "other"}
    assert len(learned.parts["device"]) == 2  # the one with most visitors, and other
    assert sum(counts.entered for counts in learned.parts["channel×device"].values()) == learned.whole.entered


def test_a_query_is_a_file_of_its_rows_and_changes_nothing(dsn: str, database: str, tables: Client) -> None:
    server = urlsplit(dsn)
    clickhouse = ClickHouse(
        url=f"{server.scheme}://{server.hostname}:{server.port}", user=server.username or "default",
        password=Secret(server.password or ""), database=database,
    )  # fmt: skip
    settings = Settings(clickhouse=clickhouse)
    with ExitStack() as stack:
        path = queried(settings, "SELECT 'view' AS event, toUInt64(number) AS ts FROM numbers(3)", stack)
        lines = [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]
        assert lines == [{"event": "view", "ts": number} for number in range(3)]
        with pytest.raises(SinkError, match="can't run the query"):
            queried(settings, "SELECT nothing FROM nowhere", stack)
        with pytest.raises(SinkError, match="can't run the query"):
            queried(settings, "TRUNCATE TABLE expectation_counts", stack)
