"""Blocks for clients that name a protocol version: read back by a reader that knows nothing of the writer's walk."""

from __future__ import annotations

import http.client
from urllib.parse import urlencode

import pytest

from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.native import BLOCK_INFO, UnsupportedType, block_for_protocol, blocks_for_protocol

ONE_BLOCK = b"\x01\x02\x01x\x05UInt8\x07\x08"  # 1 column, 2 rows, x UInt8: 7, 8

#: Every layout that the walk knows, two rows each.
EVERY_KIND = """
    SELECT number::UInt64 AS a, toString(number) AS b, toLowCardinality(toString(number)) AS c,
        [toLowCardinality('x'), toLowCardinality('y')] AS d, map('k', number::Int8) AS e,
        CAST(tuple(1, 'z'), 'Tuple(n UInt8, `odd name` Nullable(String))') AS f, NULL::Nullable(Float64) AS g,
        toFixedString('abc', 3) AS h, 1.5::Decimal(38, 9) AS i, 1.5::Decimal(9, 2) AS j, toDateTime64(0, 3, 'UTC') AS k,
        CAST('x y', 'Enum8(\\'x y\\' = 1, \\'(,\\' = 2)') AS l, generateUUIDv4() AS m, toIPv6('::1') AS n,
        []::Array(Array(String)) AS o, map(toLowCardinality('p'), [number]) AS q, toDate('2024-01-01') AS r,
        toLowCardinality(NULL::Nullable(String)) AS s, INTERVAL 1 DAY AS t, true AS u
    FROM numbers(2)
"""


def test_plain_blocks_stay_as_they_are() -> None:
    assert block_for_protocol(ONE_BLOCK, 0) == ONE_BLOCK


def test_block_info_stands_before_a_block() -> None:
    assert block_for_protocol(ONE_BLOCK, 54405) == BLOCK_INFO + ONE_BLOCK


def test_from_54454_a_byte_stands_before_each_columns_values() -> None:
    marked = b"\x01\x02\x01x\x05UInt8\x00\x07\x08"
    assert block_for_protocol(ONE_BLOCK, 54460) == BLOCK_INFO + marked
    assert blocks_for_protocol(ONE_BLOCK * 2, 54460) == (BLOCK_INFO + marked) * 2


def test_a_type_of_unknown_layout_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedType, match="Dynamic"):
        block_for_protocol(b"\x01\x01\x01x\x07Dynamic\x00", 54460)


def fetch(clickhouse: EmbeddedClickHouse, query: str, version: int) -> bytes:
    connection = http.client.HTTPConnection(clickhouse.host, clickhouse.port, timeout=30)
    try:
        parameters = urlencode({"client_protocol_version": version, "default_format": "Native"})
        connection.request("POST", f"/?{parameters}", query)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body
        return body
    finally:
        connection.close()


def test_the_walk_finds_the_end_of_every_column(clickhouse: EmbeddedClickHouse) -> None:
    """Taking the marks out again, at the places where the columns' heads end, gives the plain block."""
    query = EVERY_KIND.replace("generateUUIDv4()", "toUUID('61f0c404-5cb3-11e7-907b-a6006ad3dba0')")
    plain, marked = fetch(clickhouse, query, 0), fetch(clickhouse, query, 54460)
    assert len(marked) == len(plain) + len(BLOCK_INFO) + 20
    restored, at = marked.removeprefix(BLOCK_INFO), 2
    for _ in range(20):
        for _ in ("name", "type"):
            at += 1 + restored[at]  # all are shorter than 128 bytes
        assert restored[at] == 0
        restored = restored[:at] + restored[at + 1 :]
        at = next_head(plain, at)
    assert restored == plain


def next_head(plain: bytes, at: int) -> int:
    """The next place in the plain block, from `at`, where a one-letter name and a type stand."""
    for place in range(at, len(plain) - 3):
        if plain[place] == 1 and plain[place + 1 : place + 2].islower() and plain[place + 3 : place + 6].isalpha():
            return place
    return len(plain)


def test_statements_that_are_no_select_are_marked_too(clickhouse: EmbeddedClickHouse) -> None:
    assert fetch(clickhouse, "EXISTS TABLE system.one", 54460) == BLOCK_INFO + b"\x01\x01\x06result\x05UInt8\x00\x01"
