"""Sorting more events than memory holds: runs sorted in memory, spilled to temporary files, merged while reading."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from heapq import merge
from itertools import islice
from pathlib import Path
from struct import Struct
from tempfile import TemporaryDirectory
from typing import IO, Any

import msgspec

from schemas.errors import FunnelwatchError
from schemas.event import Event, PackedEvent, values

#: Events held in memory at once: about 200 MB of Python objects.
RUN_EVENTS = 200_000
#: Runs merged at once: bounds open files and the blocks held in memory.
FAN_IN = 64
_BLOCK_EVENTS = 200

_LENGTH = Struct("<I")
_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[PackedEvent]).decode

SortKey = Callable[[Event], Any]


def event_time(event: Event) -> int:
    """The usual sort key."""
    return event.ts


def sort_events(
    events: Iterable[Event], key: SortKey = event_time, directory: Path | None = None, limit: int = RUN_EVENTS
) -> Generator[Event, None, None]:
    """`events` in the order of `key`; equal ones stay in the order in which they came.

    No more than `limit` events (1 or more) are in memory; beyond that they go to a temporary folder under `directory`
    (None: the system's), which is removed when the iterator ends or is closed. Reads all events before it gives the
    first. Raises FunnelwatchError if they can't be written there.
    """
    if limit < 1:
        raise ValueError(f"limit must be 1 or more, not {limit}")
    source = iter(events)
    run = sorted(islice(source, limit), key=key)
    beyond = next(source, None)
    if beyond is None:
        yield from run
        return
    with _folder(directory) as folder:
        runs = _Runs(Path(folder), key)
        runs.add(run)
        run = [beyond]
        while run:
            run.extend(islice(source, limit - len(run)))
            run.sort(key=key)
            runs.add(run)
            run = list(islice(source, 1))
        yield from runs.merged()


def _folder(directory: Path | None) -> TemporaryDirectory[str]:
    try:
        return TemporaryDirectory(prefix="funnelwatch-sort-", dir=directory)
    except OSError as error:
        raise _no_room(directory, error) from error


def _no_room(directory: Path | None, error: OSError) -> FunnelwatchError:
    problem = f"{directory or 'the temporary folder'}: can't sort on disk: {error.strerror or error}"
    return FunnelwatchError(f"{problem}; free some space, or name another folder by TMPDIR")


class _Runs:
    """Sorted runs on disk, oldest first: their order settles ties."""

    def __init__(self, folder: Path, key: SortKey) -> None:
        self._folder, self._key = folder, key
        self._levels: list[list[Path]] = [[]]
        self._written = 0

    def add(self, run: Iterable[Event], level: int = 0) -> None:
        """Writes a run; as soon as a level has FAN_IN of them they become one of the next level."""
        if level == len(self._levels):
            self._levels.append([])
        self._levels[level].append(self._write(run))
        if len(self._levels[level]) < FAN_IN:
            return
        full, self._levels[level] = self._levels[level], []
        self.add(self._merge(full), level + 1)
        for path in full:
            path.unlink()

    def merged(self) -> Iterator[Event]:
        """All events in order. Higher levels hold the older runs."""
        return self._merge([path for level in reversed(self._levels) for path in level])

    def _merge(self, paths: Sequence[Path]) -> Iterator[Event]:
        return merge(*(_read(path) for path in paths), key=self._key)

    def _write(self, run: Iterable[Event]) -> Path:
        path = self._folder / str(self._written)
        self._written += 1
        source = iter(run)
        try:
            with path.open("wb") as file:
                while block := list(islice(source, _BLOCK_EVENTS)):
                    packed = _pack(list(map(values, block)))
                    file.write(_LENGTH.pack(len(packed)))
                    file.write(packed)
        except OSError as error:
            raise _no_room(self._folder.parent, error) from error
        return path


def _read(path: Path) -> Iterator[Event]:
    with path.open("rb") as file:
        while block := _block(file):
            yield from block


def _block(file: IO[bytes]) -> list[PackedEvent]:
    head = file.read(_LENGTH.size)
    return _unpack(file.read(_LENGTH.unpack(head)[0])) if head else []
