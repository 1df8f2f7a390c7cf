"""The records of an internal log: events re-keyed by their unit, and what their sources' clocks say."""

from __future__ import annotations

from zlib import crc32

import msgspec

from schemas.event import Event, PackedEvent, values
from streams.engine.clock import NEVER

EVENT, INVALID, MARK, IDLE, TICK = range(5)


class LogRecord(msgspec.Struct, array_like=True, gc=False):
    """`kind`: an event; a record that was refused (to be counted); a source's clock; its falling silent; time that passes
    though all are silent. `source`: "topic:partition", `offset` there. `watermark`, `floor`: that source's, ms, after
    this record (TICK: the time it is)."""

    kind: int
    source: str = ""
    offset: int = -1
    watermark: int = NEVER
    floor: int = NEVER
    event: PackedEvent | None = None


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(LogRecord).decode


def encode_event(source: str, offset: int, watermark: int, floor: int, event: Event) -> bytes:
    """An EVENT record."""
    return encode((EVENT, source, offset, watermark, floor, values(event)))


def partition_of(key: str, partitions: int) -> int:
    """The log partition of a unit: stable over versions and machines."""
    return crc32(key.encode()) % partitions
