"""Records of the transitions topic: blocks of rows, and how far a partition has come.

A block is a msgpack array of rows without a key; progress is one row under a key of its own.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from schemas.progress import PROGRESS_KEY, Progress
from schemas.rows import Row

#: Rows of one block at most, so that a record stays far below what a broker takes.
BLOCK = 500

Packed = tuple[bytes | None, bytes | None]

_encode = msgspec.msgpack.Encoder().encode
_decode_rows = msgspec.msgpack.Decoder(list[Row]).decode
_decode_progress = msgspec.msgpack.Decoder(Progress).decode


def pack_rows(rows: Sequence[Row]) -> Iterator[Packed]:
    """Key and value of the records that carry these rows."""
    for start in range(0, len(rows), BLOCK):
        yield None, _encode(rows[start : start + BLOCK])


def unpack_rows(block: bytes) -> list[Row]:
    """The rows of a block; none where there are no bytes."""
    return _decode_rows(block) if block else []


def pack_progress(progress: Progress) -> Packed:
    """Key and value of the record that carries it."""
    return PROGRESS_KEY, _encode(progress)


def unpack(key: bytes | None, value: bytes) -> list[Row] | Progress:
    """What a record carries. Raises msgspec.DecodeError (ValidationError) for one that is not of this form."""
    return _decode_progress(value) if key == PROGRESS_KEY else _decode_rows(value)
