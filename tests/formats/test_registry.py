"""The registry's client: each schema once, outages waited for, and only the registry's own word makes a schema unknown."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator

import pytest

from schemas.settings import Registry, Secret
from streams import registry
from streams.registry import RegistryFault, SchemaRegistry
from tests.formats.framed import AVRO, JSON, PROTOBUF, fill
from tests.formats.registry import Schema, StubRegistry


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubRegistry]:
    monkeypatch.setattr(registry, "FIRST_PAUSE", 0.02)
    monkeypatch.setattr(registry, "LAST_PAUSE", 0.05)
    with StubRegistry() as running:
        fill(running)
        yield running


def framed(*numbers: int) -> list[bytes]:
    return [b"\0" + number.to_bytes(4) + b"payload" for number in numbers]


async def test_each_schema_is_asked_for_once(stub: StubRegistry) -> None:
    client = SchemaRegistry(Registry(url=stub.url))
    records = [None, b"", b"{}", *framed(AVRO, PROTOBUF, JSON, AVRO, AVRO)]
    assert await client.learn(records, "clicks")
    assert await client.learn(records, "clicks")
    await client.close()
    assert set(client.store.readers) == {AVRO, PROTOBUF, JSON}
    assert stub.asked == [
        "/schemas/ids/1", "/subjects/device%2Favro/versions/1", "/schemas/ids/2", "/schemas/ids/2?format=serialized",
        "/subjects/device/versions/3?format=serialized", "/schemas/ids/3",
    ]  # fmt: skip


@pytest.mark.parametrize("fault", [0, 500, 404, 200])
async def test_an_outage_is_waited_for(stub: StubRegistry, fault: int, caplog: pytest.LogCaptureFixture) -> None:
    """A proxy's page is an outage, whatever its status."""
    stub.fault = fault
    failed = asyncio.Semaphore(0)
    client = SchemaRegistry(Registry(url=stub.url), failed.release)
    with caplog.at_level(logging.INFO, "funnelwatch.registry"):
        waiting = asyncio.create_task(client.learn(framed(AVRO), "clicks"))
        for _ in range(3):
            await failed.acquire()
        assert not waiting.done()
        assert client.waiting() > 0
        assert client.store.refused == {}
        stub.fault = None
        assert await waiting
    await client.close()
    assert client.waiting() == 0
    assert AVRO in client.store.readers
    said = [record.getMessage() for record in caplog.records]
    assert "clicks waits, nothing is lost" in said[0]
    assert said[-1] == "schema registry: it answers again"


async def test_waiting_ends_where_it_is_no_longer_wanted(stub: StubRegistry) -> None:
    stub.fault = 503
    client = SchemaRegistry(Registry(url=stub.url))
    began = time.monotonic()
    assert not await client.learn(framed(AVRO), "clicks", lambda: time.monotonic() < began + 0.1)
    await client.close()


async def test_an_unknown_schema_is_refused_and_asked_for_again_later(
    stub: StubRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = SchemaRegistry(Registry(url=stub.url))
    assert await client.learn(framed(999), "clicks")
    assert client.store.refused == {999: "schema 999: the registry does not know it"}
    stub.schemas[999] = stub.schemas[JSON]
    assert await client.learn(framed(999), "clicks")
    assert 999 not in client.store.readers  # within the minute
    monkeypatch.setattr(registry, "ASK_AGAIN", 0.0)
    client._ask_again.clear()
    assert await client.learn(framed(999), "clicks")
    assert 999 in client.store.readers
    await client.close()


async def test_unknown_numbers_fill_no_memory(stub: StubRegistry, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "MOST_REFUSED", 5)
    client = SchemaRegistry(Registry(url=stub.url))
    assert await client.learn(framed(*range(100, 130)), "clicks")
    await client.close()
    assert len(client.store.refused) <= 6


@pytest.mark.parametrize(
    "schema, words",
    [
        (Schema("AVRO", "{"), "no Avro schema"),
        (
            Schema("AVRO", '{"type": "record", "name": "A", "fields": []}', references=(("x", "missing", 1),)),
            "does not know",
        ),
        (Schema("THRIFT", "x"), "its type is 'THRIFT'"),
        (Schema("PROTOBUF", "x", b"\xff"), "no Protobuf file"),
    ],
)
async def test_a_schema_that_can_not_be_used_is_refused(stub: StubRegistry, schema: Schema, words: str) -> None:
    stub.schemas[50] = schema
    client = SchemaRegistry(Registry(url=stub.url))
    assert await client.learn(framed(50), "clicks")
    await client.close()
    assert words in client.store.refused[50]


async def test_schemas_that_refer_to_each_other_end(stub: StubRegistry) -> None:
    stub.schemas[51] = Schema("AVRO", "{}", references=(("a0", "s", 0),))
    for number in range(200):
        stub.subjects["s", number] = Schema("AVRO", "{}", references=((f"a{number + 1}", "s", number + 1),))
    client = SchemaRegistry(Registry(url=stub.url))
    assert await client.learn(framed(51), "clicks")
    await client.close()
    assert "refers to too many others" in client.store.refused[51]


async def test_a_registry_that_gives_protobuf_as_text_only_is_no_reason_to_refuse(stub: StubRegistry) -> None:
    stub.schemas[52] = Schema("PROTOBUF", 'syntax = "proto3";')
    client = SchemaRegistry(Registry(url=stub.url))
    with pytest.raises(RegistryFault, match=r"\?format=serialized is needed"):
        await client.fetch(52)
    await client.close()


async def test_credentials() -> None:
    with StubRegistry("key", "sécret") as stub:
        fill(stub)
        wrong = SchemaRegistry(Registry(url=stub.url, user="key", password=Secret("no")))
        with pytest.raises(RegistryFault, match="check user and password") as caught:
            await wrong.fetch(JSON)
        assert "no" not in str(caught.value).split()
        right = SchemaRegistry(Registry(url=stub.url, user="key", password=Secret("sécret")))
        await right.fetch(JSON)
        await wrong.close()
        await right.close()
        assert JSON in right.store.readers
