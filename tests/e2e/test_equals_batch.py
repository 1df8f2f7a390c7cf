"""The heart: what ClickHouse and Prometheus say of a stream equals what `batch` says of the same records.

Row for row and figure for figure: levels, drop-offs and their reasons, revenue, breakdowns, counts of events.
"""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from schemas import topics as names
from schemas.decode import DecodeOptions, Format, decoder, load_mapping, mapping_for, read_records
from schemas.event import HEARTBEAT
from sinks.clickhouse.queries import read_report
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import KeyValue
from streams.commands.replay import replay_command
from streams.decoding import event_protection, protected
from streams.stream.letters import decode_letter
from streams.traffic import REASONS, Traffic, TrafficConfig, TrafficRecord
from tests.e2e.child import Child
from tests.e2e.oracle import Expected, difference, expected, stored_rows
from tests.e2e.prometheus import assert_counters, event_counters
from tests.e2e.stack import Site, Stack
from tests.stream.letters_key import PRIVACY, opened_letters

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
MONDAY = 1_767_571_200_000
DAY = 86_400_000
PARTITIONS = 4
#: At least this many events are generated; a day of the shop at this many visitors.
EVENTS, VISITORS = 200_000, 23_000.0
#: As many of the records go through the internal logs.
REKEYED = 100_000


@pytest.fixture(scope="module")
def traffic() -> list[TrafficRecord]:
    """A day of the shop: up to 30 s out of order, copies, bots, refunds, and 1 % broken records of every kind."""
    config = TrafficConfig(seed=11, start_ms=MONDAY, visitors_per_day=VISITORS, duplicate_share=0.01)
    made = list(Traffic(config).records(MONDAY + DAY))
    assert sum(record.bad is None for record in made) >= EVENTS
    assert {record.bad for record in made if record.bad is not None} == set(REASONS)
    assert sum(record.duplicate for record in made) > 1_000
    assert sum(record.bot for record in made) > 5_000
    return made


def answer_of_traffic(stack: Stack, traffic: list[TrafficRecord]) -> Expected:
    """What batch says of it: something of everything."""
    decode, now = decoder(DecodeOptions()), int(time.time() * 1000)
    wanted = expected(stack.funnels, [record.data for record in traffic], lambda data: decode(data, now))
    outcomes = {row.outcome for row in wanted.rows.values()}
    assert outcomes == {"", "converted", "step_timeout", "window_timeout", "excluded", "broken"}
    assert {row.direction for row in wanted.rows.values()} == {"", "forward", "skip", "back"}
    assert {"EUR", "USD"} & set(wanted.reports["purchase"].revenue)
    assert {row.kind for row in wanted.rows.values()} == {"enter", "end", "move", "refund"}
    return wanted


def spread(traffic: list[TrafficRecord], newest: int) -> dict[int, list[KeyValue]]:
    """The records by partition, one after another without keys, a heartbeat at each end."""
    parts: dict[int, list[KeyValue]] = {number: [] for number in range(PARTITIONS)}
    for index, record in enumerate(traffic):
        parts[index % PARTITIONS].append((None, record.data))
    end = msgspec.json.encode({"event": HEARTBEAT, "timestamp": newest})
    for records in parts.values():
        records.append((None, end))
    return parts


def test_traffic_of_a_keyed_source_equals_batch(
    broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str, tmp_path: Path, traffic: list[TrafficRecord]
) -> None:
    """Sessions are followed on the source itself, visitors through their internal log. Replayed from a file, in its order."""
    records = [record for record in traffic if record.data.strip()]  # an empty line of a file is no record
    file = tmp_path / "traffic.jsonl"
    file.write_bytes(b"".join(record.data + b"\n" for record in records))
    with stack_of(tmp_path, broker, clickhouse, database, keyed=True) as stack:
        wanted = answer_of_traffic(stack, records)
        replay_and_compare(stack, "clicks", [str(file), "--as-is"], wanted)


def test_traffic_through_the_internal_logs_equals_batch(
    broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str, tmp_path: Path, traffic: list[TrafficRecord]
) -> None:
    """Keys say nothing: a session's records lie on all partitions, and are brought together by the logs."""
    with stack_of(tmp_path, broker, clickhouse, database, keyed=False) as stack:
        follow_and_compare(stack, traffic[:REKEYED])


def stack_of(
    directory: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str, *, keyed: bool
) -> Stack:
    """A monitor of the generated shop."""
    source = 'keyed_by = "session"\nidle_after = "10m"' if keyed else 'idle_after = "10m"'
    site = Site(funnels=HERE / "funnels.toml", sources={"clicks": source}, source_partitions=PARTITIONS, extra=PRIVACY)
    return Stack(directory, broker.bootstrap_servers, clickhouse.url, database, site)


def follow_and_compare(stack: Stack, traffic: list[TrafficRecord]) -> None:
    """Sends the records to a running monitor and compares all that it answers."""
    wanted = answer_of_traffic(stack, traffic)
    worker, sink = stack.start_both()
    began = time.perf_counter()
    stack.send_all("clicks", spread(traffic, wanted.horizon))
    compare(stack, "clicks", worker, sink, wanted, began)


def test_a_replayed_shop_equals_batch(
    broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str, tmp_path: Path, shared_data: Path
) -> None:
    file, mapping = shared_data / "shop" / "ecom.csv.gz", EXAMPLES / "shop" / "mapping.toml"
    site = Site(
        funnels=EXAMPLES / "shop" / "funnels.toml",
        sources={"shop": 'keyed_by = "session"'},
        source_partitions=PARTITIONS,
        extra=PRIVACY,
    )
    with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, site) as stack:
        wanted = answer_of_file(stack, file, mapping)
        assert wanted.reports["purchase"].events["read"] == 31_106
        assert wanted.reports["purchase"].events["duplicate"] == 30
        replay_and_compare(stack, "shop", [str(file), "--mapping", str(mapping)], wanted)


def test_a_replayed_web_log_equals_batch(
    broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str, tmp_path: Path, shared_data: Path
) -> None:
    file, mapping = shared_data / "weblog" / "apache_logs.gz", EXAMPLES / "weblog" / "mapping.toml"
    site = Site(
        funnels=EXAMPLES / "weblog" / "funnels.toml",
        sources={"log": 'idle_after = "10m"'},
        source_partitions=PARTITIONS,
        extra=PRIVACY,
    )
    with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, site) as stack:
        wanted = answer_of_file(stack, file, mapping)
        events = wanted.reports["reading on"].events
        assert (events["read"], events["invalid"]) == (10_000, 1)
        assert events["duplicate"] > 0
        assert any(row.outcome == "session_end" for row in wanted.rows.values())
        replay_and_compare(stack, "log", [str(file), "--mapping", str(mapping)], wanted)


def answer_of_file(stack: Stack, file: Path, mapping: Path) -> Expected:
    """What batch says of a file."""
    rules = mapping_for(file, Format.MAPPING, load_mapping(mapping))
    decode = protected(decoder(DecodeOptions(format=Format.MAPPING, mapping=rules)), event_protection(stack.settings))
    now = int(time.time() * 1000)
    records = [record.data for record in read_records(file, Format.MAPPING, rules)]
    return expected(stack.funnels, records, lambda data: decode(data, now))


def replay_and_compare(stack: Stack, source: str, arguments: list[str], wanted: Expected) -> None:
    """Replays a file into a running monitor and compares all that it answers."""
    worker, sink = stack.start_both()
    began = time.perf_counter()
    result = CliRunner().invoke(replay_command, [*arguments, "--config", str(stack.config)])
    assert result.exit_code == 0, result.output
    compare(stack, source, worker, sink, wanted, began)


def compare(stack: Stack, source: str, worker: Child, sink: Child, wanted: Expected, began: float) -> None:
    """Waits for the answers to what was sent since `began`, compares them, and stops both."""
    sent = time.perf_counter()
    stack.until_stored(worker, sink)
    stored = time.perf_counter()
    print(
        f"{source}: sent in {sent - began:.1f} s, {len(wanted.rows):,} rows stored {stored - sent:.1f} s later; "
        f"CPU {worker.cpu():.1f} s of the worker, {sink.cpu():.1f} s of the sink"
    )
    assert_equal(stack, worker, wanted)
    check_dead_letters(stack, wanted, source)
    assert worker.stop() == 0
    assert sink.stop() == 0


def assert_equal(stack: Stack, worker: Child, wanted: Expected) -> None:
    """Rows, reports and counters."""
    client = stack.client()
    try:
        stored = stored_rows(client)
        assert difference(stored, wanted.rows) == ""
        for funnel in stack.funnels:
            report = read_report(client, funnel, by=funnel.dimensions)
            batch = wanted.reports[funnel.name]
            assert report.events == batch.events
            assert report.events["late"] == 0
            assert report.document() == batch.document()
            assert report == batch  # matured attempts, reasons and the horizon as well
    finally:
        client.close()
    assert_counters(worker, stack.funnels, wanted.reports, stored.values())
    assert event_counters(worker) == {
        (name, outcome): count
        for name, report in wanted.reports.items()
        for outcome, count in report.events.items()
        if count and outcome != "read"
    }


def check_dead_letters(stack: Stack, wanted: Expected, source: str) -> None:
    """Every refused record stands in the topic and in the table once, with its place and, sealed, its exact bytes."""
    topic = stack.topic(source)
    places = {(record.topic, record.partition, record.offset): record for record in stack.read_topic(topic)}
    sealed = [decode_letter(record.value) for record in stack.read_topic(names.dead_letters(stack.prefix))]
    letters = opened_letters(stack)
    assert Counter((letter.payload, letter.reason) for letter in letters) == Counter(wanted.refused)
    assert len({(letter.topic, letter.partition, letter.offset) for letter in letters}) == len(letters)
    for letter in letters:
        record = places[letter.topic, letter.partition, letter.offset]
        assert (letter.payload, letter.key, letter.time) == (record.value or b"", record.key or b"", record.timestamp)
    table = stored_letters(stack)
    assert sorted(table) == sorted(
        (letter.topic, letter.partition, letter.offset, letter.reason, letter.payload.hex(), letter.key.hex())
        for letter in sealed
    )


def stored_letters(stack: Stack) -> list[tuple[Any, ...]]:
    """The table's dead letters; bytes as hex."""
    client = stack.client()
    try:
        sql = "SELECT topic, partition, offset, reason, lower(hex(payload)), lower(hex(key)) FROM dead_letters_v"
        return [tuple(row) for row in client.query(sql).result_rows]
    finally:
        client.close()
