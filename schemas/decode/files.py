"""Files of events, record by record: any size, gzip or plain, in bounded memory."""

from __future__ import annotations

import gzip
import zlib
from collections import deque
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, cast

import msgspec

from schemas.decode.csvline import split_line
from schemas.decode.mapping import Mapping
from schemas.decode.options import Format
from schemas.errors import ConfigError, InvalidEvent

_BOM = b"\xef\xbb\xbf"
_LONGEST = 16 * 1024 * 1024  # bytes of one record that are kept; the rest of it is skipped, the decoder refuses it
_LONGEST_CSV = 1_000_000  # bytes of one record with line breaks in it
_GZIP = b"\x1f\x8b"
_LINES_PER_LOOK = 256  # lines between two looks at the position


class RawRecord(msgspec.Struct, frozen=True, gc=False):
    """One record as it stands in the file, without its line ending. `line`: where it begins, from 1."""

    data: bytes
    line: int


class FileProgress(msgspec.Struct):
    """How far a file is read. `done` and `total`: bytes of the file itself (compressed where it is)."""

    total: int
    done: int = 0


def file_progress(path: str | Path) -> FileProgress:
    """A progress to hand to `read_records`, which keeps it up to date. Raises ConfigError for a file that isn't there."""
    try:
        return FileProgress(Path(path).stat().st_size)
    except OSError as error:
        raise _unreadable(path, error) from None


def read_records(
    path: str | Path,
    format: Format | str,  # noqa: A002 - the word that users know it by
    mapping: Mapping | None = None,
    progress: FileProgress | None = None,
) -> Iterator[RawRecord]:
    """The records of a file, in its order. Blank lines are skipped.

    CSV: the header line is skipped (unless the mapping names the columns and the first line isn't those), line breaks
    within quotes belong to the record. Otto: each session line gives one record per event. Raises ConfigError for a
    file that can't be read, or ends in the middle of its compression.
    """
    kind = _kind(format, mapping)
    numbered = _lines(path, progress)
    if kind is Format.CSV:
        return _csv_records(numbered, mapping or Mapping(format="csv"))
    if kind is Format.OTTO:
        return _otto_records(numbered)
    return (RawRecord(line, number) for number, line in numbered if line)


def mapping_for(path: str | Path, format: Format | str, mapping: Mapping | None) -> Mapping | None:  # noqa: A002
    """The mapping that a decoder needs for this file: for CSV with the columns of its header line, else as it is."""
    if _kind(format, mapping) is not Format.CSV or (mapping is not None and mapping.columns):
        return mapping
    given = mapping or Mapping(format="csv")
    header = next((record for record in _joined(_lines(path, None)) if record.data), None)
    if header is None:
        raise ConfigError(str(path), "is empty", "a CSV file begins with a header line")
    try:
        columns = tuple(cell.strip() for cell in split_line(header.data.decode(), given.delimiter))
    except (InvalidEvent, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{path}, line {header.line}", f"no header line: {error}", "give a CSV file in UTF-8"
        ) from None
    return msgspec.structs.replace(given, columns=columns)


def _kind(name: Format | str, mapping: Mapping | None) -> Format:
    try:
        kind = Format(name)
    except ValueError:
        raise ConfigError("format", f"{name!r} is no format", f"use one of {', '.join(Format)}") from None
    if kind is Format.MAPPING and mapping is not None and mapping.format == "csv":
        return Format.CSV
    return kind


def open_lines(path: str | Path) -> tuple[BufferedReader, IO[bytes]]:
    """The file itself, and what to read lines from: the same, or what gzip makes of it (known by its first bytes)."""
    try:
        file = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
    except OSError as error:
        raise _unreadable(path, error) from None
    if file.peek(2)[:2] == _GZIP:
        return file, cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    return file, file


def _lines(path: str | Path, progress: FileProgress | None) -> Iterator[tuple[int, bytes]]:
    file, source = open_lines(path)
    with file:
        number = 0
        try:
            while line := source.readline(_LONGEST):
                number += 1
                if len(line) == _LONGEST and not line.endswith(b"\n"):
                    _skip_line(source)
                if number == 1:
                    line = line.removeprefix(_BOM)
                if progress is not None and number % _LINES_PER_LOOK == 1:
                    progress.done = file.tell()
                yield number, line.rstrip(b"\r\n")
        except (EOFError, zlib.error, OSError) as error:
            raise ConfigError(f"{path}, after line {number}", f"can't be read: {error}", "give a whole file") from None
        if progress is not None:
            progress.done = file.tell()


def _skip_line(source: IO[bytes]) -> None:
    while (rest := source.readline(_LONGEST)) and not rest.endswith(b"\n"):
        pass


def _joined(numbered: Iterator[tuple[int, bytes]]) -> Iterator[RawRecord]:
    """Lines joined where a quote is still open at the end of one.

    A quote that nothing closes within a record's size is a fault of its own line: the lines after it stand alone again.
    """
    waiting: deque[tuple[int, bytes]] = deque()
    while True:
        first = waiting.popleft() if waiting else next(numbered, None)
        if first is None:
            return
        parts, quotes, size = [first], first[1].count(b'"'), len(first[1])
        while quotes % 2 and size < _LONGEST_CSV:
            line = waiting.popleft() if waiting else next(numbered, None)
            if line is None:
                break
            parts.append(line)
            quotes += line[1].count(b'"')
            size += len(line[1])
        if quotes % 2:
            waiting.extendleft(reversed(parts[1:]))
            parts = parts[:1]
        yield RawRecord(b"\n".join(line for _, line in parts), first[0])


def _csv_records(numbered: Iterator[tuple[int, bytes]], mapping: Mapping) -> Iterator[RawRecord]:
    first = True
    for record in _joined(numbered):
        if not record.data:
            continue
        if first:
            first = False
            if not mapping.columns or _is_header(record.data, mapping):
                continue
        yield record


def _is_header(line: bytes, mapping: Mapping) -> bool:
    try:
        return tuple(cell.strip() for cell in split_line(line.decode(), mapping.delimiter)) == mapping.columns
    except (InvalidEvent, UnicodeDecodeError):
        return False


def _otto_records(numbered: Iterator[tuple[int, bytes]]) -> Iterator[RawRecord]:
    for number, line in numbered:
        if not line:
            continue
        session = _session(line)
        if session is None:
            yield RawRecord(line, number)  # the decoder says what is wrong with it
            continue
        for event in session["events"]:
            inner = event if isinstance(event, dict) else {"event": event}
            yield RawRecord(msgspec.json.encode({"session": session["session"], **inner}), number)


def _session(line: bytes) -> dict[str, Any] | None:
    try:
        record = msgspec.json.decode(line)
    except (ValueError, RecursionError):
        return None
    whole = isinstance(record, dict) and "session" in record and isinstance(record.get("events"), list)
    return record if whole else None


def _unreadable(path: str | Path, error: OSError) -> ConfigError:
    return ConfigError(str(path), f"can't be read: {error.strerror}", "check the path and the file's permissions")
