# usual.py says what goes in and what comes out.
from collections.abc import Callable, Container, Iterator
from typing import Any, overload

INTERFACE: int
FIELDS: tuple[str, ...]

class Record:
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...

class Records:
    def read(
        self, buffer: bytes | memoryview, start: int, end: int, first_offset: int, first_timestamp: int, one_time: int, count: int, wanted: int, /,
    ) -> None: ...  # fmt: skip
    def add(self, offset: int, timestamp: int, key: bytes | None, value: bytes | None, /) -> None: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Record]: ...
    @overload
    def __getitem__(self, at: int, /) -> Record: ...
    @overload
    def __getitem__(self, some: slice, /) -> Records: ...

def pack_records(
    pairs: Iterator[tuple[str | bytes | None, bytes | None]],
    before: tuple[str | bytes | None, bytes | None] | None,
    room: int,
    free: int,
    /,
) -> tuple[bytearray, int, tuple[str | bytes | None, bytes | None] | None]: ...
def blank(size: int, /) -> bytes: ...

class Recent:
    def __init__(self, most: int, key: bytes, /) -> None: ...
    def seen(self, event_id: str, /) -> bool: ...
    def __len__(self) -> int: ...

crc32c: Callable[..., int] | None  # what, from where, to where if not to its end

class Plan:
    def __init__(
        self, level: int, converts: bool, fmt: int, tag: int, window: int, lateness: int, most: int, salt: bytes, place: int,
        fields: bytes | None, convert: Callable[[int, str, int], int | None] | None, dropped: tuple[bytes, ...], optional: int,
        names: tuple[bytes, ...], /, *parts: bytes,
    ) -> None: ...  # fmt: skip

class Lane:
    def __init__(self) -> None: ...
    def begin(
        self, store: dict[str, bytes], changed: dict[str, bytes], unwritten: set[str], finished: dict[str, int], /
    ) -> None: ...
    def move(
        self, said: tuple[tuple[Plan, bytes, bytes], ...], key: str, offset: int, ts: int, event_id: str, unit_id: str,
        consent: bool | None, watermark: int, floor: int, /,
    ) -> int | None: ...  # fmt: skip
    def settle(
        self, endings: dict[int, tuple[Plan, ...]], near: list[tuple[int, str]], offset: int, watermark: int, floor: int, edge: int, /
    ) -> list[tuple[int, bytes, list[str]]]: ...  # fmt: skip
    def rows(self) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]]: ...
    def groups(
        self,
    ) -> tuple[list[tuple[int, int]], list[tuple[int, bytes, list[bytes], list[int], list[tuple[bytes, bytes]]]]]: ...

class Reading:
    def __init__(
        self, known: dict[str, Any], ids: bytes, earliest: int, max_ahead: int, longest_record: int, longest_id: int, most_held: int,
        marks: tuple[bytes, ...], networks: bool, hosts: bool, addresses: bool, currencies: Container[str], default_currency: str | None,
        is_internal: Callable[[str], bool], /,
    ) -> None: ...  # fmt: skip
    def take(
        self, lane: Lane, records: Records, at: int, offset: int, watermark: int, floor: int,
        endings: dict[int, tuple[Plan, ...]] | None, near: list[tuple[int, str]], edge: int, recent: Recent, /,
    ) -> tuple[int, bool, int, int, int, int, int, int, list[tuple[int, bytes, list[str]]]]: ...  # fmt: skip
