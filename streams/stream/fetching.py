"""What aiokafka's consumer fetches, read a batch at a time in C. aiokafka makes an object, its key, value and headers of every record, and
hands each on by itself: a tenth of what a record costs here in all. Without the compiled part a record stays what aiokafka has made.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from aiokafka.codec import gzip_decode, lz4_decode, snappy_decode, zstd_decode
from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException, UnsupportedCodecError
from aiokafka.protocol import fetch
from aiokafka.protocol.types import Bytes, Int32
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.record.util import calc_crc32c

from sinks.packed_batch import FORMAT, HEAD, LENGTH_FROM, SIZE, SUMMED
from streams.engine import usual
from streams.stream.answers import read_in_place

if TYPE_CHECKING:
    from streams.engine._usual import Records

#: Where a batch says of which format it is, and in its attributes: how it is compressed, whose times its records have, and what it is.
MAGIC = 16
CODEC, APPEND_TIME, TRANSACTIONAL, CONTROL = 0x07, 0x08, 0x10, 0x20
#: Bytes, or a view of some of an answer's.
Data = bytes | memoryview
DECODE: dict[int, Callable[[Data], bytes]] = {1: gzip_decode, 2: snappy_decode, 3: lz4_decode, 4: zstd_decode}


class InPlace(Bytes):  # type: ignore[misc]  # aiokafka has no types
    """A partition's batches, where they lie in the answer: each copy of a megabyte costs what reading a tenth of its records does."""

    @classmethod
    def decode(cls, data: BytesIO) -> memoryview | None:
        """Raises ValueError if the answer ends before."""
        length = Int32.decode(data)
        if length < 0:
            return None
        whole, start = data.getvalue(), data.tell()  # no copy: nothing else was written into it
        if len(whole) - start < length:
            raise ValueError(f"an answer of {len(whole)} bytes ends before {length} that it tells of")
        data.seek(length, 1)
        return memoryview(whole)[start : start + length]

    @classmethod
    def repr(cls, value: memoryview | None) -> str:
        return str(Bytes.repr(None if value is None else bytes(value[:101])))


class Batch:
    """A batch of format 2, `data` from `start` to `end`, in the form of aiokafka's own. It gives itself, once, for its records: so aiokafka's
    reader checks sums, control batches and aborted transactions by batches. `offset`: of its last record."""

    def __init__(self, data: Data, start: int, end: int) -> None:
        self._data, self._start, self._end = data, start, end
        self.base_offset, _, _, _, self._sum = HEAD.unpack_from(data, start)
        self._attributes, behind, self._first, self._newest, self.producer_id, _, _, self._count = SUMMED.unpack_from(
            data, start + HEAD.size
        )
        self.offset = self.base_offset + behind
        self.next_offset = self.offset + 1
        self.is_transactional = bool(self._attributes & TRANSACTIONAL)
        self.is_control_batch = bool(self._attributes & CONTROL)

    def __iter__(self) -> Iterator[Batch]:
        yield self

    def __next__(self) -> Any:
        """The marker of a control batch. Raises StopIteration if it holds none."""
        records = usual.gathered(())
        self.into(records, self.base_offset)
        if not records:
            raise StopIteration
        return records[0]

    def validate_crc(self) -> bool:
        """Whether it is as it was written."""
        start = self._start + HEAD.size
        if usual.crc32c is None:
            return bool(calc_crc32c(self._data[start : self._end]) == self._sum)
        return bool(usual.crc32c(self._data, start, self._end) == self._sum)

    def into(self, records: Records, wanted: int) -> None:
        """Adds its records, from that offset on. Raises CorruptRecordException, UnsupportedCodecError."""
        body: Data = self._data
        start, end = self._start + SIZE, self._end
        codec = self._attributes & CODEC
        one_time = self._newest if self._attributes & APPEND_TIME else -1
        if codec:
            decode = DECODE.get(codec)
            if decode is None:
                raise UnsupportedCodecError(
                    f"the batch at offset {self.base_offset} is compressed in way {codec}, which is not known"
                )
            body = bytes(decode(body[start:end]))
            start, end = 0, len(body)
        try:
            records.read(body, start, end, self.base_offset, self._first, one_time, self._count, wanted)
        except ValueError as error:
            raise CorruptRecordException(str(error)) from error


class OldBatch:
    """A batch of topics older than Kafka 0.11, as aiokafka reads it."""

    def __init__(self, batch: Any) -> None:
        self._batch, self.offset = batch, batch.next_offset - 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __iter__(self) -> Iterator[OldBatch]:
        yield self

    def into(self, records: Records, wanted: int) -> None:
        """Adds its records, from that offset on."""
        for record in self._batch:
            if record.offset >= wanted:
                time = -1 if record.timestamp is None else record.timestamp
                records.add(record.offset, time, record.key, record.value)


class Batches:
    """The batches of one partition's answer. The last may be cut off: it is not there."""

    def __init__(self, data: Data) -> None:
        self._data, self._at = data, 0
        self._end = self._end_of_batch()

    def _end_of_batch(self) -> int | None:
        """Of the one that begins here; None if it is not whole."""
        if len(self._data) - self._at < LENGTH_FROM:
            return None
        (length,) = struct.unpack_from(">i", self._data, self._at + LENGTH_FROM - 4)
        end = self._at + LENGTH_FROM + max(0, length)
        return end if end <= len(self._data) else None

    def size_in_bytes(self) -> int:
        return len(self._data)

    def has_next(self) -> bool:
        return self._end is not None

    def next_batch(self) -> Batch | OldBatch | None:
        """The next one; None after the last. Raises CorruptRecordException."""
        data, start, end = self._data, self._at, self._end
        if end is None:
            return None
        self._at = end
        self._end = self._end_of_batch()
        if end - start > MAGIC and data[start + MAGIC] < FORMAT:
            return OldBatch(MemoryRecords(bytes(data[start:end])).next_batch())
        if end - start < SIZE:
            raise CorruptRecordException(f"a batch of {end - start} bytes, which can't hold its own head")
        return Batch(data, start, end)


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
    read_in_place()
    if not usual.COMPILED:
        fetcher.PartitionRecords = LeanRecords
        return
    fetcher.MemoryRecords, fetcher.PartitionRecords, fetcher.FetchResult = Batches, BatchRecords, BatchResult
    for name, response in vars(fetch).items():
        if name.startswith("FetchResponse_v"):
            (_, partitions) = response.SCHEMA.fields[-1].array_of.fields
            *others, _ = partitions.array_of.fields
            partitions.array_of.fields = (*others, InPlace)
