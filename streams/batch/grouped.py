"""Events of one funnel grouped by unit, in bounded memory.

Units are spread over parts by a hash of their key. What doesn't fit into memory goes to one temporary file, part by
part; reading back, one part at a time is in memory. A part that is still too large is spread again by other bits of the
hash. What can't be spread is one unit's own events: the largest unit must fit.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from types import TracebackType
from typing import IO, Self

import msgspec

from schemas.errors import FunnelwatchError
from streams.engine.state import Hit

#: Weight held in memory, by all lanes together: about 150 MB of Python objects.
LIMIT = 500_000
#: What a unit weighs beside its events, in events.
UNIT_WEIGHT = 2

_BITS = 6
_PARTS = 1 << _BITS
_MOST_LEVELS = 10  # 60 of the hash's 64 bits


class UnitEvents(msgspec.Struct, array_like=True, gc=False):
    """One unit's events, in no order. `hits`: what the funnel looks at. `ignored`, `bots`: event ids of the others."""

    hits: list[Hit] = []
    ignored: list[str] = []
    bots: list[str] = []

    def count(self) -> int:
        """Number of events."""
        return len(self.hits) + len(self.ignored) + len(self.bots)

    def add(self, more: UnitEvents) -> None:
        """Takes over the events of `more`."""
        self.hits += more.hits
        self.ignored += more.ignored
        self.bots += more.bots


Group = tuple[str, UnitEvents]

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(list[Group]).decode


class _Part:
    """Where the events of one part lie in the file: (offset, bytes) of each spill, and their weight."""

    __slots__ = ("pieces", "weight")

    def __init__(self) -> None:
        self.pieces: list[tuple[int, int]] = []
        self.weight = 0


class GroupedEvents:
    """Filled by `unit(key)`, then emptied by `groups()`. Close it, or use it in a `with`: it may hold a file.

    `limit`: weight in memory (events, and UNIT_WEIGHT for each unit). `directory`: of the temporary file, which has no
    name there and so never outlives the program; None is the system's. Raises FunnelwatchError if it can't be written.
    """

    def __init__(self, limit: int = LIMIT, directory: Path | None = None, level: int = 0) -> None:
        self._limit, self._directory, self._level = max(limit, 1), directory, level
        self._units: dict[str, UnitEvents] = {}
        self._weight = 0
        self._parts = [_Part() for _ in range(_PARTS)]
        self._file: IO[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Gives memory and disk back."""
        self._units.clear()
        if self._file is not None:
            self._file.close()

    @property
    def spilled(self) -> bool:
        """Whether the disk was needed."""
        return self._file is not None

    def unit(self, key: str) -> UnitEvents:
        """The unit's events, to append one to. Ask again for the next one: they may go to disk in between."""
        if self._weight >= self._limit:
            self._spill()
        self._weight += 1
        found = self._units.get(key)
        if found is None:
            found = self._units[key] = UnitEvents()
            self._weight += UNIT_WEIGHT
        return found

    def groups(self) -> Iterator[Group]:
        """Each unit once, with all its events, in no order. Once only: memory is given back as it goes."""
        if self._file is None:
            while self._units:
                yield self._units.popitem()
            return
        self._spill()
        total = sum(part.weight for part in self._parts)
        for part in self._parts:
            if part.weight <= self._limit or part.weight == total or self._level == _MOST_LEVELS - 1:
                yield from self._loaded(part)
            else:
                yield from self._spread(part)

    def _loaded(self, part: _Part) -> Iterator[Group]:
        units: dict[str, UnitEvents] = {}
        for key, events in self._read(part):
            known = units.get(key)
            if known is None:
                units[key] = events
            else:
                known.add(events)
        while units:
            yield units.popitem()

    def _spread(self, part: _Part) -> Iterator[Group]:
        with GroupedEvents(self._limit, self._directory, self._level + 1) as finer:
            for key, events in self._read(part):
                finer.unit(key).add(events)
                finer._weight += events.count() - 1
            yield from finer.groups()

    def _read(self, part: _Part) -> Iterator[Group]:
        assert self._file is not None  # noqa: S101 - for the type checker
        for offset, size in part.pieces:
            self._file.seek(offset)
            yield from _unpack(self._file.read(size))

    def _spill(self) -> None:
        """Writes what is in memory, each unit to its part."""
        shift, spread = self._level * _BITS, [list[Group]() for _ in range(_PARTS)]
        for group in self._units.items():
            spread[hash(group[0]) >> shift & _PARTS - 1].append(group)
        self._units = {}
        self._weight = 0
        try:
            if self._file is None:
                self._file = TemporaryFile(prefix="funnelwatch-batch-", dir=self._directory)  # noqa: SIM115 - close()
            offset = self._file.seek(0, 2)
            for part, groups in zip(self._parts, spread, strict=True):
                if groups:
                    packed = _pack(groups)
                    self._file.write(packed)
                    part.pieces.append((offset, len(packed)))
                    part.weight += sum(events.count() + UNIT_WEIGHT for _, events in groups)
                    offset += len(packed)
            self._file.flush()
        except OSError as error:
            raise FunnelwatchError(
                f"{self._directory or 'the temporary folder'}: can't group events on disk: {error.strerror or error}; "
                "free some space, or name another folder by TMPDIR"
            ) from error
