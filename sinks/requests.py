"""Requests that carry record batches, put together at once: aiokafka joins their parts anew at each of six levels, and copies every batch as often."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from aiokafka.protocol import produce
from aiokafka.protocol.types import Array, Bytes, Int32, Schema


def pieces(field: Any, value: Any) -> Iterator[bytes | bytearray]:
    """What `field.encode(value)` joins, one after the other; batches as they are."""
    if isinstance(field, Schema):
        for part, one in zip(field.fields, value, strict=True):
            yield from pieces(part, one)
    elif isinstance(field, Array) and value is not None:
        yield Int32.encode(len(value))
        for one in value:
            yield from pieces(field.array_of, one)
    elif field is Bytes and value is not None:
        yield Int32.encode(len(value))
        yield value
    else:
        yield field.encode(value)


class Body:
    """A request's pieces, on their way: what aiokafka puts before it (the head, then the size of both) is joined with them at the end."""

    def __init__(self, parts: Iterable[bytes | bytearray]) -> None:
        self.parts = tuple(parts)

    def __radd__(self, head: bytes) -> Message:
        return Message((head, *self.parts))


class Message:
    """The same behind its head."""

    def __init__(self, parts: tuple[bytes | bytearray, ...]) -> None:
        self.parts = parts

    def __len__(self) -> int:
        return sum(map(len, self.parts))

    def __radd__(self, size: bytes) -> bytes:
        return b"".join((size, *self.parts))


def encode(request: Any) -> Body:
    """The request without its header."""
    return Body(pieces(request.SCHEMA, [getattr(request, name) for name in request.SCHEMA.names]))


def encode_at_once() -> None:
    """Has every producer of this process do so."""
    for name, request in vars(produce).items():
        if name.startswith("ProduceRequest_v"):
            request.encode = encode
