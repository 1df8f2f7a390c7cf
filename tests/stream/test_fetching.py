"""Records read a batch at a time are those that aiokafka's own reader makes of the same answer, however it is cut."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from io import BytesIO
from random import Random
from typing import Any

import pytest
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.protocol import fetch
from aiokafka.protocol.types import Array, Bytes
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.legacy_records import LegacyRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c
from hypothesis import given
from hypothesis import strategies as st

from streams.engine import usual
from streams.stream.fetching import Batches, BatchRecords, InPlace, LeanRecords, fetch_in_batches

pytestmark = pytest.mark.skipif(not usual.COMPILED, reason="no compiled part: aiokafka's own reader is at work")

Seen = tuple[int, int, bytes | None, bytes | None]
Row = tuple[int, bytes | None, bytes | None, bool]
PARTS = st.none() | st.binary(max_size=300)
ROWS = st.lists(st.tuples(st.integers(-5, 5_000), PARTS, PARTS, st.booleans()), min_size=1, max_size=30)
TRANSACTIONAL, CONTROL, APPEND_TIME = 0x10, 0x20, 0x08


def batch(
    base: int, rows: Sequence[Row], codec: int = 0, flags: int = 0, producer: int = -1,
    gaps: Random | None = None,
) -> bytes:  # fmt: skip
    """A batch as a broker has it: `flags` are set afterwards, and its sum with them. `gaps`: compaction took some records out."""
    builder = DefaultRecordBatchBuilder(2, codec, int(bool(flags & TRANSACTIONAL)), producer, 0, 0, 1 << 20)
    place = 0
    for late, key, value, headed in rows:
        builder.append(place, 1_700_000_000_000 + late, key, value, [("h", b"x"), ("n", None)] if headed else [])
        place += 1 if gaps is None else gaps.randint(1, 4)
    made = bytearray(builder.build())
    struct.pack_into(">q", made, 0, base)
    (attributes,) = struct.unpack_from(">h", made, 21)
    struct.pack_into(">h", made, 21, attributes | flags)
    struct.pack_into(">I", made, 17, calc_crc32c(bytes(made[21:])))
    return bytes(made)


def legacy(base: int, magic: int, rows: Sequence[Row]) -> bytes:
    builder = LegacyRecordBatchBuilder(magic, 0, 1 << 20)
    for place, (late, key, value, _) in enumerate(rows):
        builder.append(base + place, timestamp=1_700_000_000_000 + late, key=key, value=value)
    return bytes(builder.build())


def answer(kind: type[Any], data: bytes, offset: int, aborted: list[tuple[int, int]] | None = None) -> Any:
    """One partition's answer as the fetcher holds it."""
    if kind is BatchRecords:
        records = Batches(InPlace.decode(BytesIO(Bytes.encode(data) + b"what follows in the answer")) or b"")
    else:
        records = MemoryRecords(data)
    return kind(("t", 0), records, aborted, offset, None, None, True, 1)


def shown(record: Any) -> Seen:
    return record.offset, -1 if record.timestamp is None else record.timestamp, record.key, record.value


def stock(data: bytes, offset: int, aborted: list[tuple[int, int]] | None = None) -> tuple[list[Seen], int]:
    """What aiokafka makes of it, and where it would go on."""
    reader = answer(LeanRecords, data, offset, aborted)
    return [shown(record) for record in reader], reader.next_fetch_offset


def ours(
    data: bytes, offset: int, cuts: Random, aborted: list[tuple[int, int]] | None = None
) -> tuple[list[Seen], int]:
    reader, more = answer(BatchRecords, data, offset, aborted), True
    seen: list[Seen] = []
    while more:
        most = cuts.choice((None, 1, 2, 7, 100))
        taken, more = reader.take(most)
        assert most is None or len(taken) <= most
        seen += map(shown, taken)
        if more and taken:
            assert reader.next_fetch_offset == seen[-1][0] + 1 or not reader._ready
    return seen, reader.next_fetch_offset


@given(
    st.lists(st.tuples(ROWS, st.integers(0, 4), st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.integers(0, 60), st.integers(0, 1 << 30),
)  # fmt: skip
def test_the_same_records(batches: list[tuple[Sequence[Row], int, bool, bool]], wanted: int, seed: int) -> None:
    rng, base, data = Random(seed), 3, b""
    for rows, codec, stamped, gaps in batches:
        data += batch(base, rows, codec, APPEND_TIME if stamped else 0, gaps=rng if gaps else None)
        base += 4 * len(rows) + rng.randint(0, 3)
    assert ours(data, wanted, rng) == stock(data, wanted)


@pytest.mark.parametrize("magic", [0, 1])
def test_old_formats(magic: int) -> None:
    rows = [(place, b"k", f"v{place}".encode(), False) for place in range(5)]
    data = legacy(0, magic, rows[:3]) + legacy(3, magic, rows[3:])
    assert ours(data, 1, Random(1)) == stock(data, 1)
    assert len(stock(data, 1)[0]) == 4


def test_aborted_transactions_and_markers_are_passed_over() -> None:
    rows = [(place, b"k", b"v", False) for place in range(3)]
    abort = [(0, struct.pack(">hh", 0, 0), b"\0" * 6, False)]
    commit = [(0, struct.pack(">hh", 0, 1), b"\0" * 6, False)]
    data = (
        batch(0, rows, flags=TRANSACTIONAL, producer=7) + batch(3, rows, flags=TRANSACTIONAL, producer=8)
        + batch(6, abort, flags=TRANSACTIONAL | CONTROL, producer=7) + batch(7, commit, flags=TRANSACTIONAL | CONTROL, producer=8)
        + batch(8, rows, flags=TRANSACTIONAL, producer=7) + batch(11, commit, flags=TRANSACTIONAL | CONTROL, producer=7)
    )  # fmt: skip
    seen, after = ours(data, 0, Random(2), [(7, 0)])
    assert [offset for offset, *_ in seen] == [3, 4, 5, 8, 9, 10]
    assert after == 12
    assert (seen, after) == stock(data, 0, [(7, 0)])


@given(st.binary(min_size=1, max_size=40), st.integers(0, 400), st.booleans())
def test_damage_is_an_error_or_read_alike(damage: bytes, at: int, mended: bool) -> None:
    """`mended`: the sum fits the damage, as if the broker had taken it so. What aiokafka refuses is refused; nothing is read beyond the batch."""
    whole = batch(0, [(place, b"key", b"value" * 9, True) for place in range(6)])
    data = bytearray(whole)
    place = 21 + at % (len(data) - 21)
    data[place : place + len(damage)] = damage[: len(data) - place]
    if mended:
        struct.pack_into(">I", data, 17, calc_crc32c(bytes(data[21:])))
    seen: list[Seen] = []
    refused: Exception | None = None
    try:
        seen, _ = ours(bytes(data), 0, Random(3))
    except Exception as error:  # noqa: BLE001 - each codec has its own
        refused = error
    assert mended or data == whole or isinstance(refused, CorruptRecordException)
    for _, _, key, value in seen:
        assert key is None or key in data
        assert value is None or value in data


def test_what_is_cut_off_is_not_there() -> None:
    """A broker ends an answer where its size is reached, within a batch."""
    rows = [(place, b"k", b"v" * place, False) for place in range(4)]
    whole = batch(0, rows) + batch(4, rows[:1])
    for size in range(len(whole) + 1):
        assert ours(whole[:size], 0, Random(size)) == stock(whole[:size], 0)
        assert Batches(whole[:size]).has_next() == MemoryRecords(whole[:size]).has_next()
        assert Batches(whole[:size]).size_in_bytes() == size


@pytest.mark.parametrize("length", [-(1 << 31), -13, -1, 0, 4, 5, 48])
def test_a_batch_too_short_for_its_head_is_damaged(length: int) -> None:
    data = bytearray(batch(0, [(0, b"k", b"v" * 90, False)]))
    struct.pack_into(">i", data, 8, length)
    with pytest.raises(CorruptRecordException, match="head"):
        ours(bytes(data), 0, Random(1))


def test_a_compression_that_is_not_known_is_an_error_as_with_aiokafka() -> None:
    data = batch(7, [(0, b"k", b"v", False)], flags=5)
    with pytest.raises(UnsupportedCodecError):
        stock(data, 0)
    with pytest.raises(UnsupportedCodecError, match="at offset 7 is compressed in way 5"):
        ours(data, 0, Random(1))


RESPONSES = [kind for name, kind in vars(fetch).items() if name.startswith("FetchResponse_v")]


def example(field: Any, content: bytes) -> Any:
    """A value of such a field, with two of each in arrays."""
    if isinstance(field, Array):
        parts = getattr(field.array_of, "fields", None)
        one = example(field.array_of, content) if parts is None else tuple(example(part, content) for part in parts)
        return [one, one]
    if isinstance(field, type):
        return content if issubclass(field, Bytes) else 7
    return "clicks"


@pytest.mark.parametrize("response", RESPONSES, ids=lambda kind: str(kind.API_VERSION))
def test_answers_of_every_version_are_left_where_they_lie(response: Any) -> None:
    fetch_in_batches()
    content = bytes(range(200))
    data = response.SCHEMA.encode([example(field, content) for field in response.SCHEMA.fields])
    decoded = response.decode(BytesIO(data))
    ((_, partitions), (_, more)) = decoded.topics
    for *others, batches in [*partitions, *more]:
        assert isinstance(batches, memoryview)
        assert bytes(batches) == content
        assert batches.obj is partitions[0][-1].obj  # no copies
        assert others == list(partitions[0][:-1])
    assert repr(decoded).count("\\x01") == 4  # as a log at `debug` has it


def test_an_answer_that_ends_before_its_batches_do_is_refused_as_with_aiokafka() -> None:
    data = Bytes.encode(b"12345")[:-1]
    for field in (Bytes, InPlace):
        with pytest.raises(ValueError, match=r"ends before|underrun"):
            field.decode(BytesIO(data))
    assert InPlace.decode(BytesIO(Bytes.encode(None))) is None


def test_bytes_that_may_change_are_refused() -> None:
    with pytest.raises(TypeError, match="do not change"):
        usual.gathered(()).read(bytearray(100), 0, 100, 0, 0, -1, 1, 0)  # type: ignore[arg-type]


def test_damaged_batches_by_hand() -> None:
    records = usual.gathered(())
    body = batch(0, [(0, b"k", b"v", False)])[61:]
    for few in range(len(body)):
        with pytest.raises(ValueError, match="batch"):
            records.read(body, 0, few, 0, 0, -1, 1, 0)
        with pytest.raises(ValueError, match="batch"):
            records.read(body[:few], 0, len(body), 0, 0, -1, 1, 0)
    for count in (-1, 2, 1 << 40):
        with pytest.raises(ValueError, match="batch"):
            records.read(body, 0, len(body), 0, 0, -1, count, 0)
    assert len(records) == 0


def test_slices_and_places() -> None:
    records = usual.gathered(())
    for place in range(10):
        records.add(place, place * 2, None if place % 2 else b"k", b"v%d" % place)
    assert [one.offset for one in records] == list(range(10))
    assert [one.value for one in records[2:5]] == [b"v2", b"v3", b"v4"]
    assert [one.timestamp for one in records[::-3]] == [18, 12, 6, 0]
    assert (records[-1].offset, records[3].key, records[4].key) == (9, None, b"k")
    assert len(records[7:][1:]) == 2
    for place in (10, -11):
        with pytest.raises(IndexError):
            records[place]
    kept = records[9:]
    del records
    assert kept[0].value == b"v9"
