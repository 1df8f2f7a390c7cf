"""Protobuf payloads: from a file's descriptor to the function that reads its messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from google.protobuf import (
    any_pb2,
    duration_pb2,
    empty_pb2,
    field_mask_pb2,
    json_format,
    message_factory,
    struct_pb2,
    timestamp_pb2,
    wrappers_pb2,
)
from google.protobuf.descriptor import Descriptor, FieldDescriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from schemas.decode.avro import shortest
from schemas.decode.framed import Read

_KNOWN = (any_pb2, duration_pb2, empty_pb2, field_mask_pb2, struct_pb2, timestamp_pb2, wrappers_pb2)
_WRAPPED = tuple(
    f"google.protobuf.{name}Value"
    for name in ["Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes"]
)
_JSON = ("google.protobuf.Struct", "google.protobuf.Value", "google.protobuf.ListValue", "google.protobuf.Duration")


def protobuf_reader(file: bytes, references: Mapping[str, bytes]) -> Read:
    """The reader for a serialized FileDescriptorProto; `references`: those of the files that it imports, by import path.

    Raises ValueError for what is no file, or imports one that is not there.
    """
    pool = DescriptorPool()
    added: set[str] = set()
    for known in _KNOWN:
        pool.AddSerializedFile(known.DESCRIPTOR.serialized_pb)
        added.add(known.DESCRIPTOR.name)
    try:
        proto = FileDescriptorProto.FromString(file)
        proto.name = "funnelwatch/value.proto"
        _add(pool, proto, references, added, ())
        descriptor = pool.FindFileByName(proto.name)
    except Exception as error:  # noqa: BLE001 - the library has errors of its own, and KeyError and TypeError besides
        raise ValueError(f"no Protobuf file: {error}") from None

    def fields(payload: bytes) -> dict[str, Any]:
        path, start = message_path(payload)
        message = message_factory.GetMessageClass(_message(descriptor, path))()
        message.ParseFromString(payload[start:])
        return plain(message)

    return fields


def _add(
    pool: DescriptorPool, proto: FileDescriptorProto, references: Mapping[str, bytes], added: set[str],
    above: tuple[str, ...],
) -> None:  # fmt: skip
    for name in proto.dependency:
        if name in added:
            continue
        if name not in references or name in above:
            raise ValueError(f"imports {name}, which the registry does not give")
        inner = FileDescriptorProto.FromString(references[name])
        inner.name = name
        _add(pool, inner, references, added, (*above, name))
    added.add(proto.name)
    pool.AddSerializedFile(proto.SerializeToString())


def message_path(payload: bytes) -> tuple[list[int], int]:
    """Which message of its file a payload is (the index at each level), and where it begins. Raises ValueError."""
    count, at = _varint(payload, 0)
    if count == 0:
        return [0], at
    if not 0 < count <= 32:
        raise ValueError(f"{count} message indexes")
    path = []
    for _ in range(count):
        index, at = _varint(payload, at)
        path.append(index)
    return path, at


def _varint(payload: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint, and where it ends."""
    number = shift = 0
    while True:
        if at >= len(payload) or shift > 63:
            raise ValueError("the message indexes are cut off")
        byte = payload[at]
        at += 1
        number |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return (number >> 1) ^ -(number & 1), at


def _message(file: FileDescriptor, path: list[int]) -> Descriptor:
    messages = list(file.message_types_by_name.values())
    for level, index in enumerate(path):
        if not 0 <= index < len(messages):
            raise ValueError(f"the schema has no message {path}")
        found: Descriptor = messages[index]
        if level + 1 < len(path):
            messages = list(found.nested_types)
    return found


def plain(message: Message) -> dict[str, Any]:
    """The fields that are set, as JSON would carry them, under their names in the schema; timestamps as ms."""
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: FieldDescriptor, value: Any) -> Any:
    inner = field.message_type
    if inner is not None and inner.GetOptions().map_entry:
        of = inner.fields_by_name["value"]
        return {str(key): _single(of, value[key]) for key in value}
    if field.is_repeated:
        return [_single(field, item) for item in value]
    return _single(field, value)


def _single(field: FieldDescriptor, value: Any) -> Any:
    if field.message_type is not None:
        return _inner(field.message_type.full_name, value)
    if field.enum_type is not None:
        named = field.enum_type.values_by_number.get(value)
        return named.name if named is not None else value
    if field.type == FieldDescriptor.TYPE_FLOAT:
        return shortest(value)
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else value


def _inner(name: str, value: Any) -> Any:
    if name == "google.protobuf.Timestamp":
        return value.seconds * 1000 + value.nanos // 1_000_000
    if name in _WRAPPED:
        return _single(value.DESCRIPTOR.fields_by_name["value"], value.value)
    return json_format.MessageToDict(value) if name in _JSON else plain(value)
