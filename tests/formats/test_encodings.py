"""Every encoding of an event decodes to the event that its native form is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from schemas.decode import DecodeOptions, decoder
from schemas.settings import Registry
from streams.registry import SchemaRegistry
from tests.formats.encodings import ENCODINGS, Fields
from tests.formats.framed import fill
from tests.formats.registry import StubRegistry
from tests.formats.shop import decoder_of, native_form, shop_fields


@pytest.fixture(scope="module")
def client() -> Iterator[SchemaRegistry]:
    """A client that knows both versions of the shop's schemas."""
    with StubRegistry() as stub:
        fill(stub, 1)
        fill(stub, 2)
        client = SchemaRegistry(Registry(url=stub.url))

        async def learn() -> None:
            await client.learn([b"\0" + number.to_bytes(4) for number in stub.schemas], "the test")
            await client.close()

        asyncio.run(learn())
        yield client


@pytest.fixture(scope="module")
def events() -> list[Fields]:
    made = list(shop_fields("e", 1_500))
    assert {"purchase", "page_view", "session_start", "view_item"} <= {fields["event"] for fields in made}
    return made


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_an_encoding_says_what_the_native_form_says(
    encoding: str, client: SchemaRegistry, events: list[Fields], tmp_path: Path
) -> None:
    decode, plain = decoder_of(encoding, client.store, tmp_path), decoder(DecodeOptions())
    now, writers = int(time.time() * 1000), [ENCODINGS[encoding].write, ENCODINGS[encoding].later]
    for fields in events:
        wanted = plain(native_form(encoding, fields), now)
        for write in filter(None, writers):
            assert decode(write(fields), now) == wanted
