"""The units of one log partition: their states, the working copies of the chunk under way, and when each is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from heapq import heapify, heappop, heappush

import msgspec

from schemas.errors import ConfigError
from schemas.rows import Row
from streams.engine.clock import Clock
from streams.engine.match import CompiledFunnel
from streams.engine.state import FORMAT, UnitState, pack, unpack
from streams.engine.unit import DAY, FOLD, Changes, settle
from streams.engine.walk import KIND_END, KIND_ENTER

#: Key of the partition's own state among those of its units (which begin with "=" or "~").
META = "!"
#: `wake` of a unit that is over.
FINISHED = 1 << 62


class Wake(msgspec.Struct, array_like=True):
    """The head of a packed UnitState: enough to rebuild the deadlines, and to know who is over."""

    format: int
    offset: int
    wake: int


unpack_wake = msgspec.msgpack.Decoder(Wake).decode


def check_format(found: int) -> None:
    """Raises ConfigError for state that another version of funnelwatch wrote: it is not misread."""
    if found != FORMAT:
        raise ConfigError(
            "state", f"was written in format {found}, this version reads {FORMAT}",
            "run the version that wrote it, or give kafka.topic_prefix and kafka.group_prefix new names and start anew",
        )  # fmt: skip


def read_head(packed: bytes) -> Wake:
    """The head of a packed unit. Raises as `check_format`."""
    head = unpack_wake(packed)
    check_format(head.format)
    return head


class Units:
    """`store`: packed states by key, as they are durable. `live`: working copies of this chunk; `warm`: of the one before, so
    that a unit's next event need not unpack it again. `heap`: one live entry a unit, the watermark at which it is due.
    `out`: what the chunk changed. `open`: open attempts by funnel."""

    def __init__(
        self, store: MutableMapping[str, bytes], funnels: Sequence[CompiledFunnel], clock: Clock, applied: int
    ) -> None:
        self.store, self.clock, self.funnels = store, clock, tuple(funnels)
        self.known_tags = {funnel.tag: funnel for funnel in funnels}
        self.live: dict[str, UnitState] = {}
        self.warm: dict[str, UnitState] = {}
        self.out = Changes()
        heads = [(read_head(value), key) for key, value in store.items() if key != META]
        self.heap = [(head.wake, key) for head, key in heads if head.wake < FINISHED]
        self.finished = [key for head, key in heads if head.wake == FINISHED and head.offset <= applied]
        heapify(self.heap)
        self.open = self._count_open(store)

    def load(self, key: str) -> UnitState:
        """The unit's state, in this chunk's working copy."""
        unit = self.live.get(key)
        if unit is None:
            unit = self.warm.get(key)
            if unit is None:
                packed = self.store.get(key)
                unit = unpack(packed) if packed is not None else UnitState(FORMAT, -1, FINISHED, {})
            self.live[key] = unit
        return unit

    def schedule(self, key: str, unit: UnitState) -> None:
        """Keeps one live entry a unit on the heap: the watermark at which it is due. A later one is found when it pops."""
        earliest = unit.wake
        for tag, state in unit.funnels.items():
            funnel = self.known_tags.get(tag)
            wake = state.due if funnel is None else state.due + funnel.lateness
            earliest = min(earliest, wake)
        if earliest < unit.wake:
            unit.wake = earliest
            heappush(self.heap, (earliest, key))

    def wake_up(self, offset: int) -> None:
        """Settles the units whose time the watermark has passed."""
        heap, watermark = self.heap, self.clock.watermark
        while heap and heap[0][0] < watermark:
            wake, key = heappop(heap)
            self.settle(offset, key, wake)

    def wake_all(self, offset: int) -> None:
        """The same after the floor rose: it may have passed deadlines within the lateness, too."""
        self.wake_up(offset)
        slack = max((funnel.lateness for funnel in self.funnels), default=0)
        early = []
        while self.heap and self.heap[0][0] < self.clock.floor + slack:
            early.append(heappop(self.heap))
        for wake, key in early:
            self.settle(offset, key, wake)

    def settle(self, offset: int, key: str, wake: int) -> None:
        """Ends what is over in the unit, and puts it back on the heap, or marks it as finished."""
        if key not in self.live and key not in self.store:
            return
        unit = self.load(key)
        if unit.wake != wake:
            return
        out = self.out
        out.unit_id, out.revision = key[1:], offset
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
        if unit.funnels:
            self.schedule(key, unit)

    def changes(self, applied: int) -> tuple[list[Row], list[Row], dict[str, bytes | None]]:
        """What the chunk changed: rows, the contents that no longer hold, packed states (None: removed). Begins the next chunk.

        `applied`: the partition's offset. A unit that is over is written empty first and removed with a later chunk, once the
        partition's durable offset vouches for its records: else they could be read again without what they had followed on.
        """
        state: dict[str, bytes | None] = dict.fromkeys((key for key in self.finished if key not in self.live), None)
        self.finished = []
        for key, unit in self.live.items():
            if unit.funnels:
                self.fold(key, unit)
            elif key not in self.store:
                continue
            elif unit.offset <= applied:
                self.finished.append(key)
            state[key] = pack(unit)
        out, self.out = self.out, Changes()
        self.open.update(opened(out.rows))
        self.open.subtract(opened(out.withdrawn))
        self.warm = {key: unit for key, unit in self.live.items() if unit.funnels}
        self.live = {}
        return last_of_each(out.rows) if out.withdrawn else out.rows, out.withdrawn, state

    def fold(self, key: str, unit: UnitState) -> None:
        """Settles what can't change any more, so that the packed value stays short."""
        for tag, state in unit.funnels.items():
            pending, funnel = state.pending, self.known_tags.get(tag)
            if funnel is None or not pending:
                continue
            horizon = self.clock.horizon(funnel.lateness)
            if pending[-1].ts < horizon or len(pending) > FOLD:
                settle(funnel, state, horizon, funnel.gap if key[0] == "~" else 0, self.out)

    def _count_open(self, store: Mapping[str, bytes]) -> Counter[str]:
        """Open attempts by funnel in the recovered state."""
        found: Counter[str] = Counter()
        for key, value in store.items():
            if key != META:
                for tag, state in unpack(value).funnels.items():
                    tip = state.tip if state.tip is not None else state.base
                    if tag in self.known_tags and tip.attempt is not None:
                        found[self.known_tags[tag].name] += 1
        return found


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
