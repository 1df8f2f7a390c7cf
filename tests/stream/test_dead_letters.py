"""Dead letters through the commands, on the real broker: listed, shown, and put back once the mapping was mended."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from schemas import topics as names
from schemas.dead_letter import DeadLetter
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import KeyValue
from streams.commands.dead_letters import dead_letters
from streams.stream.letters import encode_letter
from tests.e2e.stack import Site, Stack, write_records
from tests.stream.letters_key import PRIVACY
from tests.stream.shop import FUNNELS, MONDAY

BROKEN = 'event = "{what}"\n[fields]\ntimestamp = "when"\nsession_id = "sid"\nevent_id = "id"\n'
MENDED = BROKEN.replace('"when"', '"ts"')
HOSTILE = "\x1b[2J\x1b]0;owned\x07\u009b31m\u202eevil"


def record(number: int, **fields: Any) -> KeyValue:
    """An entry of the purchase funnel in a shape of its own."""
    return None, msgspec.json.encode(
        {"what": "session_start", "ts": MONDAY + number, "sid": f"s{number}", "id": f"e{number}"} | fields
    )


def command(stack: Stack, *arguments: str) -> Result:
    return CliRunner().invoke(dead_letters, [*arguments, "--config", str(stack.config)])


def outcomes(stack: Stack) -> tuple[int, int, int]:
    """Matched, duplicate, invalid: of the purchase funnel, as ClickHouse has them."""
    client = stack.client()
    try:
        sql = "SELECT sum(matched), sum(duplicate), sum(invalid) FROM progress_v WHERE funnel = 'purchase'"
        return tuple(client.query(sql).result_rows[0])
    finally:
        client.close()


@pytest.fixture(params=[PRIVACY, ""], ids=["sealed", "masked"])
def stack(
    request: pytest.FixtureRequest, tmp_path: Path, broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> Stack:
    (tmp_path / "m.toml").write_text(BROKEN)
    source = 'mapping = "m.toml"\nidle_after = "10m"'
    site = Site(funnels=FUNNELS, sources={"clicks": source}, source_partitions=2, partitions=2, extra=request.param)
    return Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, site)


def test_what_was_refused_is_listed_shown_and_counted_once_however_often_it_is_put_back(stack: Stack) -> None:
    sealed = bool(stack.site.extra)
    with stack:
        worker, sink = stack.start_both()
        stack.send("clicks", 1, [record(1), record(2), (b"\x1b[2Jkey", b'{"what": "' + HOSTILE.encode() + b'"}')])
        stack.until_stored(worker, sink)
        assert outcomes(stack) == (0, 0, 3)
        topic = stack.topic("clicks")
        for place in ("kafka", "clickhouse"):
            listed = command(stack, "list", "--json", "--from", place)
            assert listed.exit_code == 0, listed.output
            found = msgspec.json.decode(listed.output)
            assert found["dead_letters"] == 3
            assert [(group["source"], group["reason"], group["count"]) for group in found["groups"]] == [
                (topic, "missing_timestamp", 2), (topic, "unparseable", 1),
            ]  # fmt: skip
        check_shown(stack, f"{topic}:1:2", sealed=sealed)
        check_still_refused(stack)

        (stack.directory / "m.toml").write_text(MENDED)
        assert worker.stop() == 0
        worker = stack.start("worker")
        back = command(stack, "replay", "--json")
        assert back.exit_code == 0, back.output
        done = msgspec.json.decode(back.output)
        assert (done["back"], [refusal["id"] for refusal in done["refused"]]) == (2, [f"{topic}:1:2"])
        again = command(stack, "replay", "--json")
        assert msgspec.json.decode(again.output)["back"] == 0  # they are no letters any more
        stack.until_stored(worker, sink)
        assert outcomes(stack) == (2, 0, 3)
        if sealed:
            put_back_after_a_crash_in_between(stack)
            stack.until_stored(worker, sink)
            assert outcomes(stack) == (2, 1, 3)
        left = msgspec.json.decode(command(stack, "list", "--json").output)
        assert [(group["source"], group["count"]) for group in left["groups"]] == [(topic, 1)]


def check_shown(stack: Stack, place: str, *, sealed: bool) -> None:
    """Nothing that a terminal obeys is shown; who has the key has every byte."""
    for arguments in (["show", place], ["show", place, "--json"], ["list"], ["list", "--each"]):
        shown = command(stack, *arguments)
        assert shown.exit_code == 0, shown.output
        assert all(c.isprintable() or c == "\n" for c in shown.output), arguments
        assert place.rpartition(":")[0] in shown.output.replace("\n", "")
    raw = command(stack, "show", place, "--raw")
    if sealed:
        assert raw.stdout_bytes == b'{"what": "' + HOSTILE.encode() + b'"}'
        assert "\\x1b[2J" in command(stack, "show", place).output
    else:
        assert (raw.exit_code, raw.stdout) == (2, "")
        assert "was masked, since no key was set" in raw.stderr
        assert "owned" not in command(stack, "show", place).output
    assert command(stack, "show", "nowhere:0:0").stderr.startswith("Error: dead letter: there is none at nowhere:0:0")


def check_still_refused(stack: Stack) -> None:
    """The mapping is as it was: nothing is put back, and it says why."""
    told = command(stack, "replay")
    assert told.exit_code == 0, told.output
    assert told.output.splitlines()[0] == "0 put back, 3 can't be used as they are"
    assert "missing_timestamp: timestamp is not given" in told.output


def put_back_after_a_crash_in_between(stack: Stack) -> None:
    """A letter whose record was put back, and which was not taken out."""
    from schemas.privacy.sealing import Seal
    from tests.stream.letters_key import KEY

    key, value = record(1)
    letter = Seal(KEY).close(
        DeadLetter(stack.topic("clicks"), 1, 0, "missing_timestamp", "", MONDAY, key or b"", value or b"")
    )
    topic = names.dead_letters(stack.prefix)
    asyncio.run(write_records(stack.settings, topic, {1: [(letter.id.encode(), encode_letter(letter))]}))
    back = command(stack, "replay", letter.id, "--json")
    assert msgspec.json.decode(back.output) == {"back": 1, "old": 1, "refused": []}
