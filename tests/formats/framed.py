"""The shop's events as Avro, Protobuf and JSON Schema records, with the schemas that a registry holds for them."""

from __future__ import annotations

import json
from decimal import Decimal
from io import BytesIO
from typing import Any

from fastavro import parse_schema, schemaless_writer
from google.protobuf import message_factory
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.timestamp_pb2 import DESCRIPTOR as TIMESTAMP

from tests.formats.registry import Schema, StubRegistry

TEXTS = (
    *(
        "event_id",
        "site",
        "session_id",
        "visitor_id",
        "user_id",
        "url",
        "landing_page",
        "referrer",
        "channel",
        "source",
    ),
    *("medium", "campaign", "country", "customer_type", "currency", "order_id", "user_agent"),
)
DEVICES = ("unknown", "desktop", "mobile", "tablet")
AVRO_DEVICE = {"type": "enum", "name": "Device", "namespace": "shop", "symbols": list(DEVICES)}
#: Numbers of the schemas; those of their second versions are 10 more.
AVRO, PROTOBUF, JSON = 1, 2, 3


def avro_schema(version: int) -> dict[str, Any]:
    """Record `shop.Event`; the second version has a field more."""
    nullable: list[tuple[str, Any]] = [(name, "string") for name in TEXTS]
    nullable += [
        ("device", "shop.Device"),
        ("revenue", {"type": "bytes", "logicalType": "decimal", "precision": 12, "scale": 2}),
        ("consent", "boolean"),
        ("variant", {"type": "map", "values": "string"}),
        ("properties", {"type": "map", "values": ["string", "long"]}),
    ]
    nullable += [("note", "string")] if version == 2 else []
    fields = [{"name": name, "type": ["null", kind], "default": None} for name, kind in nullable]
    time = {"type": "long", "logicalType": "timestamp-micros"}
    head = [{"name": "event", "type": "string"}, {"name": "timestamp", "type": time}]
    return {"type": "record", "name": "Event", "namespace": "shop", "fields": [*head, *fields]}


def frame(number: int, payload: bytes) -> bytes:
    return b"\0" + number.to_bytes(4) + payload


class AvroWriter:
    def __init__(self, version: int = 1) -> None:
        named: dict[str, Any] = {}
        parse_schema(AVRO_DEVICE, named)
        self._schema, self._number = parse_schema(avro_schema(version), named), AVRO + 10 * (version - 1)

    def __call__(self, fields: dict[str, Any]) -> bytes:
        record = dict(fields, timestamp=fields["timestamp"] * 1000)
        if "revenue" in record:
            record["revenue"] = Decimal(str(record["revenue"])).quantize(Decimal("0.01"))
        payload = BytesIO()
        schemaless_writer(payload, self._schema, record)
        return frame(self._number, payload.getvalue())


def proto_device() -> FileDescriptorProto:
    """shop/device.proto."""
    values = [{"name": name, "number": number} for number, name in enumerate(DEVICES)]
    return FileDescriptorProto(
        name="shop/device.proto",
        package="shop",
        enum_type=[EnumDescriptorProto(name="Device", value=values)],  # type: ignore[arg-type]
    )


def proto_event(version: int) -> FileDescriptorProto:
    """Messages shop.Ping and shop.Web, whose inner message Event is the records'."""
    kind = FieldDescriptorProto
    message = DescriptorProto(name="Event")
    number = 0

    def add(name: str, of: Any, named: str = "", *, repeated: bool = False) -> None:
        nonlocal number
        number += 1
        label = kind.LABEL_REPEATED if repeated else kind.LABEL_OPTIONAL
        message.field.append(kind(name=name, number=number, type=of, label=label, type_name=named or None))

    for name in ("event", *TEXTS, "revenue"):
        add(name, kind.TYPE_STRING)
    add("timestamp", kind.TYPE_MESSAGE, ".google.protobuf.Timestamp")
    add("device", kind.TYPE_ENUM, ".shop.Device")
    add("consent", kind.TYPE_BOOL)
    for name in ("variant", "properties"):
        entry = message.nested_type.add(name=f"{name.title()}Entry")
        entry.options.map_entry = True
        for place, inner in enumerate(("key", "value"), 1):
            entry.field.append(kind(name=inner, number=place, type=kind.TYPE_STRING, label=kind.LABEL_OPTIONAL))
        add(name, kind.TYPE_MESSAGE, f".shop.Web.Event.{name.title()}Entry", repeated=True)
    if version == 2:
        add("note", kind.TYPE_STRING)
    outer = DescriptorProto(name="Web", nested_type=[DescriptorProto(name="Other"), message])
    return FileDescriptorProto(
        name="shop/web.proto", package="shop", syntax="proto2",
        dependency=["google/protobuf/timestamp.proto", "shop/device.proto"],
        message_type=[DescriptorProto(name="Ping"), outer],
    )  # fmt: skip


class ProtobufWriter:
    def __init__(self, version: int = 1) -> None:
        pool = DescriptorPool()
        pool.AddSerializedFile(TIMESTAMP.serialized_pb)
        pool.AddSerializedFile(proto_device().SerializeToString())
        pool.AddSerializedFile(proto_event(version).SerializeToString())
        self._message: Any = message_factory.GetMessageClass(pool.FindMessageTypeByName("shop.Web.Event"))
        self._number = PROTOBUF + 10 * (version - 1)

    def __call__(self, fields: dict[str, Any]) -> bytes:
        message = self._message()
        for name, value in fields.items():
            if name in ("variant", "properties"):
                getattr(message, name).update(value)
            elif name == "timestamp":
                message.timestamp.FromMilliseconds(value)
            elif name == "device":
                message.device = DEVICES.index(value)
            else:
                setattr(message, name, str(value) if name == "revenue" else value)
        path = bytes([4, 2, 2])  # two indexes, zigzag: the second message of the file, the second one in it
        return frame(self._number, path + message.SerializeToString())


class JsonWriter:
    def __init__(self, version: int = 1) -> None:
        self._number = JSON + 10 * (version - 1)

    def __call__(self, fields: dict[str, Any]) -> bytes:
        return frame(self._number, json.dumps(fields).encode())


def fill(registry: StubRegistry, version: int = 1) -> None:
    """Registers that version of the three schemas, and what they refer to."""
    more = 10 * (version - 1)
    device = (("shop.Device", "device/avro", 1),)
    registry.schemas[AVRO + more] = Schema("AVRO", json.dumps(avro_schema(version)), references=device)
    registry.subjects["device/avro", 1] = Schema("AVRO", json.dumps(AVRO_DEVICE))
    binary = proto_event(version).SerializeToString()
    registry.schemas[PROTOBUF + more] = Schema(
        "PROTOBUF", 'syntax = "proto2"; …', binary, (("shop/device.proto", "device", 3),)
    )
    registry.subjects["device", 3] = Schema("PROTOBUF", 'syntax = "proto2"; …', proto_device().SerializeToString())
    registry.schemas[JSON + more] = Schema("JSON", '{"type": "object"}')
