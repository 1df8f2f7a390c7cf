"""Valid records of every encoding, and the decoders that the settings would make for them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from schemas.decode import Decode, DecodeOptions, Format, decoder, load_mapping
from schemas.decode.framed import SchemaStore
from schemas.settings import Registry
from streams.registry import SchemaRegistry
from tests.formats.encodings import ENCODINGS
from tests.formats.framed import fill
from tests.formats.registry import StubRegistry
from tests.formats.shop import decoder_of, shop_fields

#: Events of the shop that the seeds are made of, a few of each name.
EVENTS, EACH = 3_000, 4
EXAMPLES = Path(__file__).parents[2] / "examples"
LINE = (
    b'203.0.113.%d - - [05/Jan/2026:00:%02d:00 +0000] "GET /downloads/a.zip?utm_source=x HTTP/1.1" 200 512 '
    b'"https://www.google.com/" "Mozilla/5.0 (X11) \\"Firefox\\"/27.0"'
)
OTTO = b'{"session": %d, "aid": 1517085, "ts": 17675712%05d, "type": "clicks"}'
#: A schema that contains itself, and one with everything in it: what a hostile payload could do most with.
RECURSIVE = """{"type": "record", "name": "R", "fields": [
  {"name": "event", "type": "string"}, {"name": "timestamp", "type": "long"}, {"name": "visitor_id", "type": "string"},
  {"name": "properties", "type": {"type": "map", "values": ["null", "string", "double", "R",
    {"type": "array", "items": ["R", "int"]}, {"type": "fixed", "name": "F", "size": 3},
    {"type": "bytes", "logicalType": "decimal", "precision": 30, "scale": 4}, {"type": "int", "logicalType": "date"},
    {"type": "long", "logicalType": "time-micros"}, {"type": "string", "logicalType": "uuid"}]}}]}"""


class Subject(msgspec.Struct, frozen=True):
    """What is fuzzed: an encoding's decoder, and records of it that are valid."""

    name: str
    decode: Decode
    seeds: tuple[bytes, ...]


def subjects(directory: Path) -> list[Subject]:
    """All of them. `directory`: for mapping files."""
    store = _store()
    chosen, seen = [], dict[str, int]()
    for fields in shop_fields("e", EVENTS):
        seen[fields["event"]] = seen.get(fields["event"], 0) + 1
        if seen[fields["event"]] <= EACH:
            chosen.append(fields)
    made = [
        Subject(name, decoder_of(name, store, directory), tuple(map(encoding.write, chosen)))
        for name, encoding in ENCODINGS.items()
    ]
    recursive = b"\0\0\0\0\x4d" + b"\x02a" + b"\xd0\xa1\xd6\xb0\xf2\x66" + b"\x02v" + b"\x02\x02k\x02\x02v\x00"
    mapping = load_mapping(EXAMPLES / "weblog" / "mapping.toml")
    return [
        *made,
        Subject("recursive_avro", decoder(DecodeOptions(format=Format.CONFLUENT, schemas=store)), (recursive,)),
        Subject(
            "combined",
            decoder(DecodeOptions(format=Format.MAPPING, mapping=mapping)),
            tuple(LINE % (n, n) for n in range(20)),
        ),
        Subject("otto", decoder(DecodeOptions(format=Format.OTTO)), tuple(OTTO % (n, n) for n in range(20))),
        Subject("snowplow_plain", decoder(DecodeOptions(format=Format.SNOWPLOW)), made[3].seeds),
    ]


def _store() -> SchemaStore:
    """The shop's schemas as a registry gives them, and the recursive one as number 77. Any other number is unknown."""
    from tests.formats.registry import Schema

    with StubRegistry() as stub:
        fill(stub, 1)
        fill(stub, 2)
        stub.schemas[77] = Schema("AVRO", RECURSIVE)
        client = SchemaRegistry(Registry(url=stub.url))

        async def learn() -> None:
            await client.learn([b"\0" + number.to_bytes(4) for number in stub.schemas], "fuzzing")
            await client.close()

        asyncio.run(learn())
    client.store.refused = Unknown(client.store.refused)
    return client.store


class Unknown(dict[int, str]):
    """Every number that is not known is unknown to the registry, too."""

    def __contains__(self, number: object) -> bool:
        return True

    def __missing__(self, number: int) -> str:
        return f"schema {number}: the registry does not know it"
