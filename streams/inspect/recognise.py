"""Which encoding a record has, told by the record alone; and the fields of those that need a mapping."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from schemas.decode.csvline import split_line
from schemas.decode.envelopes import is_cloudevent, is_segment
from schemas.decode.framed import SchemaStore, fields_of, schema_id
from schemas.decode.identity import parse_json
from schemas.decode.options import Format
from schemas.decode.snowplow import is_snowplow
from schemas.decode.weblog import LINE
from schemas.errors import FunnelwatchError, InvalidEvent


class Encoding(StrEnum):
    """What a record is. The first seven are formats of their own."""

    NATIVE = "native JSON"
    CLOUDEVENTS = "CloudEvents"
    SEGMENT = "Segment"
    SNOWPLOW = "Snowplow enriched TSV"
    COMBINED = "combined log"
    OTTO = "Otto"
    FRAMED = "Confluent-framed"  # Avro, Protobuf or JSON Schema: the registry knows
    JSON = "JSON of its own"
    CSV = "CSV"
    EMPTY = "empty"
    TEXT = "text"
    BINARY = "binary"


FORMATS = {
    Encoding.NATIVE: Format.AUTO, Encoding.CLOUDEVENTS: Format.AUTO, Encoding.SEGMENT: Format.AUTO,
    Encoding.SNOWPLOW: Format.SNOWPLOW, Encoding.COMBINED: Format.COMBINED, Encoding.OTTO: Format.OTTO,
    Encoding.FRAMED: Format.CONFLUENT, Encoding.JSON: Format.MAPPING, Encoding.CSV: Format.CSV,
}  # fmt: skip
DELIMITERS = (",", ";", "\t", "|")


def recognise(records: Sequence[bytes | None]) -> Counter[Encoding]:
    """How many records have each encoding."""
    found = Counter(map(encoding_of, records))
    if found[Encoding.TEXT] and delimiter_of(records) is not None:
        found[Encoding.CSV] = found.pop(Encoding.TEXT)
    return found


def encoding_of(data: bytes | None) -> Encoding:
    """Of one record; CSV is told from other text by several records only."""
    if not data:
        return Encoding.EMPTY
    if schema_id(data) is not None:
        return Encoding.FRAMED
    record = json_of(data)
    if record is not None:
        return of_object(record)
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return Encoding.BINARY
    if is_snowplow(text):
        return Encoding.SNOWPLOW
    if LINE.fullmatch(text[:65_536]):
        return Encoding.COMBINED
    return Encoding.TEXT


def json_of(data: bytes) -> dict[str, Any] | None:
    """The object that a record is, if it is one."""
    try:
        record = parse_json(data)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def of_object(record: Mapping[str, Any]) -> Encoding:
    """The encoding of a JSON object."""
    if is_cloudevent(record):
        return Encoding.CLOUDEVENTS
    if is_segment(record):
        return Encoding.SEGMENT
    if "session" in record and {"aid", "ts", "type"} <= record.keys():
        return Encoding.OTTO
    return Encoding.NATIVE if "event" in record and "timestamp" in record else Encoding.JSON


def delimiter_of(records: Sequence[bytes | None]) -> str | None:
    """The delimiter that cuts nearly all lines into as many cells, two at least."""
    lines = [data.decode("utf-8", "replace") for data in records if data][:200]
    best: tuple[int, str] | None = None
    for delimiter in DELIMITERS:
        counts = Counter(cells for line in lines if (cells := _cells(line, delimiter)))
        cells, many = max(counts.items(), key=lambda item: item[1], default=(0, 0))
        if cells > 1 and many >= 0.9 * len(lines) and (best is None or cells > best[0]):
            best = cells, delimiter
    return None if best is None else best[1]


def _cells(line: str, delimiter: str) -> int:
    try:
        return len(split_line(line, delimiter))
    except InvalidEvent:
        return 0


def fields(
    data: bytes, kind: Encoding, store: SchemaStore, columns: Sequence[str], delimiter: str
) -> dict[str, Any] | None:
    """The fields of a record that needs a mapping; None where there are none."""
    if kind is Encoding.FRAMED:
        try:
            return fields_of(data, store)
        except FunnelwatchError:
            return None
    if kind is Encoding.CSV:
        try:
            cells = split_line(data.decode("utf-8", "replace"), delimiter)
        except InvalidEvent:
            return None
        return dict(zip(columns, cells, strict=False))
    return json_of(data)
