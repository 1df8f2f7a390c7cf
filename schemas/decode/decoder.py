"""The door: a decoder for each format. Whatever the bytes are, it returns an Event or raises InvalidEvent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from schemas.decode.build import Build, builder
from schemas.decode.csvline import csv_decoder
from schemas.decode.envelopes import from_any, from_cloudevent, from_segment
from schemas.decode.framed import framed_decoder
from schemas.decode.identity import record_id
from schemas.decode.jsonrecord import json_object
from schemas.decode.mapped import mapper
from schemas.decode.native import Rename, careful_decoder, guarded, native_decoder
from schemas.decode.options import Decode, DecodeOptions, Format
from schemas.decode.snowplow import snowplow_decoder
from schemas.decode.weblog import combined_decoder
from schemas.errors import ConfigError, InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason


def decoder(options: DecodeOptions) -> Decode:
    """The function (raw record, reference time in ms) → Event for these options.

    It raises InvalidEvent and nothing else, for None and empty records too (but SchemaNotFetched for a framed record whose
    schema is not in the store). Making it raises ConfigError where the options contradict each other.
    """
    if options.format in (Format.AUTO, Format.NATIVE):
        return native_decoder(options, from_any) if options.format is Format.AUTO else native_decoder(options)
    build = builder(options)
    if options.format in _RENAMED:
        return guarded(careful_decoder(options, build, _RENAMED[options.format]))
    return guarded(_MAKERS[options.format](options, build))


def _mapping_decoder(options: DecodeOptions, build: Build) -> Decode:
    mapping = options.mapping
    if mapping is None:
        raise ConfigError("format", "'mapping' needs a mapping file", "give one with --mapping or `mapping =`")
    if mapping.format == "csv":
        return csv_decoder(options, build)
    if mapping.format == "combined":
        return combined_decoder(options, build)
    if mapping.format == "snowplow":
        return snowplow_decoder(options, build)
    rename: Rename = mapper(mapping)
    zone = ZoneInfo(mapping.timezone)

    def decode(data: bytes, now: int) -> Event:
        record = json_object(data, options.max_bytes, lambda odd: build(rename(odd), now, str, zone))
        return build(rename(record), now, lambda: record_id(record), zone)

    return decode


def _from_otto(record: dict[str, Any]) -> Mapping[str, Any]:
    """One event of the Otto data set: `aid` is the product, `ts` ms, `type` clicks, carts or orders."""
    if "events" in record:
        raise InvalidEvent(Reason.UNPARSEABLE, "a whole session: split it into one record per event first")
    return {
        "event": record.get("type"),
        "timestamp": record.get("ts"),
        "session_id": record.get("session"),
        "properties": {"aid": record["aid"]} if "aid" in record else None,
    }


_RENAMED: dict[Format, Rename] = {
    Format.CLOUDEVENTS: from_cloudevent, Format.SEGMENT: from_segment, Format.OTTO: _from_otto,
}  # fmt: skip
_MAKERS: dict[Format, Callable[[DecodeOptions, Build], Decode]] = {
    Format.MAPPING: _mapping_decoder, Format.CSV: csv_decoder, Format.COMBINED: combined_decoder,
    Format.SNOWPLOW: snowplow_decoder, Format.CONFLUENT: framed_decoder,
}  # fmt: skip
