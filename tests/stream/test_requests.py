"""Requests that are put together at once are, byte for byte, aiokafka's own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol import produce
from aiokafka.protocol.struct import Struct
from hypothesis import given
from hypothesis import strategies as st

from sinks.requests import encode, encode_at_once

REQUESTS = [kind for name, kind in vars(produce).items() if name.startswith("ProduceRequest_v")]
BATCHES = st.none() | st.binary(max_size=100) | st.binary(max_size=100).map(bytearray)
TOPICS = st.none() | st.lists(
    st.tuples(st.text(max_size=10), st.lists(st.tuples(st.integers(0, 1 << 31 - 1), BATCHES), max_size=3)), max_size=3
)


@pytest.mark.parametrize("kind", REQUESTS, ids=lambda kind: str(kind.API_VERSION))
@given(topics=TOPICS, transaction=st.none() | st.text(max_size=10))
def test_as_aiokafka_encodes_them(kind: Any, topics: Any, transaction: str | None) -> None:
    encode_at_once()
    values = [-1, 30_000, topics]
    request = kind(*([transaction, *values] if len(kind.SCHEMA) == 4 else values))
    message = b"head" + request.encode()
    assert b"size" + message == b"sizehead" + Struct.encode(request)
    assert len(message) == len(b"head" + Struct.encode(request))


def test_aiokafkas_connection_sends_what_it_sends_otherwise() -> None:
    async def sent(kind: Any, encoder: Any) -> list[bytes]:
        class Writer(list[bytes]):
            write = list.append

        kind.encode = encoder
        connection = AIOKafkaConnection("127.0.0.1", 0)
        connection._writer, connection._versions = Writer(), {0: (0, 11)}
        waiting = connection.send(produce.ProduceRequest(None, -1, 30_000, [("topic", [(3, bytearray(b"batch"))])]))
        waiting.close()
        written = connection._writer
        connection._writer = None
        return list(written)

    kind = type(produce.ProduceRequest(None, -1, 30_000, []).prepare({0: (0, 11)}))
    ours, stock = asyncio.run(sent(kind, encode)), asyncio.run(sent(kind, Struct.encode))
    encode_at_once()
    assert ours == stock
    assert type(ours[0]) is bytes
