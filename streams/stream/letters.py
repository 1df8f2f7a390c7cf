"""What leaves the stream beside rows: dead letters, and drop-offs for whoever wants to win people back."""

from __future__ import annotations

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.reasons import Reason
from schemas.rows import End, Kind, Row
from streams.stream.chunks import Chunk, Record

END, CONVERTED = Kind.END.value, End.CONVERTED.value
encode_json = msgspec.json.Encoder().encode
encode_letter = msgspec.msgpack.Encoder().encode
decode_letter = msgspec.msgpack.Decoder(DeadLetter).decode


class DropOff(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record of the drop-offs topic, as JSON. `id`: the unit's, only with marketing consent. Times: ms UTC.

    `retracted`: an earlier record of this `attempt_id` no longer holds (a late event showed that the attempt went on).
    """

    funnel: str
    version: str
    attempt_id: str
    stage: str
    reason: str
    entered_at: int
    dropped_at: int
    dimensions: dict[str, str]
    id: str | None = None
    retracted: bool = False


def drop_off(row: Row, dimensions: tuple[str, ...]) -> DropOff | None:
    """The row as a drop-off; None if it is none."""
    if row.kind != END or row.outcome == CONVERTED:
        return None
    return DropOff(
        funnel=row.funnel, version=row.version, attempt_id=row.attempt_id, stage=row.to_stage, reason=row.outcome,
        entered_at=row.entry_time, dropped_at=row.event_time,
        dimensions=dict(zip(dimensions, row.entry_dims, strict=True)),
        id=row.unit_id if row.consent else None, retracted=bool(row.is_deleted),
    )  # fmt: skip


def dead_letter(chunk: Chunk, record: Record, reason: Reason, detail: str) -> DeadLetter:
    """A refused record with its place and its bytes, in clear."""
    key, value = record.key or b"", record.value or b""
    return DeadLetter(
        chunk.topic, chunk.partition, record.offset, reason.value, detail, record.timestamp, key, value
    )  # fmt: skip
