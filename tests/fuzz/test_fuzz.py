"""A short, seeded share of `make fuzz`: nothing breaks, memory stays, and the checks themselves would see a fault."""

from __future__ import annotations

import asyncio
from pathlib import Path
from random import Random

import pytest

from schemas.decode import Decode, DecodeOptions, decoder
from schemas.event import Event
from streams.engine.usual import COMPILED
from tests.formats.shop import MONDAY
from tests.fuzz import web
from tests.fuzz.files import Files
from tests.fuzz.part import stream
from tests.fuzz.stream import Broken, World, culprit

SEED = 20_260_105
GOOD = b'{"event": "session_start", "timestamp": 1767571200000, "session_id": "s", "visitor_id": "v", "event_id": "e"}'


def test_mutated_records_of_every_encoding_break_nothing(tmp_path: Path) -> None:
    found = stream(SEED, 1, tmp_path, life=1)
    assert found["broken"] == []
    assert found["records"] == 13 * 400
    assert 1_500 < found["dead_letters"] < 4_000
    assert found["read"] > 30 or not COMPILED  # records that the engine took as they lie in Kafka
    assert set(found["reasons"]) >= {"unparseable", "wrong_type", "bad_text", "bad_timestamp", "unknown_schema"}


def test_mutated_settings_definitions_mappings_and_variables_are_read_or_refused_in_words(tmp_path: Path) -> None:
    rng, files = Random(SEED), Files(tmp_path)
    for _ in range(300):
        files.one(rng)
        files.environment(rng)
    for _ in range(5):
        files.command(rng)
    assert all(0 < files.told[kind] < files.tried[kind] for kind in ("settings", "funnels", "mapping"))


def test_odd_requests_are_answered() -> None:
    answers = asyncio.run(web.ask(Random(SEED), 150))
    assert answers[200] > 10
    assert answers[404] > 10


def test_an_engine_that_loses_its_way_is_seen() -> None:
    """Both ways of the engine are compared, and a decoder that raises anything else is told with its record."""
    plain = decoder(DecodeOptions())

    def raising(data: bytes, now: int) -> Event:
        if b"poison" in data:
            raise MemoryError
        return plain(data, now)

    values = [GOOD, GOOD.replace(b'"e"', b'"poison"'), b"{"]
    assert culprit("x", raising, values, MONDAY, 1) == values[1]
    with pytest.raises(MemoryError):
        World("x", raising).chunk(values, MONDAY)
    world = World("x", plain)
    world.sides[1].sessions.tally.read += 1
    with pytest.raises(Broken, match="differ"):
        world.chunk([GOOD], MONDAY)


def test_a_dead_letter_that_is_not_what_came_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    decode: Decode = decoder(DecodeOptions())
    from tests.fuzz import stream as checks

    World("x", decode).chunk([b"\xff{"], MONDAY)
    monkeypatch.setattr(checks.SEAL, "open", lambda letter: letter)
    with pytest.raises(Broken, match="is not what came"):
        World("x", decode).chunk([b"\xff{"], MONDAY)
