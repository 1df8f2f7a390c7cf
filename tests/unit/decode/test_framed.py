"""Avro, Protobuf and JSON Schema: what a schema makes of a payload, and what no payload can do."""

from __future__ import annotations

import json
from decimal import Decimal
from io import BytesIO
from typing import Any
from uuid import UUID

import pytest
from fastavro import parse_schema, schemaless_writer
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto, FileDescriptorProto

from schemas.decode import DecodeOptions, Format, decoder
from schemas.decode.avro import avro_reader, shortest
from schemas.decode.framed import SchemaStore
from schemas.decode.protobuf import message_path, protobuf_reader
from schemas.errors import ConfigError, InvalidEvent, SchemaNotFetched
from schemas.reasons import Reason
from tests.unit.decode.records import NOW


def avro(schema: Any, value: Any) -> bytes:
    payload = BytesIO()
    schemaless_writer(payload, parse_schema(schema), value)
    return payload.getvalue()


def record(*fields: tuple[str, Any]) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": kind} for name, kind in fields]}


def test_avro_values_are_as_json_would_carry_them() -> None:
    schema = record(
        ("t", {"type": "long", "logicalType": "timestamp-millis"}),
        ("f", "float"), ("d", {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
        ("u", ["null", {"type": "string", "logicalType": "uuid"}]), ("b", "bytes"),
        ("l", {"type": "array", "items": ["null", "float"]}), ("day", {"type": "int", "logicalType": "date"}),
    )  # fmt: skip
    value = {"t": 1_714_566_896_789, "f": 19.99, "d": Decimal("5.10"), "u": UUID(int=1), "b": b"\xffa", "l": [None, 0.1],
             "day": 19_844}  # fmt: skip
    assert avro_reader(json.dumps(schema))(avro(schema, value)) == {
        "t": 1_714_566_896_789, "f": 19.99, "d": Decimal("5.10"), "u": "00000000-0000-0000-0000-000000000001",
        "b": "\\xffa", "l": [None, 0.1], "day": "2024-05-01",
    }  # fmt: skip


def test_shortest_is_the_number_that_was_meant() -> None:
    meant = [0.0, 19.99, 0.1, 16777216.0, 3.4028235e38, 1.1754944e-38, -5.5]
    assert [
        shortest(avro_reader(json.dumps(record(("f", "float"))))(avro(record(("f", "float")), {"f": each}))["f"])
        for each in meant
    ] == meant
    assert str(shortest(float("nan"))) == "nan"


@pytest.mark.parametrize(
    "schema, words",
    [
        ("{", "JSONDecodeError"),
        ('"string"', "no record"),
        ("5", "no Avro schema"),
        (json.dumps(record(("a", "nothing"))), "UnknownType"),
        (json.dumps(record(("a", {"type": "array", "items": "null"}))), "take no bytes"),
        (
            json.dumps(record(("a", {"type": "array", "items": {"type": "record", "name": "E", "fields": []}}))),
            "take no bytes",
        ),
        (
            json.dumps(
                record(
                    (
                        "a",
                        {
                            "type": "map",
                            "values": {"type": "array", "items": {"type": "fixed", "name": "Z", "size": 0}},
                        },
                    )
                )
            ),
            "take no bytes",
        ),
        ("[" * 100_000, "nested too deeply"),
    ],
)
def test_schemas_that_can_not_be_used(schema: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        avro_reader(schema)


def test_a_record_that_nests_for_ever_ends_nothing() -> None:
    """fastavro's own reader is C without a count of levels: this payload would end the process."""
    read = avro_reader(json.dumps(record(("next", ["null", "R"]))))
    assert read(b"\x02\x02\x00") == {"next": {"next": {"next": None}}}
    with pytest.raises(RecursionError):
        read(b"\x02" * 1_000_000)
    mutual = record(
        (
            "x",
            {
                "type": "array",
                "items": {"type": "record", "name": "B", "fields": [{"name": "y", "type": ["null", "R"]}]},
            },
        )
    )
    with pytest.raises(RecursionError):
        avro_reader(json.dumps(mutual))(b"\x02\x02" * 500_000)


def test_bytes_that_are_left_over_show_the_wrong_schema() -> None:
    with pytest.raises(ValueError, match="1 bytes are left over"):
        avro_reader(json.dumps(record(("a", "string"))))(b"\x02a\x00")


def test_an_import_that_is_not_there() -> None:
    file = FileDescriptorProto(name="a.proto", dependency=["b.proto"])
    with pytest.raises(ValueError, match=r"imports b\.proto, which the registry does not give"):
        protobuf_reader(file.SerializeToString(), {})
    circle = FileDescriptorProto(name="b.proto", dependency=["b.proto"]).SerializeToString()
    with pytest.raises(ValueError, match="no Protobuf file"):
        protobuf_reader(file.SerializeToString(), {"b.proto": circle})
    with pytest.raises(ValueError, match="no Protobuf file"):
        protobuf_reader(b"\xff\xff", {})


@pytest.mark.parametrize(
    "payload, path", [(b"\x00rest", ([0], 1)), (b"\x04\x02\x06x", ([1, 3], 3)), (b"\x02\x80\x01", ([64], 3))]
)
def test_message_indexes(payload: bytes, path: tuple[list[int], int]) -> None:
    assert message_path(payload) == path


@pytest.mark.parametrize("payload", [b"", b"\x80" * 20, b"\x04\x02", b"\x01", b"\xfe\x01"])
def test_broken_message_indexes(payload: bytes) -> None:
    with pytest.raises(ValueError, match="index"):
        message_path(payload)


def test_protobuf_numbers_and_what_is_not_set() -> None:
    kind = FieldDescriptorProto
    fields = [("i", kind.TYPE_INT64), ("f", kind.TYPE_FLOAT), ("b", kind.TYPE_BYTES), ("s", kind.TYPE_STRING)]
    message = DescriptorProto(name="M")
    for number, (name, of) in enumerate(fields, 1):
        message.field.append(kind(name=name, number=number, type=of, label=kind.LABEL_OPTIONAL))
    read = protobuf_reader(FileDescriptorProto(message_type=[message]).SerializeToString(), {})
    assert read(b"\x00" + b"\x08\x80\x80\x80\x80\x80\x80\x80\x80\x40" + b"\x15" + bytes.fromhex("85eb9f41") + b"\x1a\x01\xff") == {
        "i": 2**62, "f": 19.99, "b": "\\xff",
    }  # fmt: skip
    with pytest.raises(ValueError, match="no message"):
        read(b"\x02\x02")


def test_a_framed_record_and_its_reasons() -> None:
    store = SchemaStore()
    decode = decoder(DecodeOptions(format=Format.CONFLUENT, schemas=store))
    head = record(("event", "string"), ("timestamp", "long"), ("visitor_id", "string"))
    store.readers[7], store.refused[8] = avro_reader(json.dumps(head)), "schema 8: gone"
    payload = avro(head, {"event": "buy", "timestamp": NOW, "visitor_id": "v"})
    event = decode(b"\0\0\0\0\x07" + payload, NOW)
    assert (event.event, event.ts, event.visitor_id, len(event.event_id)) == ("buy", NOW, "v", 32)
    wanted = {
        b"\0\0\0\0\x08" + payload: Reason.UNKNOWN_SCHEMA, b"\0\0\0\0\x07" + payload[:-1]: Reason.UNPARSEABLE,
        b"\0\0\0\0\x07": Reason.UNPARSEABLE, b"\0\0\0": Reason.UNPARSEABLE, b'{"event": 1}': Reason.UNPARSEABLE,
        b"": Reason.UNPARSEABLE,
    }  # fmt: skip
    for data, reason in wanted.items():
        with pytest.raises(InvalidEvent) as caught:
            decode(data, NOW)
        assert caught.value.reason is reason
    with pytest.raises(SchemaNotFetched, match="schema 9 was not fetched"):
        decode(b"\0\0\0\0\x09" + payload, NOW)
    with pytest.raises(ConfigError, match=r"needs a schema registry; write url in \[registry\]"):
        decoder(DecodeOptions(format=Format.CONFLUENT))
