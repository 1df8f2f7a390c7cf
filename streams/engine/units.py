"""The units of one log partition: their packed states, what the chunk under way makes of them, and when each is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, MutableMapping, Sequence
from typing import TYPE_CHECKING, cast

import msgspec

from schemas.errors import ConfigError
from schemas.event import Event
from schemas.rows import Row
from schemas.standing import Standing
from streams.engine.clock import Clock
from streams.engine.match import CompiledFunnel
from streams.engine.standing import standing
from streams.engine.state import FORMAT, UnitState, pack, unpack
from streams.engine.unit import DAY, Changes, settle
from streams.engine.usual import Alike, Usual, alike, endings, lane
from streams.engine.wakes import Wakes
from streams.engine.walk import KIND_END, KIND_ENTER

if TYPE_CHECKING:
    from streams.engine._usual import Lane

#: Key of the partition's own state among those of its units (which begin with "=" or "~").
META = "!"
#: `wake` of a unit that is over.
FINISHED = 1 << 62


class Head(msgspec.Struct, array_like=True):
    """The head of a packed UnitState: enough to know when it is due."""

    format: int
    offset: int
    wake: int
    quiet: bool = False


unpack_head = msgspec.msgpack.Decoder(Head).decode


class Format(msgspec.Struct, array_like=True):
    """What stands first in every packed state, whatever follows."""

    format: int


unpack_format = msgspec.msgpack.Decoder(Format).decode


def check_format(packed: bytes) -> None:
    """Raises ConfigError for state that another version of funnelwatch wrote: it is not misread."""
    try:
        found = unpack_format(packed).format
    except msgspec.DecodeError:
        found = None
    if found != FORMAT:
        raise ConfigError(
            "state", f"was written in format {found or 'unknown'}, this version reads {FORMAT}",
            "run the version that wrote it, or give kafka.topic_prefix and kafka.group_prefix new names and start anew",
        )  # fmt: skip


class Made(msgspec.Struct, gc=False):
    """`rows`: new or different ones. `withdrawn`: the former contents of those that they replace or take back. `packed`: rows of usual
    events and of attempts that ran out, as one block; `drop_offs`: records of the latter; `dropped`: those of them once more whose records
    are yet to be made."""

    rows: list[Row]
    withdrawn: list[Row]
    packed: bytes = b""
    dropped: bytes = b""
    drop_offs: list[tuple[bytes, bytes]] = []


class Units:
    """`store`: packed states by key, as they are durable; `changed`: what the chunk under way makes of them. `unwritten`: those
    of them that follow from the durable ones and the clock alone, and so need not be written. `finished`: units that are over, with
    the offset of their last record; `over`: those that were so when the chunk began; `forgotten`: those that must go at once.
    `wakes`: when each is due. `out`: rows since they were last taken; `lane` has those of usual events. `open`: open attempts by
    funnel. `standing`: who stood at which stage when the state was recovered."""

    def __init__(self, store: MutableMapping[str, bytes], funnels: Sequence[CompiledFunnel], clock: Clock) -> None:
        self.store, self.clock, self.funnels = store, clock, tuple(funnels)
        self.known_tags = {funnel.tag: funnel for funnel in funnels}
        self.slack = max((funnel.lateness for funnel in funnels), default=0)
        self.changed: dict[str, bytes] = {}
        self.unwritten: set[str] = set()
        self.over: list[str] = []
        self.finished: dict[str, int] = {}
        self.forgotten: set[str] = set()
        self.out = Changes()
        self.lane, self.endings = lane(), endings(funnels)
        self.wakes = Wakes()
        self.open: Counter[str] = Counter()
        self.standing: Counter[Standing] = Counter()
        self.recover()

    def recover(self) -> None:
        """Counts what is open, and enters each unit in the calendar. What had been due was settled, and its rows written,
        before the partition's own state; that of such units was not: it is worked out again, in silence."""
        early = self.clock.floor + self.slack
        for key, packed in self.store.items():
            if key == META:
                continue
            unit = self.unpacked(packed)
            if unit.wake < self.clock.watermark or unit.wake < early or unit.wake == FINISHED:
                self.settle(key, unit, Changes())
            else:
                self.wakes.enter(unit.wake, key)
            for tag, state in unit.funnels.items():
                if tag in self.known_tags and state.tip.attempt is not None:
                    self.open[self.known_tags[tag].name] += 1
                    self.standing.update(standing(self.known_tags[tag], state.tip.attempt))
        self.store.update(self.changed)
        self.begin()

    def begin(self) -> None:
        """The next chunk begins: nothing is changed yet."""
        self.changed, self.unwritten = {}, set()
        if self.lane is not None:
            self.lane.begin(cast("dict[str, bytes]", self.store), self.changed, self.unwritten, self.finished)

    def unpacked(self, packed: bytes) -> UnitState:
        """Raises ConfigError for state that another version of funnelwatch wrote: it is not misread."""
        check_format(packed)
        return unpack(packed)

    def packed(self, key: str) -> bytes | None:
        """The unit's state as the chunk under way has left it."""
        packed = self.changed.get(key)
        return packed if packed is not None else self.store.get(key)

    def load(self, key: str) -> UnitState:
        """The unit's state, which may be new."""
        packed = self.packed(key)
        return unpack(packed) if packed is not None else UnitState(FORMAT, -1, FINISHED, quiet=False, funnels={})

    def save(self, key: str, unit: UnitState) -> None:
        """Keeps what an event has made of a unit, and has it in the calendar at the watermark at which it is due.

        One that is due later than thought is found to be so when that time comes; but a quiet one is entered anew at once, which
        costs less than to look at it twice."""
        earliest, unit.quiet = FINISHED, len(unit.funnels) == 1
        for tag, state in unit.funnels.items():
            funnel = self.known_tags.get(tag)
            earliest = min(earliest, state.due if funnel is None else state.due + funnel.lateness)
            unit.quiet = unit.quiet and funnel is not None and state.tip.attempt is None
        if earliest < unit.wake or (unit.quiet and earliest != unit.wake):
            unit.wake = earliest
            self.wakes.enter(earliest, key)
        self.changed[key] = pack(unit)
        if self.unwritten:
            self.unwritten.discard(key)
        if self.finished:
            self.finished.pop(key, None)

    def move_usually(self, ways: tuple[Usual, ...], offset: int, event: Event, unit_id: str) -> bool:
        """Does the event the usual way, in all of these funnels; False, and nothing is changed, if it isn't a usual one."""
        key, clock = "=" + unit_id, self.clock
        due = cast("Lane", self.lane).move(
            tuple([way.said(event) for way in ways]), key, offset, event.ts, event.event_id, unit_id, event.consent,
            clock.watermark, clock.floor,
        )  # fmt: skip
        if due:
            self.wakes.enter(due, key)
        return due is not None

    def wake_up(self, offset: int) -> None:
        """Settles the units that are due before the watermark."""
        wakes, time = self.wakes, self.clock.watermark
        while time > wakes.soonest:
            wakes.turn(time)
            if self.settles_usually(offset):
                settle = cast("Lane", self.lane).settle
                wakes.add(settle(self.endings, wakes.near, offset, time, self.clock.floor, wakes.edge))
            entry = wakes.first_before(time)
            if entry is not None:
                self.wake(offset, *entry)

    def settles_usually(self, offset: int) -> bool:
        """Whether attempts that run out with this record may be ended the usual way: not where it took an end back, which might be the same."""
        return bool(self.endings) and not (self.out.withdrawn and self.out.revision == offset)

    def wake_all(self, offset: int) -> None:
        """The same after the floor rose: it may have passed deadlines within the lateness, too."""
        self.wake_up(offset)
        early = []
        while (entry := self.wakes.first_before(self.clock.floor + self.slack)) is not None:
            early.append(entry)
        for wake, key in early:
            self.wake(offset, wake, key)

    def wake(self, offset: int, wake: int, key: str) -> None:
        """Settles a unit, if the entry still holds."""
        packed = self.packed(key)
        head = unpack_head(packed) if packed is not None else None
        if packed is None or head is None or head.wake != wake:
            return
        if head.quiet and wake < self.clock.watermark:
            self.keep(key, UnitState(FORMAT, head.offset, FINISHED, quiet=False, funnels={}))
        else:
            self.out.unit_id, self.out.revision = key[1:], offset
            self.settle(key, unpack(packed), self.out)

    def settle(self, key: str, unit: UnitState, out: Changes) -> None:
        """Ends what is over in the unit, and enters it in the calendar again, or marks it as finished."""
        for tag, state in list(unit.funnels.items()):
            funnel = self.known_tags.get(tag)
            if funnel is None:
                keep = state.due >= self.clock.horizon(0)
            else:
                gap = funnel.gap if key[0] == "~" else 0
                keep = settle(funnel, state, self.clock.horizon(funnel.lateness), gap, out)
            if not keep:
                del unit.funnels[tag]
        unit.wake = FINISHED
        self.keep(key, unit)

    def keep(self, key: str, unit: UnitState) -> None:
        """Keeps what the clock alone has made of a unit: it need not be written, unless an event has changed it in this chunk."""
        written = key in self.changed and key not in self.unwritten
        self.save(key, unit)
        if not unit.funnels:
            self.finished[key] = unit.offset
        if not written:
            self.unwritten.add(key)

    def forget(self, offset: int, key: str) -> None:
        """Drops all that is kept of the unit of this id, its gap sessions too; no row tells of it."""
        for one in ("=" + key[1:], "~" + key[1:]):
            packed = self.packed(one)
            if packed is None:
                continue
            for tag, state in self.unpacked(packed).funnels.items():
                if tag in self.known_tags and state.tip.attempt is not None:
                    self.open[self.known_tags[tag].name] -= 1
            self.save(one, UnitState(FORMAT, offset, FINISHED, quiet=False, funnels={}))
            self.finished[one] = offset
            self.forgotten.add(one)

    def take_rows(self) -> Made:
        """The rows since the last call."""
        out, self.out = self.out, Changes()
        self.open.update(opened(out.rows))
        self.open.subtract(opened(out.withdrawn))
        rows = last_of_each(out.rows) if out.withdrawn else out.rows
        if self.lane is None:
            return Made(rows, out.withdrawn)
        return Made(rows, out.withdrawn, *self.lane.rows())

    def take_alike(self) -> tuple[list[tuple[int, int]], list[Alike]]:
        """Of usual events since the last call: those that reached nothing new, and so have no row, by the place of their funnel; and the
        rows of all others by what they add to the counters."""
        if self.lane is None:
            return [], []
        stayed, groups = self.lane.groups()
        found = [alike(*group) for group in groups]
        for each in found:
            if each.row.kind == KIND_END:
                self.open[each.row.funnel] -= len(each.dims)
            elif each.row.stage == 0 and each.row.kind == KIND_ENTER:
                self.open[each.row.funnel] += len(each.dims)
        return stayed, found

    def take_state(self, applied: int) -> tuple[dict[str, bytes | None], list[str], dict[str, bytes]]:
        """What the chunk changed: packed states to be written (None: removed), which are removed, and the packed states that need
        not be written. Begins the next chunk.

        `applied`: the partition's offset. A unit that is over is only removed with the next chunk, once the partition's durable
        offset vouches for its records: else they could be read again without what they had followed on.
        """
        changed = self.changed
        removed = [key for key in self.over if key not in changed]
        settled = {key: changed.pop(key) for key in self.unwritten}
        written = cast("dict[str, bytes | None]", changed)
        written.update(dict.fromkeys(removed))
        for key in self.forgotten.intersection(self.finished):  # at once: its key is the id
            written[key] = None
            removed.append(key)
            del self.finished[key]
        self.forgotten = set()
        self.over = [key for key, offset in self.finished.items() if offset <= applied]
        for key in self.over:
            del self.finished[key]
        self.begin()
        return written, removed, settled


def last_of_each(rows: Iterable[Row]) -> list[Row]:
    """One row for each key and revision: a record can take an end back and, by the time it brings, write another."""
    return list(
        {(row.attempt_id, row.kind, row.item, row.entry_time // DAY, row.revision): row for row in rows}.values()
    )


def opened(rows: Iterable[Row]) -> Counter[str]:
    """By how much these rows raise the number of open attempts, by funnel."""
    found: Counter[str] = Counter()
    for row in rows:
        if row.is_deleted:
            continue
        if row.kind == KIND_END:
            found[row.funnel] -= 1
        elif row.stage == 0 and row.kind == KIND_ENTER:
            found[row.funnel] += 1
    return found
