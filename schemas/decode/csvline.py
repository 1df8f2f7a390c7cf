"""CSV: one line a record, its columns named by the mapping or by the file's header."""

from __future__ import annotations

import csv
from zoneinfo import ZoneInfo

import msgspec

from schemas.decode.build import Build
from schemas.decode.identity import line_id
from schemas.decode.jsonrecord import guard_size
from schemas.decode.mapped import mapper
from schemas.decode.mapping import TARGETS, Mapping
from schemas.decode.options import Decode, DecodeOptions
from schemas.errors import ConfigError, InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason


def csv_decoder(options: DecodeOptions, build: Build) -> Decode:
    """One line → Event. Empty cells are absent. Without [fields] a column goes to the event field of its own name.

    Raises ConfigError when the columns are not known.
    """
    mapping = options.mapping or Mapping(format="csv")
    columns, delimiter = mapping.columns, mapping.delimiter
    if not columns:
        raise ConfigError(
            "mapping, columns", "the columns of the CSV lines are not known", "name them: columns = [...]"
        )
    if not (mapping.fields or mapping.rules or mapping.event):
        mapping = msgspec.structs.replace(mapping, fields={name: name for name in columns if name in TARGETS})
    rename, zone = mapper(mapping), ZoneInfo(mapping.timezone)

    def decode(data: bytes, now: int) -> Event:
        guard_size(data, options.max_bytes)
        try:
            cells = split_line(data.decode(), delimiter)
        except UnicodeDecodeError as error:
            raise InvalidEvent(Reason.BAD_TEXT, f"not UTF-8 at byte {error.start}") from None
        if len(cells) != len(columns):
            raise InvalidEvent(Reason.UNPARSEABLE, f"{len(cells)} cells, the header has {len(columns)} columns")
        return build(rename(dict(zip(columns, cells, strict=True))), now, lambda: line_id(data), zone)

    return decode


def split_line(text: str, delimiter: str) -> list[str]:
    """The cells of one record, which may hold quoted line breaks. Raises InvalidEvent: unparseable, bad_text."""
    text = text.rstrip("\r\n")
    if "\x00" in text:
        raise InvalidEvent(Reason.BAD_TEXT, "the line holds NUL")
    if '"' not in text:
        return text.split(delimiter)
    try:
        rows = list(csv.reader(text.splitlines(keepends=True), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise InvalidEvent(Reason.UNPARSEABLE, str(error)) from None
    if len(rows) != 1:
        raise InvalidEvent(Reason.UNPARSEABLE, f"{len(rows)} lines in one record")
    return rows[0]
