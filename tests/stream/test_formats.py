"""The shop's events in nine encodings at once give the native form's figures, and an outage of the schema registry loses none.

What is expected is what `batch` says of the native records alone, with no decoder of another encoding in its way.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import msgspec

from schemas import topics as names
from schemas.decode import DecodeOptions, decoder
from schemas.event import HEARTBEAT
from sinks.clickhouse.client import connect
from sinks.clickhouse.queries import read_report
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import KeyValue
from streams.stream.letters import decode_letter
from tests.e2e.child import Child
from tests.e2e.oracle import Expected, difference, expected, stored_rows
from tests.e2e.stack import Site, Stack, until
from tests.formats.encodings import ENCODINGS, Fields
from tests.formats.framed import fill
from tests.formats.registry import StubRegistry
from tests.formats.shop import native_form, shop_fields

EVENTS = 10_000  # in each encoding
PARTITIONS = 1
FUNNELS = ("purchase", "lead")
IDS = ("event_id", "session_id", "visitor_id", "user_id", "order_id")
REFUSED = {
    b"\0\0\0\x03\xe7rest": "unknown_schema",
    b"\0\0\0\0\x01\xff": "unparseable",
    b'{"event": "x"}': "unparseable",
}


def renamed(fields: Fields, encoding: str) -> Fields:
    """The same event of another shop: its ids are that encoding's own."""
    return fields | {name: f"{encoding}-{fields[name]}" for name in IDS if name in fields}


def waited(child: Child) -> float:
    lines = child.get("/metrics")[1].splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith("funnel_registry_waiting_seconds{")), 0.0)


def test_nine_encodings_give_the_native_forms_figures_through_an_outage_of_the_registry(
    tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    sources = {name: f'idle_after = "10m"\n{encoding.toml(tmp_path, name)}' for name, encoding in ENCODINGS.items()}
    events = list(shop_fields("e", EVENTS))
    with StubRegistry() as registry:
        fill(registry)
        site = Site(
            funnels=definitions(tmp_path), sources=sources, source_partitions=PARTITIONS,
            partitions=4, extra=f'[registry]\nurl = "{registry.url}"\ntimeout = "2s"\n',
        )  # fmt: skip
        with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, site) as stack:
            assert len(stack.funnels) == len(FUNNELS)
            wanted = answer(stack, events)
            worker, sink = stack.start_both()
            send(stack, events[: EVENTS // 2], later=False)
            stack.until_followed(worker)
            registry.fault = 0
            fill(registry, 2)  # the producers have moved on to new schemas, which nobody can ask for now
            send(stack, events[EVENTS // 2 :], later=True)
            worker.until(lambda: waited(worker) > 1 and waited(sink) > 1, "wait for the registry")
            assert "waits, nothing is lost" in worker.text()
            assert worker.get("/readyz")[0] == 200
            asked = len(registry.asked)
            until(lambda: len(registry.asked) > asked, "it is asked again")
            assert worker.stop() == 0  # in order, though chunks wait: they are not acknowledged, and come again
            worker = stack.start("worker")
            worker.until(lambda: waited(worker) > 0, "wait for the registry again")
            registry.fault = None
            finish(stack, wanted.horizon)
            stack.until_stored(worker, sink)
            assert (waited(worker), waited(sink)) == (0.0, 0.0)
            check(stack, wanted)
            letters = [decode_letter(found.value) for found in stack.read_topic(names.dead_letters(stack.prefix))]
            assert Counter(letter.reason for letter in letters) == Counter(REFUSED.values())
            assert {letter.topic for letter in letters} == {stack.topic("avro")}


def definitions(directory: Path) -> Path:
    """One funnel of sessions and one of visitors, out of those that the other tests use."""
    text = (Path(__file__).parents[1] / "e2e" / "funnels.toml").read_text(encoding="utf-8")
    parts = [part for part in text.split("[[funnels]]") if any(f'name = "{name}"\nunit' in part for name in FUNNELS)]
    path = directory / "funnels.toml"
    path.write_text("".join(f"[[funnels]]{part}" for part in parts), encoding="utf-8")
    return path


def answer(stack: Stack, events: list[Fields]) -> Expected:
    """What `batch` says of the native forms of all that is sent."""
    decode, now = decoder(DecodeOptions()), int(time.time() * 1000)
    records = [native_form(name, renamed(fields, name)) for name in ENCODINGS for fields in events]
    return expected(stack.funnels, records, lambda data: decode(data, now))


def send(stack: Stack, events: list[Fields], *, later: bool) -> None:
    """The events in every encoding, spread over the partitions; `later`: by the schemas' second versions."""
    for name, encoding in ENCODINGS.items():
        write = encoding.later if later and encoding.later is not None else encoding.write
        parts: dict[int, list[KeyValue]] = {number: [] for number in range(PARTITIONS)}
        for part, fields in zip(itertools.cycle(parts.values()), events, strict=False):
            part.append((None, write(renamed(fields, name))))
        stack.send_all(name, parts)


def finish(stack: Stack, horizon: int) -> None:
    """Records that can't be used, and a heartbeat in every encoding."""
    stack.send("avro", 0, [(None, data) for data in REFUSED])
    for name, encoding in ENCODINGS.items():
        beat = encoding.write({"event": HEARTBEAT, "event_id": "-", "timestamp": horizon})
        stack.send_all(name, {number: [(None, beat)] for number in range(PARTITIONS)})


def check(stack: Stack, wanted: Expected) -> None:
    """Row for row, and figure for figure but for what was refused."""
    client = connect(msgspec.structs.replace(stack.settings.clickhouse, timeout=120_000))
    try:
        assert difference(stored_rows(client), wanted.rows) == ""
        for funnel in stack.funnels:
            report, batch = read_report(client, funnel, by=funnel.dimensions), wanted.reports[funnel.name]
            told, other = report.document(), batch.document()
            assert {**told, "events": None} == {**other, "events": None}
            assert one_kind(report.events) == one_kind(batch.events) | {
                "read": batch.events["read"] + len(REFUSED), "invalid": batch.events["invalid"] + len(REFUSED),
            }  # fmt: skip
            assert 0 <= batch.events["duplicate"] - report.events["duplicate"] <= len(ENCODINGS)
    finally:
        client.close()


def one_kind(events: Mapping[str, int]) -> dict[str, int]:
    """Events by what became of them. One that no funnel looks at, and that was seen before the worker's restart, may count as ignored
    instead of as a duplicate."""
    rest = {name: count for name, count in events.items() if name not in ("ignored", "duplicate")}
    return rest | {"ignored or duplicate": events["ignored"] + events["duplicate"]}
