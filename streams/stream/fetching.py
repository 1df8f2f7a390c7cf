"""What aiokafka's consumer fetches, read a batch at a time in C. aiokafka makes an object, its key, value and headers of every record, and
hands each on by itself: a tenth of what a record costs here in all. Without the compiled part a record stays what aiokafka has made.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from aiokafka import conn
from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record.memory_records import MemoryRecords

from streams.engine import usual

if TYPE_CHECKING:
    from streams.engine._usual import Records

#: Bytes that a connection reads ahead. At aiokafka's 64 KiB asyncio stops and goes on again several times for one answer to a fetch.
READ_AHEAD = 1 << 20
#: Where a batch says of which format it is; in one of format 2, the sum of what follows it, how many records it has, and where they begin.
MAGIC, SUM, COUNT, BODY = 16, 17, 57, 61
DECODE: dict[int, Callable[[bytes], bytes]] = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}


class Batch:
    """A batch that gives itself, once, for its records: so aiokafka's reader checks sums, control batches and aborted transactions by
    batches. `data`: its bytes; `offset`: of its last record."""

    def __init__(self, batch: Any, data: bytes) -> None:
        self._batch, self.data, self.offset = batch, data, batch.next_offset - 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[Batch]:
        yield self

    def __next__(self) -> Any:
        return next(self._batch)  # the marker of a control batch

    def validate_crc(self) -> bool:
        """Whether it is as it was written."""
        if usual.crc32c is None or self.data[MAGIC] < 2:
            return bool(self._batch.validate_crc())
        (told,) = struct.unpack_from(">I", self.data, SUM)
        return bool(usual.crc32c(self.data, SUM + 4) == told)

    def into(self, records: Records, wanted: int) -> None:
        """Adds its records, from that offset on. Raises CorruptRecordException."""
        batch = self._batch
        if self.data[MAGIC] < 2:  # of topics older than Kafka 0.11
            for record in batch:
                if record.offset >= wanted:
                    time = -1 if record.timestamp is None else record.timestamp
                    records.add(record.offset, time, record.key, record.value)
            return
        (count,) = struct.unpack_from(">i", self.data, COUNT)
        one_time = batch.max_timestamp if batch.timestamp_type else -1
        body, start = self.data, BODY
        if batch.compression_type:
            body, start = bytes(DECODE[batch.compression_type](body[BODY:])), 0
        try:
            records.read(body, start, batch.base_offset, batch.first_timestamp, one_time, count, wanted)
        except ValueError as error:
            raise CorruptRecordException(str(error)) from error


class Batches(MemoryRecords):  # type: ignore[misc]  # aiokafka has no types
    """The batches of one partition's answer."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._data, self._at = data, 0

    def next_batch(self) -> Batch | None:
        """The next one; None after the last."""
        batch = super().next_batch()
        if batch is None:
            return None
        start = self._at
        (length,) = struct.unpack_from(">i", self._data, start + 8)
        self._at = start + 12 + length
        return Batch(batch, self._data[start : self._at])


class LeanRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """aiokafka's consumer copies every record into a dataclass of eleven fields, which costs twice what reading it does (1.0 of
    1.5 µs a record). A chunk knows topic and partition; the rest is handed on as it was parsed."""

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ARG002 - aiokafka calls it so
        return record


class BatchRecords(fetcher.PartitionRecords):  # type: ignore[misc]
    """Records of one answer, read batch by batch. `next_fetch_offset`: after what was taken."""

    next_fetch_offset: int

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._ready, self._read_to = usual.gathered(()), self.next_fetch_offset

    def _consumer_record(self, tp: Any, record: Batch) -> Batch:  # noqa: ARG002 - aiokafka calls it so
        record.into(self._ready, self.next_fetch_offset)
        return record

    def take(self, most: int | None) -> tuple[Records, bool]:
        """The next records, so many at most, and whether there may be more. Raises CorruptRecordException."""
        self.next_fetch_offset, more = self._read_to, True
        while more and (most is None or len(self._ready) < most):
            more = next(self, None) is not None
        taken, self._ready = self._ready[:most], self._ready[len(self._ready) if most is None else most :]
        self._read_to = self.next_fetch_offset
        if self._ready:
            self.next_fetch_offset = taken[-1].offset + 1
        return taken, more or len(self._ready) > 0


class BatchResult(fetcher.FetchResult):  # type: ignore[misc]
    """One partition's answer, until all of it is taken."""

    _partition_records: BatchRecords | None

    def getall(self, max_records: int | None = None) -> Any:
        """The next records, so many at most."""
        if not self.check_assignment(self._topic_partition) or self._partition_records is None:
            return []
        taken, more = self._partition_records.take(max_records)
        self._update_position()
        if not more:
            self._partition_records = None
        return taken

    def getone(self) -> Any:
        """The next record, None after the last."""
        taken = self.getall(1)
        return taken[0] if taken else None


def fetch_in_batches() -> None:
    """Has every consumer of this process read so."""
    conn.READER_LIMIT = READ_AHEAD
    if usual.COMPILED:
        fetcher.MemoryRecords, fetcher.PartitionRecords, fetcher.FetchResult = Batches, BatchRecords, BatchResult
    else:
        fetcher.PartitionRecords = LeanRecords
