"""What a decoder is told: the format, the limits, and what counts as the site's own traffic."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from schemas.decode.mapping import Mapping
from schemas.event import Event

if TYPE_CHECKING:
    from schemas.decode.framed import SchemaStore

#: Raw record and reference time (ms: the record's Kafka timestamp, or now) → Event; raises InvalidEvent, nothing else.
Decode = Callable[[bytes, int], Event]


class Format(StrEnum):
    AUTO = "auto"  # native JSON, CloudEvents or Segment, told apart by their own fields
    NATIVE = "native"
    CLOUDEVENTS = "cloudevents"  # structured mode: the event in `data`
    SEGMENT = "segment"
    SNOWPLOW = "snowplow"  # a line of enriched TSV, 131 columns
    CONFLUENT = "confluent"  # Avro, Protobuf or JSON Schema, framed for a schema registry
    MAPPING = "mapping"  # any JSON object, by a mapping file
    CSV = "csv"  # one line; columns from the mapping, or from the file's header
    COMBINED = "combined"  # a web server's combined log line
    OTTO = "otto"  # {session, aid, ts, type}


class Internal(msgspec.Struct, frozen=True):
    """The site's own people and tests: decoded, but marked as `bot`.

    `addresses`: IP addresses or networks (`10.0.0.0/8`), compared with the record's `ip`. `user_agents`, `hosts`: globs,
    case ignored; hosts are those of `url`. `marks`: names of properties that mark a test when they are true.
    """

    addresses: tuple[str, ...] = ()
    user_agents: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    marks: tuple[str, ...] = ("test",)


class DecodeOptions(msgspec.Struct, frozen=True):
    """Times in milliseconds. `max_ahead` is measured against the record's reference time, so that decoding needs no clock.

    `max_properties`: keys of one object. `max_depth`: levels of `properties`. `visitor_hash_key`: makes the visitor ids of
    web logs (a hash of address and user agent) useless to whoever doesn't have it; set it in production.
    `default_currency`: for money without one; None leaves it without. `schemas`: what framed records are decoded by.
    """

    format: Format = Format.AUTO
    mapping: Mapping | None = None
    earliest: int = 946_684_800_000  # 2000-01-01: older is a broken clock
    max_ahead: int = 3_600_000  # one hour: clocks differ, but a time far ahead would close every open attempt
    max_bytes: int = 1_000_000
    max_id_length: int = 256
    max_properties: int = 256
    max_depth: int = 8
    visitor_hash_key: bytes = b""
    default_currency: str | None = None
    internal: Internal = Internal()
    schemas: SchemaStore | None = None
