"""Records of the drop-offs topic, for whoever wants to win people back: JSON, under the attempt's id."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.rows import End, Kind, Row

END, CONVERTED = Kind.END.value, End.CONVERTED.value
_encode = msgspec.json.Encoder().encode


class DropOff(msgspec.Struct, frozen=True, omit_defaults=True):
    """One record. `id`: the unit's, only with marketing consent. Times: ms UTC.

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


def pack_drop_off(row: Row, dimensions: tuple[str, ...]) -> tuple[bytes, bytes] | None:
    """Key and value of the record of this row; None if it is no drop-off's."""
    if row.kind != END or row.outcome == CONVERTED:
        return None
    dropped = DropOff(
        funnel=row.funnel, version=row.version, attempt_id=row.attempt_id, stage=row.to_stage, reason=row.outcome,
        entered_at=row.entry_time, dropped_at=row.event_time,
        dimensions=dict(zip(dimensions, row.entry_dims, strict=True)),
        id=row.unit_id if row.consent else None, retracted=bool(row.is_deleted),
    )  # fmt: skip
    return row.attempt_id.encode(), _encode(dropped)


def parts(funnel: str, version: str, stage: str, dimensions: Sequence[str]) -> tuple[bytes, ...]:
    """What surrounds, in the records of attempts whose window passes at this stage: the attempt's id (first and second), and the value
    of each dimension (what precedes it)."""
    head = b'{"funnel":%b,"version":%b,"attempt_id":"' % (_encode(funnel), _encode(version))
    middle = b'","stage":%b,"reason":%b,"entered_at":' % (_encode(stage), _encode(End.WINDOW_TIMEOUT.value))
    return head, middle, *(b'%b%b:"' % (b"," * (place > 0), _encode(name)) for place, name in enumerate(dimensions))
