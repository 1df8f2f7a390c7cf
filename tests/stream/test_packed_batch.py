"""Batches that are packed in C are, byte for byte, those that aiokafka's own builder makes of the same records."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from hypothesis import given
from hypothesis import strategies as st

from schemas.settings import Compression
from sinks.kafka import Keyed, fill
from sinks.packed_batch import ENCODE, SIZE, PackedBatch, by_tables
from streams.engine.usual import crc32c, pack_records

pytestmark = pytest.mark.skipif(pack_records is None, reason="no compiled part: aiokafka's own builder is at work")

KEYS = st.none() | st.binary(max_size=200) | st.text(st.characters(exclude_categories=["Cs"]), max_size=90)
VALUES = st.none() | st.binary(max_size=200) | st.integers(0, 70_000).map(bytes)
TIME = 1_700_000_000_123


def own(records: list[Keyed], room: int, codec: int) -> tuple[bytes, int, Keyed | None]:
    """By aiokafka: the batch, how many, and the one that did not fit."""
    builder = BatchBuilder(room, codec)
    over = fill(builder, iter(records), TIME)
    builder._set_producer_state(71, 3, 900)
    count = builder.record_count()
    return (bytes(builder._build()) if count else b"", count, over)


def ours(records: list[Keyed], room: int, compression: Compression) -> tuple[bytes, int, Keyed | None]:
    assert pack_records is not None
    packed, count, over = pack_records(iter(records[1:]), records[0], room, SIZE)
    batch = PackedBatch(packed, count, TIME, compression, crc32c or by_tables)
    batch._set_producer_state(71, 3, 900)
    assert batch.record_count() == count
    assert batch.size() == len(batch._build())
    return (bytes(batch._build()) if count else b"", count, over)


@given(
    st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=40),
    st.sampled_from((100, 300, 5_000, 1 << 20)),
    st.sampled_from(Compression),
)
def test_as_the_stock_builder_makes_them(records: list[Keyed], room: int, compression: Compression) -> None:
    assert ours(records, room, compression) == own(records, room, ENCODE[compression][0])


@pytest.mark.skipif(crc32c is None, reason="this processor has no instruction for it: aiokafka's tables are at work")
@given(st.binary(max_size=100), st.integers(0, 100))
def test_sums_are_those_of_tables(data: bytes, start: int) -> None:
    assert crc32c is not None
    if start > len(data):
        with pytest.raises(ValueError, match="no bytes from"):
            crc32c(data, start)
    else:
        assert crc32c(data, start) == by_tables(bytearray(data), start)


@pytest.mark.skipif(crc32c is None, reason="this processor has no instruction for it: aiokafka's tables are at work")
@given(st.integers(0, 40_000), st.integers(0, 2**32), st.integers(0, 100))
def test_sums_of_many_blocks_are_those_of_tables(size: int, seed: int, start: int) -> None:
    """Three blocks of 4,096 bytes are summed side by side."""
    assert crc32c is not None
    data = Random(seed).randbytes(start + size)
    assert crc32c(data, start) == by_tables(bytearray(data), start)


def test_many_records_have_wide_places() -> None:
    records: list[Keyed] = [(str(place), b"x" * (place % 3)) for place in range(20_000)]
    made, count, over = ours(records, 1 << 24, Compression.NONE)
    assert (made, count, over) == own(records, 1 << 24, 0)
    read: Any = MemoryRecords(made).next_batch()
    assert read.validate_crc()
    assert [one.key for one in read] == [str(place).encode() for place in range(20_000)]


def test_what_is_no_record_is_refused() -> None:
    assert pack_records is not None
    wrong: Any
    for wrong in ((b"k",), [b"k", b"v"], (7, b"v"), (b"k", "text \ud800"), None):
        with pytest.raises((TypeError, UnicodeEncodeError)):
            pack_records(iter([wrong]), None, 1_000, SIZE)
    with pytest.raises(TypeError, match="iterator"):
        pack_records([(b"k", b"v")], None, 1_000, SIZE)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="no less than 0"):
        pack_records(iter([]), None, 1_000, -1)
    assert pack_records(iter([]), None, 1_000, SIZE) == (bytearray(SIZE), 0, None)


def test_an_error_of_the_records_comes_through() -> None:
    def broken() -> Any:
        yield b"k", b"v"
        raise OSError("gone")

    assert pack_records is not None
    with pytest.raises(OSError, match="gone"):
        pack_records(broken(), None, 1_000, SIZE)
