"""Privacy through the whole monitor: what is planted is found nowhere, pseudonyms stand for ids, and a person is forgotten."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner

from schemas import topics as names
from schemas.funnel import Unit
from schemas.privacy.pseudonyms import pseudonym
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import KeyValue
from streams.commands.forget import forget
from tests.e2e.stack import Site, Stack
from tests.stream.letters_key import PRIVACY
from tests.stream.shop import FUNNELS, MONDAY

ID_KEY = "pseudonyms-of-this-test"
EMAIL, ADDRESS, ADDRESS6 = "jane.doe@planted.example", "203.0.113.77", "2001:db8::1:77"
PLANTED = (EMAIL, ADDRESS, ADDRESS6, "jane.doe%40planted", "jane.doe\\u0040planted")
MINUTE = 60_000
TABLES = ("transitions", "attempts", "events", "dead_letters", "progress", "definitions", "hours")


def record(session: str, visitor: str, at: int, **fields: Any) -> KeyValue:
    event = {"event": "session_start", "event_id": f"e-{at}", "timestamp": MONDAY + at, "session_id": session}
    return session.encode(), msgspec.json.encode(event | {"visitor_id": visitor} | fields)


def events() -> list[KeyValue]:
    """Of jane and of bob; two of jane's can't be used."""
    planted = {
        "ip": ADDRESS, "user_agent": f"Mozilla {EMAIL}", "url": f"https://shop.example/?m=jane.doe%40planted.example&a={ADDRESS6}",
        "campaign": f"for {EMAIL}", "channel": EMAIL, "properties": {"mail": EMAIL, "deep": [{"ip": ADDRESS}, {ADDRESS6: 1}]},
        "user_id": EMAIL, "consent": True,
    }  # fmt: skip
    value = record("s-jane", "v-jane", 4)[1] or b""
    return [
        record("s-jane", "v-jane", 0, **planted),
        record("s-jane", "v-jane", 1, event="view_item"),
        record("s-bob", "v-bob", 2),
        (b"s-jane", value.replace(b'"timestamp":', b'"timestamp":"' + EMAIL.encode() + b'","then":')),
        (b"s-jane", b"no json of v-jane from " + f"{ADDRESS} {ADDRESS6} {EMAIL} jane.doe\\u0040planted".encode()),
        (EMAIL.encode(), record("s-jane", "v-jane", 5, currency=EMAIL, revenue=1)[1]),
    ]


def everything(stack: Stack, logs: list[str]) -> dict[str, bytes]:
    """All that is stored and told, by where: topics of our own, tables, logs."""
    own = [names.transitions, names.drop_offs, names.dead_letters]
    topics = [name(stack.prefix) for name in own]
    topics += [names.state_log(stack.prefix, unit) for unit in (Unit.SESSION, Unit.VISITOR)]
    topics.append(names.unit_log(stack.prefix, Unit.VISITOR))
    found = {
        topic: b"\n".join((record.key or b"") + b" " + (record.value or b"") for record in stack.read_topic(topic))
        for topic in topics
    }
    client = stack.client()
    try:
        for table in TABLES:
            found[table] = client.raw_query(f"SELECT * FROM {table}", fmt="TabSeparated")
    finally:
        client.close()
    return found | {f"log {number}": text.encode() for number, text in enumerate(logs)}


def where(found: dict[str, bytes], *texts: str) -> dict[str, list[str]]:
    """Which of the texts are found where."""
    hits = {place: [text for text in texts if text.encode() in data] for place, data in found.items()}
    return {place: hit for place, hit in hits.items() if hit}


@pytest.mark.parametrize(
    ("privacy", "key"),
    [("", b""), (f'{PRIVACY}id_key = "{ID_KEY}"\n', ID_KEY.encode())],
    ids=["masked, ids as they are", "sealed, pseudonyms"],
)
def test_what_is_planted_is_found_nowhere_and_a_person_is_forgotten(
    privacy: str, key: bytes, tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    site = Site(
        funnels=FUNNELS,
        sources={"clicks": 'keyed_by = "session"\nidle_after = "10m"'},
        source_partitions=2,
        partitions=2,
        extra=privacy,
    )
    with Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, site) as stack:
        worker, sink = stack.start_both()
        stack.send("clicks", 1, events())
        stack.until_stored(worker, sink)
        told = [worker.text(), sink.text(), worker.get("/metrics")[1], sink.get("/metrics")[1]]
        found = everything(stack, told)
        assert where(found, *PLANTED) == {}
        assert b"(email)" in found["events"]
        as_stored = pseudonym(key) if key else lambda text: text
        assert set(where(found, as_stored("s-jane"))) >= {"transitions", "attempts", "events"}
        if key:
            assert where(found, "s-jane", "v-jane", "s-bob", "v-bob") == {}

        answer = CliRunner().invoke(forget, ["v-jane", "--scan", "--json", "--config", str(stack.config)])
        assert answer.exit_code == 0, answer.output
        done = msgspec.json.decode(answer.output)
        assert (done["stored_as"], done["sessions"], done["waiting_for"]) == (as_stored("v-jane"), 1, "")
        assert all(done["erased"][table] for table in ("transitions", "attempts", "events"))
        assert done["letters"] == (3 if key else 0)  # masked ones hold nobody
        assert done["named"] == {stack.topic("clicks"): 5 + 2 * (not key)}
        assert done["kept"][0] == {"topic": stack.topic("clicks"), "days": None}
        left = everything(stack, [])
        gone = ("transitions", "attempts", "events", "dead_letters")
        assert not set(where(left, as_stored("s-jane"), as_stored("v-jane"))) & set(gone)
        assert set(where(left, as_stored("s-bob"))) >= {"transitions", "attempts", "events"}
        check_no_resurrection(stack, as_stored("s-jane"), as_stored("v-jane"))


def check_no_resurrection(stack: Stack, session: str, visitor: str) -> None:
    """The state is gone from its topics, and a worker that takes over knows nothing of it."""
    for unit, unit_id in ((Unit.SESSION, session), (Unit.VISITOR, visitor)):
        newest = {record.key: record.value for record in stack.read_topic(names.state_log(stack.prefix, unit))}
        assert newest[f"={unit_id}".encode()] is None
    stack.children[0].kill()
    worker = stack.start("worker")
    stack.send(
        "clicks",
        1,
        [record("s-jane", "v-jane", MINUTE, event="add_to_cart"), record("s-bob", "v-bob", MINUTE, event="view_item")],
    )
    stack.until_stored(worker, stack.children[1])
    client = stack.client()
    try:
        rows = client.query("SELECT unit_id, kind FROM transitions_v WHERE kind = 'enter' AND unit_id IN {ids:Array(String)}",
                            parameters={"ids": [session, visitor]}).result_rows  # fmt: skip
        assert rows == []  # no open attempt took it
    finally:
        client.close()
