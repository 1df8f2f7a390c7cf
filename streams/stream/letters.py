"""Dead letters as they leave the stream."""

from __future__ import annotations

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.reasons import Reason
from streams.stream.chunks import Chunk, Record

encode_letter = msgspec.msgpack.Encoder().encode
decode_letter = msgspec.msgpack.Decoder(DeadLetter).decode


def dead_letter(chunk: Chunk, record: Record, reason: Reason, detail: str) -> DeadLetter:
    """A refused record with its place and its bytes, in clear."""
    key, value = record.key or b"", record.value or b""
    return DeadLetter(
        chunk.topic, chunk.partition, record.offset, reason.value, detail, record.timestamp, key, value
    )  # fmt: skip
