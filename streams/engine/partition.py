"""All units of one log partition: each record moves the clock, its unit, and the units whose time has passed.

Everything is decided record by record, so that neither the cut into chunks nor a replay changes a row. Only the writing waits:
`finish()` gives the changes of all records since the last one.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import msgspec

from schemas.event import CONTROLS, FORGET, HEARTBEAT, Event
from schemas.funnel import Unit
from schemas.progress import Progress
from schemas.reasons import Outcome
from schemas.rows import Row
from schemas.transitions import unpack_rows
from streams.engine.clock import Clock
from streams.engine.match import ID_OF, CompiledFunnel, Index, Known, Look, Matcher, unit_key
from streams.engine.state import FORMAT, FunnelState, Hit, UnitState, Walk, pack
from streams.engine.tally import Tally
from streams.engine.unit import apply
from streams.engine.units import META, Made, Units, check_format
from streams.engine.usual import Alike, Readable, Usual, gathered, reading, recent, usual
from streams.engine.walk import KIND_END

if TYPE_CHECKING:
    from streams.engine import _usual
    from streams.engine._usual import Lane, Reading, Records

#: No bound on a time.
LATEST = 1 << 62
#: Ids of events that no funnel looks at, kept to recognise repeats: twice this many at most, in memory only.
RECENT = 50_000


class Meta(msgspec.Struct, array_like=True, gc=False):
    """The partition's own durable state: written last, so that its `offset` vouches for all records up to it."""

    format: int = FORMAT
    offset: int = -1
    clock: Clock = msgspec.field(default_factory=Clock)
    tally: Tally = msgspec.field(default_factory=Tally)


unpack_meta = msgspec.msgpack.Decoder(Meta).decode


class Result(msgspec.Struct, gc=False):
    """The changes of a chunk. `made`: the rows that `Partition.rows` has not given yet. `alike`: all of usual events, by what they add to the
    counters. `state`: key → packed value,
    None = tombstone (they are `removed`); to be written in this order, the partition's own last. `settled`: what need not be
    written."""

    made: Made
    alike: list[Alike]
    state: dict[str, bytes | None]
    removed: list[str]
    settled: dict[str, bytes]
    progress: list[Progress]

    @property
    def rows(self) -> list[Row]:
        """All of its rows, those of usual events unpacked."""
        return [*self.made.rows, *unpack_rows(self.made.packed)]

    @property
    def withdrawn(self) -> list[Row]:
        """The former contents of rows that others replace or take back."""
        return self.made.withdrawn


class Partition:
    """One log partition. `store`: the states by key, as they are durable: `keep` changes it, once the caller has made them so.
    `readable`: how the records of a source that feeds it directly may be read without decoding them. `seen`: time of its last event (ms)."""

    def __init__(
        self, log: str, number: int, unit: Unit, funnels: Sequence[CompiledFunnel], store: MutableMapping[str, bytes],
        readable: Readable | None = None,
    ) -> None:  # fmt: skip
        self.log, self.number, self.unit = log, number, unit
        self.funnels, self.index = tuple(funnels), Index(funnels)
        self.concerned = self.index.concerned
        self.usual: Known[tuple[Usual, ...]] = Known(self.usually)
        self.by_session, self.id_of = unit is Unit.SESSION, ID_OF[unit]
        self.takes_all = any(funnel.strict for funnel in funnels)
        meta = store.get(META)
        if meta is not None:
            check_format(meta)
        self.meta = unpack_meta(meta) if meta is not None else Meta()
        self.clock, self.tally = self.meta.clock, self.meta.tally
        self.counts = [self.tally.begin(funnel.tag) for funnel in funnels]
        self.units = Units(store, funnels, self.clock)
        self.wakes = self.units.wakes
        self.recent = recent(RECENT)
        self.seen = LATEST
        self.ways: Known[Any] = Known(self.way)
        self.reading = None if readable is None or self.takes_all else reading(readable, unit, self.ways)

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

    def event(self, offset: int, event: Event, got: int = LATEST) -> None:
        """A record of a source that feeds this log directly: the log's offsets and times are the source's own.

        `got`: when Kafka got the record (ms). The clock never passes it: one visitor's clock that is an hour ahead would
        otherwise make everybody else late.
        """
        if self.skip(offset):
            return
        self.seen, ts = event.ts, min(event.ts, got)
        if event.event == HEARTBEAT:
            self.tally.read -= 1
            self.declare(ts)
            return
        self.take(offset, event)
        if ts > self.clock.watermark and not event.bot:
            self.clock.watermark = ts
            self.units.wake_up(offset)

    def unusual(self, records: Sequence[Any]) -> Iterator[Any]:
        """Takes those of a source's records (`offset`, `timestamp`, `key`, `value`) that need no decoding in Python, and gives the
        others, each in its turn: they are to be decoded and taken by `event` or `invalid` before the next is asked for."""
        if self.reading is None:
            yield from records
            return
        at, held = 0, gathered(records)
        while at < len(held):
            at, unusual = self.take_usual(self.reading, held, at)
            if unusual:
                yield held[at]
                at += 1

    def take_usual(self, reading: Reading, records: Records, at: int) -> tuple[int, bool]:
        """Takes records from there on, and ends what runs out with each: none of them is one that Python has done (`settles_usually`). The
        place of the first that was not taken, and whether that is an unusual one."""
        clock, wakes, units = self.clock, self.wakes, self.units
        at, unusual, offset, watermark, read, repeated, bots, seen, dues = reading.take(
            cast("Lane", units.lane),
            records,
            at,
            self.meta.offset,
            clock.watermark,
            clock.floor,
            units.endings or None,
            wakes.near,
            wakes.edge,
            cast("_usual.Recent", self.recent),
        )
        if read:
            self.meta.offset, clock.watermark, self.seen = offset, watermark, seen
            self.tally.read += read
            self.tally.repeated += repeated
            self.tally.bot += bots
            wakes.add(dues)
        units.wake_up(offset)
        return at, unusual

    def way(self, name: str) -> Any:
        """How records of events of this name are taken without decoding them in Python: a Plan for each funnel; None if none looks at them;
        False if they can't be."""
        ways = self.usual[name]
        if ways:
            return tuple(way.plan for way in ways)
        return None if self.concerned[name] is None and name not in CONTROLS else False

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
        self.units.wake_up(offset)

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
        self.units.wake_all(offset)

    def tick(self, offset: int, ts: int) -> None:
        """All sources are silent, and it is this time (ms)."""
        if self.skip(offset):
            return
        self.tally.read -= 1
        if self.clock.all_idle:  # else a source woke while the tick was on its way: it has the word again
            self.clock.tick(ts)
            self.units.wake_all(offset)

    def take(self, offset: int, event: Event) -> None:
        """Counts the event, and moves its unit by it. What no funnel looks at leaves no trace but its id among the recent."""
        if event.bot:
            if not self.repeated(event.event_id):
                self.tally.bot += 1
            return
        if self.reading is not None:
            self.ways[event.event]  # the next one of this name is known
        ways = self.usual[event.event]
        if ways:
            unit_id = self.id_of(event)
            if unit_id and self.units.move_usually(ways, offset, event, unit_id):
                return
        if event.event == FORGET:
            self.tally.read -= 1
            self.units.forget(offset, unit_key(self.unit, event) or "")
            return
        gap_session = self.by_session and event.session_id is None
        everything = gap_session or self.takes_all
        concern = self.index.everyone(event.event) if everything else self.concerned[event.event]
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

    def usually(self, name: str) -> tuple[Usual, ...]:
        """The usual way of events of this name in each funnel that they concern; none if one of these has no such way for them."""
        concern = self.concerned[name]
        if self.takes_all or concern is None:
            return ()
        ways = [usual(matcher) for matcher in concern.matchers]
        return tuple(way for way in ways if way is not None) if None not in ways else ()

    def repeated(self, event_id: str) -> bool:
        """Whether an event that no funnel looks at was seen lately; counts it then."""
        seen = self.recent.seen(event_id)
        self.tally.repeated += seen
        return seen

    def move(self, offset: int, key: str, event: Event, looks: list[Look], *, gap_session: bool) -> None:
        """The event in each funnel: late, duplicate, or a step of the unit's walk. `looks`: mask None = not looked at."""
        units, counts = self.units, self.counts
        unit = units.load(key)
        if offset <= unit.offset:
            # A crash left this unit's state written but not the partition's: done already, only the count is missing.
            for matcher, mask in looks:
                counts[matcher.place].matched += mask is not None
            return
        unit.offset = offset
        units.out.unit_id, units.out.revision = key[1:], offset
        taken, duplicate = 0, False
        for matcher, mask in looks:
            outcome = self.step(unit, event, matcher, mask, gap_session=gap_session)
            if outcome is Outcome.DUPLICATE:
                duplicate = True
            elif mask is not None:
                taken |= 1 << matcher.place
                if outcome is Outcome.MATCHED:
                    counts[matcher.place].matched += 1
                else:
                    counts[matcher.place].late += 1
        if duplicate:
            for place, counted in enumerate(counts):
                counted.duplicate += not taken >> place & 1
        if unit.funnels:
            units.save(key, unit)

    def step(self, unit: UnitState, event: Event, matcher: Matcher, mask: int | None, *, gap_session: bool) -> Outcome:
        """The event in one funnel."""
        funnel = matcher.funnel
        if mask is None and not gap_session and not funnel.strict:
            return Outcome.IGNORED
        horizon = self.clock.horizon(funnel.lateness)
        if event.ts < horizon:
            return Outcome.LATE
        state = unit.funnels.get(funnel.tag)
        if state is None:
            state = unit.funnels[funnel.tag] = FunnelState(Walk())
        hit = Hit(event.ts, event.event_id) if mask is None else matcher.hit(event, mask)
        return apply(funnel, state, hit, horizon, funnel.gap if gap_session else 0, self.units.out)

    def declare(self, ts: int) -> None:
        """Nothing older than this time (ms) will come: heartbeat of a source that feeds this log directly."""
        self.clock.tick(ts)
        self.units.wake_all(self.meta.offset)

    def rows(self) -> Made:
        """The rows since they were last asked for."""
        return self.units.take_rows()

    def finish(self) -> Result:
        """The changes since the last call, to be made durable in this order: rows, then state."""
        stayed, alike = self.units.take_alike()
        for place, count in stayed:
            self.counts[place].matched += count
        for group in alike:
            if group.row.kind != KIND_END:
                self.counts[group.place].matched += len(group.dims)
        state, removed, settled = self.units.take_state(self.meta.offset)
        state[META] = pack(self.meta)
        return Result(self.rows(), alike, state, removed, settled, [self.progress(funnel) for funnel in self.funnels])

    def keep(self, result: Result) -> None:
        """The result is durable."""
        store = cast("dict[str, bytes | None]", self.units.store)
        store.update(result.settled)
        store.update(result.state)
        for key in result.removed:
            del store[key]

    def progress(self, funnel: CompiledFunnel) -> Progress:
        """How far this partition has come in that funnel, and what became of its records."""
        clock, outcomes = self.clock, self.tally.outcomes(self.tally.funnels[funnel.tag])
        return Progress(
            funnel=funnel.name, version=funnel.version, log=self.log, partition=self.number, revision=self.meta.offset,
            watermark=clock.watermark, horizon=clock.horizon(funnel.lateness), **outcomes,
        )  # fmt: skip
