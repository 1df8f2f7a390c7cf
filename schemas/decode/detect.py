"""Which format is this file? Told by its first lines, and by its name where those leave it open."""

from __future__ import annotations

import zlib
from itertools import islice
from pathlib import Path
from typing import Any

from schemas.decode.envelopes import is_cloudevent, is_segment
from schemas.decode.files import open_lines
from schemas.decode.identity import parse_json
from schemas.decode.options import Format
from schemas.decode.snowplow import is_snowplow
from schemas.decode.weblog import LINE
from schemas.errors import ConfigError

_LINES, _BYTES = 20, 65_536
_CSV_NAMES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")


def detect_format(path: str | Path) -> Format:
    """The format of a file. JSON that is none of the known ones is `mapping`. Raises ConfigError when nothing fits."""
    lines = [line for line in _first_lines(path) if line.strip()]
    if not lines:
        raise ConfigError(str(path), "is empty", "give a file with events")
    objects = [record for record in map(_object, lines) if record is not None]
    if objects:
        return _json_format(objects)
    if any(LINE.fullmatch(line) for line in lines):
        return Format.COMBINED
    if any(map(is_snowplow, lines)):
        return Format.SNOWPLOW
    if str(path).lower().endswith(_CSV_NAMES) or _looks_like_csv(lines):
        return Format.CSV
    raise ConfigError(str(path), "its format is not recognised", f"name it with --format: {', '.join(Format)}")


def _first_lines(path: str | Path) -> list[str]:
    file, source = open_lines(path)
    with file:
        try:
            lines = list(islice(iter(lambda: source.readline(_BYTES), b""), _LINES))
        except (EOFError, zlib.error, OSError) as error:
            raise ConfigError(str(path), f"can't be read: {error}", "give a whole file") from None
    return [line.decode("utf-8", "replace").lstrip("\ufeff").rstrip("\r\n") for line in lines]


def _object(line: str) -> dict[str, Any] | None:
    try:
        record = parse_json(line)
    except (ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) else None


def _json_format(records: list[dict[str, Any]]) -> Format:
    first = records[0]
    if is_cloudevent(first):
        return Format.CLOUDEVENTS
    if is_segment(first):
        return Format.SEGMENT
    if "session" in first and ("events" in first or {"aid", "ts", "type"} <= first.keys()):
        return Format.OTTO
    if any("event" in record and "timestamp" in record for record in records):
        return Format.NATIVE
    return Format.MAPPING


def _looks_like_csv(lines: list[str]) -> bool:
    for delimiter in (",", ";", "\t"):
        counts = {line.count(delimiter) for line in lines}
        if len(lines) > 1 and len(counts) == 1 and counts != {0}:
            return True
    return False
