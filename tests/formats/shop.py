"""Events of the generated shop, as the fields that every encoding starts from."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from schemas.decode import Decode, DecodeOptions, Format, decoder, encode_native, load_mapping
from schemas.decode.framed import SchemaStore
from streams.traffic import Traffic, TrafficConfig
from tests.formats.encodings import ENCODINGS, LACKS, Fields, native, segment_properties

MONDAY = 1_767_571_200_000
#: Formats of the encodings that are named in the settings.
FORMATS = {
    "avro": Format.CONFLUENT,
    "protobuf": Format.CONFLUENT,
    "json_schema": Format.CONFLUENT,
    "mapped": Format.MAPPING,
}


def shop_fields(prefix: str, number: int, seed: int = 5) -> Iterator[Fields]:
    """So many events, copies and bots among them, with ids that begin with `prefix`."""
    config = TrafficConfig(seed=seed, start_ms=MONDAY, visitors_per_day=90_000, duplicate_share=0.01, bad_share=0.0)
    decode, now = decoder(DecodeOptions()), int(time.time() * 1000)
    for record in islice(Traffic(config).records(), number):
        fields: Fields = json.loads(encode_native(decode(record.data, now)))
        fields.pop("bot", None)
        fields["user_agent"] = json.loads(record.data)["user_agent"]
        for name in ("event_id", "session_id", "visitor_id", "user_id", "order_id"):
            if name in fields:
                fields[name] = f"{prefix}-{fields[name]}"
        yield fields


def native_form(encoding: str, fields: Fields) -> bytes:
    """The native record of what this encoding can say."""
    said = {name: value for name, value in fields.items() if name not in LACKS.get(encoding, ())}
    return native({**said, "properties": segment_properties(fields)} if encoding == "segment" else said)


def decoder_of(encoding: str, store: SchemaStore, directory: Path) -> Decode:
    """The decoder that its settings make."""
    mapping = None
    if ENCODINGS[encoding].mapping:
        path = directory / f"{encoding}.toml"
        path.write_text(ENCODINGS[encoding].mapping, encoding="utf-8")
        mapping = load_mapping(path)
    form = FORMATS.get(encoding) or Format(encoding)
    return decoder(DecodeOptions(format=form, mapping=mapping, schemas=store))
