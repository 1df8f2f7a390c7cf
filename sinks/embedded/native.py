"""Native blocks for clients that name a protocol version.

The engine writes blocks of version 0. From 51903 a block starts with BlockInfo, from 54454 each column carries a byte
that says how it is serialized (0: plainly). To place that byte the ends of the columns must be known: they follow from
the types. Layouts as in ClickHouse's sources: `NativeWriter`, `SerializationLowCardinality`, `SerializationArray`.
"""

from __future__ import annotations

import re
import struct

VERSION_WITH_BLOCK_INFO = 51903
VERSION_WITH_SERIALIZATION_BYTE = 54454
#: Field 1: no overflow rows; field 2: bucket number -1; end.
BLOCK_INFO = b"\x01\x00\x02\xff\xff\xff\xff\x00"

WIDTHS = {
    **dict.fromkeys(("UInt8", "Int8", "Bool", "Enum8", "Nothing"), 1),
    **dict.fromkeys(("UInt16", "Int16", "Date", "Enum16", "BFloat16"), 2),
    **dict.fromkeys(("UInt32", "Int32", "Float32", "Date32", "DateTime", "IPv4", "Decimal32", "Time"), 4),
    **dict.fromkeys(("UInt64", "Int64", "Float64", "DateTime64", "Decimal64", "Time64"), 8),
    **dict.fromkeys(("UInt128", "Int128", "UUID", "IPv6", "Decimal128"), 16),
    **dict.fromkeys(("UInt256", "Int256", "Decimal256"), 32),
}
DECIMAL_WIDTHS = ((9, 4), (18, 8), (38, 16), (76, 32))
DICTIONARY_HAS_KEYS = 0x200


class UnsupportedType(Exception):
    """A type whose layout this module does not know; its text names it."""


def block_for_protocol(block: bytes, version: int) -> bytes:
    """One block of version 0, as a client of `version` expects it. Raises UnsupportedType."""
    if version < VERSION_WITH_BLOCK_INFO:
        return block
    if version < VERSION_WITH_SERIALIZATION_BYTE:
        return BLOCK_INFO + block  # without a walk: fast, and for types of any layout
    return blocks_for_protocol(block, version)


def blocks_for_protocol(data: bytes, version: int) -> bytes:
    """Any number of blocks of version 0, as a client of `version` expects them. Raises UnsupportedType."""
    if version < VERSION_WITH_BLOCK_INFO:
        return data
    reader = _Reader(data)
    out: list[bytes] = []
    mark = b"\x00" if version >= VERSION_WITH_SERIALIZATION_BYTE else b""
    while reader.at < len(data):
        out += (BLOCK_INFO, *_block(reader, mark))
    return b"".join(out)


def _block(reader: _Reader, mark: bytes) -> list[bytes]:
    """The next block in pieces, with `mark` between each column's head and its values."""
    out, start = [], reader.at
    columns, rows = reader.number(), reader.number()
    for _ in range(columns):
        reader.text()  # the name
        kind = reader.text()
        out += [reader.block[start : reader.at], mark]
        start = reader.at
        if rows:
            reader.prefix(kind)
            reader.values(kind, rows)
    return [*out, reader.block[start : reader.at]]


class _Reader:
    """Walks a block; `at` is the position."""

    def __init__(self, block: bytes) -> None:
        self.block, self.at = block, 0

    def number(self) -> int:
        value = shift = 0
        while True:
            byte = self.block[self.at]
            self.at += 1
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def text(self) -> str:
        size = self.number()
        self.at += size
        return self.block[self.at - size : self.at].decode()

    def uint64(self) -> int:
        (value,) = struct.unpack_from("<Q", self.block, self.at)
        self.at += 8
        return int(value)

    def prefix(self, kind: str) -> None:
        """State that stands before a column's values: the version of each dictionary inside."""
        name, inner = _parse(kind)
        if name == "LowCardinality":
            self.at += 8
        else:
            for part in _elements(name, inner):
                self.prefix(part)

    def values(self, kind: str, rows: int) -> None:
        name, inner = _parse(kind)
        if name == "String":
            for _ in range(rows):
                size = self.number()
                self.at += size
        elif name == "LowCardinality":
            self._dictionary(inner[0], rows)
        elif name in {"Array", "Map"}:
            self.at += 8 * rows
            total = struct.unpack_from("<Q", self.block, self.at - 8)[0] if rows else 0
            for part in _elements(name, inner):
                self.values(part, total)
        elif parts := _elements(name, inner):
            self.at += rows if name == "Nullable" else 0
            for part in parts:
                self.values(part, rows)
        else:
            self.at += _width(kind, name, inner) * rows

    def _dictionary(self, kind: str, rows: int) -> None:
        if not rows:
            return
        flags = self.uint64()
        if flags & DICTIONARY_HAS_KEYS:
            keys = self.uint64()
            name, inner = _parse(kind)
            self.values(inner[0] if name == "Nullable" else kind, keys)
        self.at += 8 + rows * (1 << (flags & 0xFF))


def _width(kind: str, name: str, inner: list[str]) -> int:
    if name == "FixedString":
        return int(inner[0])
    if name == "Decimal":
        return next(width for precision, width in DECIMAL_WIDTHS if int(inner[0]) <= precision)
    if name.startswith("Interval"):
        return 8
    if name not in WIDTHS:
        raise UnsupportedType(kind)
    return WIDTHS[name]


def _elements(name: str, inner: list[str]) -> list[str]:
    """The types whose values a container holds, in the order in which they are written."""
    if name in {"Nullable", "Array", "Map"}:
        return inner
    if name == "Tuple":
        return [_without_name(part) for part in inner]
    if name == "SimpleAggregateFunction":
        return inner[1:]
    return []


def _parse(kind: str) -> tuple[str, list[str]]:
    """`Map(String, Array(Int8))` as its name and its arguments."""
    name, bracket, rest = kind.partition("(")
    return name, _split(rest[:-1]) if bracket else []


def _split(text: str) -> list[str]:
    parts, depth, quote, start, at = [], 0, "", 0, 0
    while at < len(text):
        char = text[at]
        if quote:
            at += char == "\\"
            quote = "" if char == quote else quote
        elif char in "'`\"":
            quote = char
        elif char == "," and depth == 0:
            parts.append(text[start:at].strip())
            start = at + 1
        else:
            depth += {"(": 1, ")": -1}.get(char, 0)
        at += 1
    return [*parts, text[start:].strip()]


def _without_name(part: str) -> str:
    """A tuple's element `name Type` (the name may be quoted) as its type."""
    match = re.match(r"(?:`(?:[^`\\]|\\.)*`|\w+) +(?=\w)", part)
    return part[match.end() :] if match else part
