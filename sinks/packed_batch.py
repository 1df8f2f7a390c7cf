"""A record batch (format 2) whose records were packed elsewhere, in the form of aiokafka's BatchBuilder."""

from __future__ import annotations

import struct
from collections.abc import Callable

from aiokafka.codec import gzip_encode, lz4_encode, snappy_encode, zstd_encode
from aiokafka.record.util import calc_crc32c

from schemas.settings import Compression

#: Offset of the first record, length from here on, epoch, format and sum; then what the sum is of: attributes, offset of the last record
#: behind the first, times of the first and the last (ms), producer and its epoch, number of the first record, how many records.
HEAD, SUMMED = struct.Struct(">qiibI"), struct.Struct(">hiqqqhii")
SIZE = HEAD.size + SUMMED.size
LENGTH_FROM = 12
FORMAT = 2
ENCODE = {
    Compression.NONE: (0, None), Compression.GZIP: (1, gzip_encode), Compression.SNAPPY: (2, snappy_encode),
    Compression.LZ4: (3, lz4_encode), Compression.ZSTD: (4, zstd_encode),
}  # fmt: skip


#: What follows a place in some bytes → its CRC-32C.
Sum = Callable[[bytearray, int], int]


def by_tables(data: bytearray, start: int) -> int:
    """As aiokafka does it."""
    return int(calc_crc32c(memoryview(data)[start:]))


class PackedBatch:
    """`packed`: `count` records, one after the other, all of one time (ms), behind SIZE bytes of room."""

    def __init__(self, packed: bytearray, count: int, timestamp: int, compression: Compression, crc32c: Sum) -> None:
        self._count, self._timestamp, self._crc32c = count, timestamp, crc32c
        self._codec, encode = ENCODE[compression]
        self._built = packed
        if encode is not None:
            self._built = bytearray(SIZE)
            self._built += encode(bytes(packed[SIZE:]))
        self._producer = (-1, -1, 0)

    def record_count(self) -> int:
        return self._count

    def size(self) -> int:
        """In bytes, as it is sent."""
        return len(self._built)

    def closed(self) -> bool:
        """Nothing is added any more."""
        return True

    def close(self) -> None:
        """It is."""

    def _set_producer_state(self, producer_id: int, producer_epoch: int, base_sequence: int) -> None:
        """aiokafka numbers the batch before it is sent."""
        self._producer = (producer_id, producer_epoch, base_sequence)

    def _build(self) -> bytearray:
        """The bytes that aiokafka sends."""
        time, count, built = self._timestamp, self._count, self._built
        SUMMED.pack_into(built, HEAD.size, self._codec, count - 1, time, time, *self._producer, count)
        HEAD.pack_into(built, 0, 0, len(built) - LENGTH_FROM, -1, FORMAT, self._crc32c(built, HEAD.size))
        return built
