"""All units of one log partition: each record moves the clock, its unit, and the units whose time has passed.

Everything is decided record by record, so that neither the cut into chunks nor a replay changes a row. Only the writing waits:
`finish()` gives the changes of all records since the last one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from heapq import heapify, heappop, heappush

import msgspec

from schemas.errors import ConfigError
from schemas.event import HEARTBEAT, Event
from schemas.funnel import Unit
from schemas.progress import Progress
from schemas.reasons import Outcome
from schemas.rows import Row
from streams.engine.clock import Clock
from streams.engine.match import CompiledFunnel, Index, Look, Matcher, unit_key
from streams.engine.state import FORMAT, Hit, UnitState, pack, unpack
from streams.engine.tally import Tally
from streams.engine.unit import DAY, FOLD, Changes, apply, due, new_state, settle
from streams.engine.walk import KIND_END, KIND_ENTER

#: Key of the partition's own state among those of its units (which begin with "=" or "~").
META = "!"
#: Ids of events that no funnel looks at, kept to recognise repeats: twice this many at most, in memory only.
RECENT = 50_000
#: `wake` of a unit that is over.
FINISHED = 1 << 62


class Meta(msgspec.Struct, array_like=True, gc=False):
    """The partition's own durable state: written last, so that its `offset` vouches for all records up to it."""

    format: int = FORMAT
    offset: int = -1
    clock: Clock = msgspec.field(default_factory=Clock)
    tally: Tally = msgspec.field(default_factory=Tally)


class Wake(msgspec.Struct, array_like=True):
    """The head of a packed UnitState: enough to rebuild the deadlines, and to know who is over."""

    format: int
    offset: int
    wake: int


unpack_meta = msgspec.msgpack.Decoder(Meta).decode
unpack_wake = msgspec.msgpack.Decoder(Wake).decode


def read_head(packed: bytes) -> Wake:
    """The head of a packed unit. Raises ConfigError for state that another version of funnelwatch wrote: it is not misread."""
    head = unpack_wake(packed)
    if head.format != FORMAT:
        raise ConfigError(
            "state", f"was written in format {head.format}, this version reads {FORMAT}",
            "run the version that wrote it, or give kafka.topic_prefix and kafka.group_prefix new names and start anew",
        )  # fmt: skip
    return head


class Result(msgspec.Struct, gc=False):
    """The changes of a chunk. `state`: key → packed value, None = tombstone; in this order, the partition's own last."""

    rows: list[Row]
    withdrawn: list[Row]
    state: dict[str, bytes | None]
    progress: list[Progress]


class Partition:
    """One log partition. `store`: the durable states by key; the caller writes `Result.state` into it once it is safe."""

    def __init__(
        self, log: str, number: int, unit: Unit, funnels: Sequence[CompiledFunnel], store: MutableMapping[str, bytes]
    ) -> None:
        self.log, self.number, self.unit, self.store = log, number, unit, store
        self.funnels, self.index = tuple(funnels), Index(funnels)
        self.by_session = unit is Unit.SESSION
        self.takes_all = any(funnel.strict for funnel in funnels)
        self.known_tags = {funnel.tag: funnel for funnel in funnels}
        meta = store.get(META)
        self.meta = unpack_meta(meta) if meta is not None else Meta()
        self.clock, self.tally = self.meta.clock, self.meta.tally
        self.counts = [self.tally.begin(funnel.tag) for funnel in funnels]
        self.live: dict[str, UnitState] = {}
        self.warm: dict[str, UnitState] = {}
        self.recent: tuple[set[str], set[str]] = (set(), set())
        self.out = Changes()
        heads = [(read_head(value), key) for key, value in store.items() if key != META]
        self.heap = [(head.wake, key) for head, key in heads if head.wake < FINISHED]
        self.finished = [key for head, key in heads if head.wake == FINISHED and head.offset <= self.meta.offset]
        heapify(self.heap)
        self.open = self._count_open(store)

    # -- records ------------------------------------------------------------------------------------------------

    def skip(self, offset: int) -> bool:
        """Whether this record is already part of the state (it is read again after a crash)."""
        if offset <= self.meta.offset:
            return True
        self.meta.offset = offset
        self.tally.read += 1
        return False

    def invalid(self, offset: int) -> None:
        """A record that went to the dead letters."""
        if not self.skip(offset):
            self.tally.invalid += 1

    def event(self, offset: int, event: Event) -> None:
        """A record of a source that feeds this log directly: the log's offsets and times are the source's own."""
        if self.skip(offset):
            return
        if event.event == HEARTBEAT:
            self.tally.read -= 1
            self.declare(event.ts)
            return
        self.take(offset, event)
        if event.ts > self.clock.watermark and not event.bot:
            self.clock.watermark = event.ts
            self.wake_up(offset)

    # What an internal log carries: each record names its source partition, and that one's clock after it.

    def event_from(self, offset: int, source: str, source_offset: int, watermark: int, event: Event) -> None:
        """An event that was re-keyed. One that its source sent again after a crash is passed over."""
        if self.skip(offset):
            return
        if not self.clock.take(source, source_offset):
            self.tally.read -= 1
            return
        self.take(offset, event)
        self.clock.observe(source, watermark)
        self.wake_up(offset)

    def invalid_from(self, offset: int, source: str, source_offset: int) -> None:
        """A record of a source that went to the dead letters."""
        if self.skip(offset):
            return
        if self.clock.take(source, source_offset):
            self.tally.invalid += 1
        else:
            self.tally.read -= 1

    def clock_from(self, offset: int, source: str, watermark: int, floor: int, *, idle: bool) -> None:
        """How far a source has come, though none of its events came this way; or that it fell silent."""
        if self.skip(offset):
            return
        self.tally.read -= 1
        self.clock.expect([source])
        if idle:
            self.clock.silence(source)
        else:
            self.clock.observe(source, watermark)
            self.clock.declare(source, floor)
        self.wake_all(offset)

    def tick(self, offset: int, ts: int) -> None:
        """All sources are silent, and it is this time (ms)."""
        if self.skip(offset):
            return
        self.tally.read -= 1
        self.clock.tick(ts)
        self.wake_all(offset)

    def take(self, offset: int, event: Event) -> None:
        """Counts the event, and moves its unit by it. What no funnel looks at leaves no trace but its id among the recent."""
        if event.bot:
            if not self.repeated(event.event_id):
                self.tally.bot += 1
            return
        gap_session = self.by_session and event.session_id is None
        everything = gap_session or self.takes_all
        concern = self.index.everyone(event.event) if everything else self.index.concerned(event.event)
        if concern is None:
            self.repeated(event.event_id)
            return
        key = unit_key(self.unit, event)
        if key is None:
            return
        looks = concern.looks
        if looks is None:
            looks = concern.look(event)
            if not everything and all(mask is None for _, mask in looks):
                self.repeated(event.event_id)
                return
        self.move(offset, key, event, looks, gap_session=gap_session)

    def repeated(self, event_id: str) -> bool:
        """Whether an event that no funnel looks at was seen lately; counts it then."""
        new, old = self.recent
        if event_id in new or event_id in old:
            self.tally.repeated += 1
            return True
        new.add(event_id)
        if len(new) >= RECENT:
            self.recent = (set(), new)
        return False

    def move(self, offset: int, key: str, event: Event, looks: list[Look], *, gap_session: bool) -> None:
        """The event in each funnel: late, duplicate, or a step of the unit's walk. `looks`: mask None = not looked at."""
        unit = self.load(key)
        replayed = offset <= unit.offset
        unit.offset = max(unit.offset, offset)
        self.out.unit_id, self.out.revision = key[1:], offset
        taken, duplicate = 0, False
        for matcher, mask in looks:
            if replayed:
                # A crash left this unit's state written but not the partition's: done already, only the count is missing.
                self.counts[matcher.place].matched += mask is not None
                continue
            outcome = self.step(unit, event, matcher, mask, gap_session=gap_session)
            if outcome is Outcome.DUPLICATE:
                duplicate = True
            elif mask is not None:
                taken |= 1 << matcher.place
                if outcome is Outcome.MATCHED:
                    self.counts[matcher.place].matched += 1
                else:
                    self.counts[matcher.place].late += 1
        if duplicate:
            for place, counts in enumerate(self.counts):
                counts.duplicate += not taken >> place & 1
        self.schedule(key, unit)

    def step(self, unit: UnitState, event: Event, matcher: Matcher, mask: int | None, *, gap_session: bool) -> Outcome:
        """The event in one funnel."""
        funnel, clock = matcher.funnel, self.clock
        if mask is None and not gap_session and not funnel.strict:
            return Outcome.IGNORED
        horizon = clock.watermark - funnel.lateness
        horizon = max(horizon, clock.floor)
        if event.ts < horizon:
            return Outcome.LATE
        gap = funnel.gap if gap_session else 0
        state = unit.funnels.get(funnel.tag)
        if state is None:
            state = unit.funnels[funnel.tag] = new_state()
        hit = Hit(event.ts, event.event_id) if mask is None else matcher.hit(event, mask)
        outcome = apply(funnel, state, hit, horizon, gap, self.out)
        state.due = due(funnel, state, gap)
        return outcome

    # -- units and time --------------------------------------------------------------------------------------

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

    def declare(self, ts: int) -> None:
        """Nothing older than this time (ms) will come: heartbeat of a source that feeds this log directly."""
        self.clock.tick(ts)
        self.wake_all(self.meta.offset)

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

    # -- chunks ----------------------------------------------------------------------------------------------

    def finish(self) -> Result:
        """The changes since the last call, to be made durable in this order: rows, then state.

        A unit that is over is written empty first and removed with a later chunk, once the partition's durable offset vouches
        for its records: else they could be read again without what they had followed on.
        """
        state: dict[str, bytes | None] = dict.fromkeys((key for key in self.finished if key not in self.live), None)
        self.finished = []
        for key, unit in self.live.items():
            if unit.funnels:
                self.fold(key, unit)
            elif key not in self.store:
                continue
            elif unit.offset <= self.meta.offset:
                self.finished.append(key)
            state[key] = pack(unit)
        state[META] = pack(self.meta)
        self.open.update(opened(self.out.rows))
        self.open.subtract(opened(self.out.withdrawn))
        rows = last_of_each(self.out.rows) if self.out.withdrawn else self.out.rows
        result = Result(rows, self.out.withdrawn, state, [self.progress(funnel) for funnel in self.funnels])
        self.warm = {key: unit for key, unit in self.live.items() if unit.funnels}
        self.live, self.out = {}, Changes()
        return result

    def fold(self, key: str, unit: UnitState) -> None:
        """Settles what can't change any more, so that the packed value stays short."""
        for tag, state in unit.funnels.items():
            pending, funnel = state.pending, self.known_tags.get(tag)
            if funnel is None or not pending:
                continue
            horizon = self.clock.horizon(funnel.lateness)
            if pending[-1].ts < horizon or len(pending) > FOLD:
                settle(funnel, state, horizon, funnel.gap if key[0] == "~" else 0, self.out)

    def progress(self, funnel: CompiledFunnel) -> Progress:
        """How far this partition has come in that funnel, and what became of its records."""
        clock, outcomes = self.clock, self.tally.outcomes(self.tally.funnels[funnel.tag])
        return Progress(
            funnel=funnel.name, version=funnel.version, log=self.log, partition=self.number, revision=self.meta.offset,
            watermark=clock.watermark, horizon=clock.horizon(funnel.lateness), **outcomes,
        )  # fmt: skip

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
