"""Avro payloads: from a schema's JSON to the function that reads them."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, time
from io import BytesIO
from typing import Any
from uuid import UUID

from fastavro import _read_py, parse_schema, schemaless_reader
from fastavro.read import LOGICAL_READERS

from schemas.decode.framed import Read

_SHORTEST = "funnelwatch-shortest"
_PRIMITIVE = frozenset(("null", "boolean", "int", "long", "float", "double", "bytes", "string"))


def avro_reader(schema: str, references: Sequence[str] = ()) -> Read:
    """The reader for a schema in JSON; `references`: schemas that it names, those that others need first.

    A timestamp is the integer as it stands. Raises ValueError for what is no schema, or one that lets a few
    bytes stand for endless items.
    """
    named: dict[str, Any] = {}
    try:
        for each in references:
            parse_schema(_prepared(json.loads(each)), named)
        parsed: Any = parse_schema(_prepared(json.loads(schema)), named)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except Exception as error:  # noqa: BLE001 - of fastavro's own kinds, and KeyError and TypeError besides
        raise ValueError(f"no Avro schema: {type(error).__name__}: {error}") from None
    if not isinstance(parsed, list) and (not isinstance(parsed, dict) or parsed.get("type") != "record"):
        raise ValueError("the schema is no record")
    types = {name: each for name, each in named.items() if isinstance(each, Mapping)}
    walk = _Walk(types)
    walk.check(parsed, ())
    # The quick reader is C that counts no levels: a record that nests for ever would end the process.
    read = _read_py.schemaless_reader if walk.recursive else schemaless_reader

    def fields(payload: bytes) -> dict[str, Any]:
        source = BytesIO(payload)
        record = read(source, parsed, None)
        if source.tell() != len(payload):
            raise ValueError(f"{len(payload) - source.tell()} bytes are left over")
        if not isinstance(record, dict):
            raise TypeError("the schema is no record")
        return {name: plain(value) for name, value in record.items()}

    return fields


def plain(value: Any) -> Any:
    """The value as JSON would carry it."""
    kind = value.__class__
    if kind is dict:
        return {name: plain(item) for name, item in value.items()}
    if kind is list:
        return [plain(item) for item in value]
    if kind is bytes:
        return value.decode("utf-8", "backslashreplace")
    if kind is UUID:
        return str(value)
    return value.isoformat() if isinstance(value, date | time) else value


def shortest(value: float) -> float:
    """The shortest decimal that is this 32-bit number: 19.99, where the double nearest to it has 17 digits."""
    return next((near for digits in range(6, 9) if _single(near := float(f"{value:.{digits}g}")) == value), value)


def _single(value: float) -> float:
    try:
        found: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return float("nan")
    return found


def _read_shortest(value: float, _writer: Any = None, _reader: Any = None) -> float:
    return shortest(value)


LOGICAL_READERS[f"float-{_SHORTEST}"] = _read_shortest


def _prepared(schema: Any) -> Any:
    """The schema with timestamps as the integers that they are, and 32-bit numbers that are made the shortest."""
    if isinstance(schema, list):
        return [_prepared(each) for each in schema]
    if schema == "float":
        return {"type": "float", "logicalType": _SHORTEST}
    if not isinstance(schema, dict):
        return schema
    made = dict(schema)
    if str(made.get("logicalType", "")).removeprefix("local-").startswith("timestamp-"):
        del made["logicalType"]
    for key in ("type", "items", "values"):
        if key in made and not (key == "type" and isinstance(made[key], str) and made[key] in _PRIMITIVE):
            made[key] = _prepared(made[key])
    if made.get("type") == "float":
        made["logicalType"] = _SHORTEST
    if isinstance(made.get("fields"), list):
        made["fields"] = [_prepared_field(field) for field in made["fields"]]
    return made


def _prepared_field(field: Any) -> Any:
    return {**field, "type": _prepared(field.get("type"))} if isinstance(field, dict) else field


class _Walk:
    """A look at every part of a parsed schema. `types`: the named ones."""

    def __init__(self, types: Mapping[str, Any]) -> None:
        self.types, self.recursive, self._seen = types, False, set[str]()

    def check(self, schema: Any, above: tuple[str, ...]) -> None:
        """Raises ValueError for arrays of items without bytes: a count alone would fill the memory."""
        name = schema if isinstance(schema, str) else schema.get("name") if isinstance(schema, dict) else None
        if name in above:
            self.recursive = True
            return
        if isinstance(name, str) and name in self.types:
            schema, above = self.types[name], (*above, name)
            if name in self._seen:
                return
        for inner in self._inner(schema):
            self.check(inner, above)
        if isinstance(name, str) and not self.recursive:
            self._seen.add(name)
        if isinstance(schema, dict) and schema.get("type") == "array" and self.weightless(schema["items"], ()):
            raise ValueError("an array's items take no bytes")

    def weightless(self, schema: Any, above: tuple[str, ...]) -> bool:
        """Whether a value can take no bytes at all."""
        if isinstance(schema, str):
            return schema == "null" or (
                schema in self.types and schema not in above and self.weightless(self.types[schema], (*above, schema))
            )
        if isinstance(schema, list):
            return False  # which of them it is takes a byte
        kind = schema.get("type")
        if kind == "fixed":
            return bool(schema.get("size") == 0)
        if kind in ("record", "error"):
            return all(self.weightless(field["type"], above) for field in schema["fields"])
        return kind == "null" or (not isinstance(kind, str) and self.weightless(kind, above))

    @staticmethod
    def _inner(schema: Any) -> Iterator[Any]:
        if isinstance(schema, list):
            yield from schema
        elif isinstance(schema, dict):
            yield from (field["type"] for field in schema.get("fields", ()))
            yield from (schema[key] for key in ("items", "values") if key in schema)
            if isinstance(schema.get("type"), dict | list):
                yield schema["type"]
