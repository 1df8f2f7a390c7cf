"""Records framed for a schema registry: a zero byte, the schema's number in four bytes, and the payload.

What the numbers mean, the registry says. Decoding itself asks nobody: whoever decodes has the schemas of his records fetched
first (`schema_id` names them), and an outage of the registry is his to wait for.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any
from zoneinfo import ZoneInfo

from schemas.decode.build import Build
from schemas.decode.envelopes import from_any
from schemas.decode.identity import record_id
from schemas.decode.jsonrecord import guard_size
from schemas.decode.mapped import mapper
from schemas.decode.options import Decode, DecodeOptions
from schemas.errors import ConfigError, InvalidEvent, SchemaNotFetched
from schemas.event import Event
from schemas.reasons import Reason

HEADER = 5  # bytes before the payload

#: A payload → its fields, as JSON would give them. Raises whatever its library raises.
Read = Callable[[bytes], dict[str, Any]]


class SchemaStore:
    """The schemas that are known, by number. `refused`: those that there is no use asking for, with the reason."""

    __slots__ = ("readers", "refused")

    def __init__(self) -> None:
        self.readers: dict[int, Read] = {}
        self.refused: dict[int, str] = {}


def schema_id(data: bytes | None) -> int | None:
    """The number of the record's schema; None for a record that is not framed."""
    return int.from_bytes(data[1:HEADER]) if data and data[0] == 0 and len(data) >= HEADER else None


def framed_decoder(options: DecodeOptions, build: Build) -> Decode:
    """Avro, Protobuf or JSON by its schema → Event. The fields are native names, CloudEvents or Segment, or mapped.

    It raises SchemaNotFetched for a schema that `options.schemas` lacks. Raises ConfigError without a store.
    """
    store, mapping = options.schemas, options.mapping
    if store is None:
        raise ConfigError("format", "'confluent' needs a schema registry", "write url in [registry]")
    rename = mapper(mapping) if mapping is not None else from_any
    zone = UTC if mapping is None else ZoneInfo(mapping.timezone)

    def decode(data: bytes, now: int) -> Event:
        guard_size(data, options.max_bytes)
        record = fields_of(data, store)
        return build(rename(record), now, lambda: record_id(record), zone)

    return decode


def fields_of(data: bytes, store: SchemaStore) -> dict[str, Any]:
    """The fields of a framed record. Raises InvalidEvent: unparseable, unknown_schema; SchemaNotFetched."""
    number = schema_id(data)
    if number is None:
        raise InvalidEvent(Reason.UNPARSEABLE, f"not framed for a schema registry: it begins with 0x{data[:5].hex()}")
    read = store.readers.get(number)
    if read is None:
        if number not in store.refused:
            raise SchemaNotFetched(number)
        raise InvalidEvent(Reason.UNKNOWN_SCHEMA, store.refused[number])
    try:
        return read(data[HEADER:])
    except InvalidEvent:
        raise
    except RecursionError:
        raise InvalidEvent(Reason.TOO_LARGE, "nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - these libraries raise anything at all for bytes that fit no schema
        detail = f"does not fit schema {number}: {type(error).__name__}: {error}"
        raise InvalidEvent(Reason.UNPARSEABLE, detail[:200]) from None
