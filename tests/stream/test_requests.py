"""Requests that are put together at once are, byte for byte, aiokafka's own."""

from __future__ import annotations

from typing import Any

import pytest
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
    assert request.encode() == encode(request) == Struct.encode(request)
