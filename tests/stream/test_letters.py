"""What leaves the stream beside rows: drop-offs without ids of those who did not agree, and dead letters as they came."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from schemas import topics as names
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import KeyValue
from tests.e2e.stack import Stack
from tests.stream.letters_key import PRIVACY, opened_letters
from tests.stream.shop import MONDAY, SITE

HOUR = 3_600_000


def record(session: str, at: int, **fields: Any) -> KeyValue:
    """An entry of the purchase funnel."""
    event = {"event": "session_start", "event_id": f"{session}-{at}", "timestamp": MONDAY + at, "session_id": session}
    return session.encode(), msgspec.json.encode(event | {"visitor_id": f"v-{session}"} | fields)


def test_drop_offs_name_only_those_who_agreed(tmp_path: Path, broker: EmbeddedKafka) -> None:
    with Stack(tmp_path, broker.bootstrap_servers, "http://127.0.0.1:1", "nowhere", SITE) as stack:
        worker = stack.start("worker")
        sessions: list[KeyValue] = [
            record("agreed", 0, consent=True, channel="paid"),
            record("declined", 1, consent=False),
            record("silent", 2),
            record("withdrew", 3, consent=True),
            record("withdrew", 4, consent=False, event="view_item"),
        ]
        stack.send("clicks", 0, sessions)
        stack.heartbeat("clicks", MONDAY + 48 * HOUR)
        stack.until_followed(worker)
        drops = [msgspec.json.decode(found.value) for found in stack.read_topic(names.drop_offs(stack.prefix))]
        purchase = {drop["entered_at"] - MONDAY: drop for drop in drops if drop["funnel"] == "purchase"}
        assert {at: drop.get("id") for at, drop in purchase.items()} == {0: "agreed", 1: None, 2: None, 3: None}
        assert {drop["reason"] for drop in purchase.values()} == {"window_timeout"}
        assert purchase[0]["dimensions"] == {"channel": "paid", "device": "(none)", "customer_type": "(none)"}
        assert purchase[3]["stage"] == "view_item"
        assert purchase[0]["dropped_at"] == MONDAY + 2 * HOUR
        lead = {drop.get("id") for drop in drops if drop["funnel"] == "lead"}
        assert lead == {"v-agreed", None}
        everything = b"".join(
            found.value + (found.key or b"") for found in stack.read_topic(names.drop_offs(stack.prefix))
        )
        assert not [name for name in (b"declined", b"silent", b"withdrew") if name in everything]


def test_a_record_of_5_mb_and_a_wrong_key_become_dead_letters_and_stop_nothing(
    tmp_path: Path, broker: EmbeddedKafka
) -> None:
    site = msgspec.structs.replace(SITE, extra=PRIVACY)
    with Stack(tmp_path, broker.bootstrap_servers, "http://127.0.0.1:1", "nowhere", site) as stack:
        worker = stack.start("worker")
        good = record("good", 0)
        huge = (b"huge", record("huge", 1, url="https://shop.example/" + "x" * 5_000_000)[1])
        strange = (b"another", record("strange", 2)[1])
        keyless = (None, record("keyless", 3)[1])
        stack.send("clicks", 1, [huge, good, strange, keyless, (b"empty", None)])
        stack.heartbeat("clicks", MONDAY + 48 * HOUR)
        stack.until_followed(worker)
        letters = opened_letters(stack)
        assert [(letter.partition, letter.offset, letter.reason) for letter in letters] == [
            (1, 0, "too_large"), (1, 2, "key_mismatch"), (1, 3, "key_mismatch"), (1, 4, "unparseable"),
        ]  # fmt: skip
        assert [letter.payload for letter in letters] == [huge[1], strange[1], keyless[1], b""]
        assert [letter.key for letter in letters] == [b"huge", b"another", b"", b"empty"]
        assert "'another'" in letters[1].detail
        assert len({letter.topic for letter in letters} | {stack.topic("clicks")}) == 1
        assert stack.read_topic(names.transitions(stack.prefix))  # the good one's
