"""Every record of every file, once: decoded, counted, and handed to each funnel's lane."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from schemas.decode import RawRecord
from schemas.errors import InvalidEvent
from schemas.event import CONTROLS, Event
from schemas.funnel import Funnel
from schemas.reasons import Reason
from streams.batch.grouped import LIMIT, GroupedEvents
from streams.engine.match import KNOWN_NAMES, CompiledFunnel, Convert, Index, Matcher, unit_key
from streams.engine.state import Hit

#: Refused records that are kept as examples, for each reason.
EXAMPLES = 3
#: Combinations of dimension values that are kept once in memory, however many events have them.
KNOWN_VALUES = 10_000


class BatchInput(msgspec.Struct, frozen=True):
    """One file: its name for people, its records, and what makes events of their bytes (raising InvalidEvent)."""

    name: str
    records: Iterable[RawRecord]
    decode: Callable[[bytes], Event]


class Refusal(msgspec.Struct, frozen=True):
    """One record that is no event."""

    file: str
    line: int
    detail: str


class Intake:
    """What the files held, for all funnels alike.

    `read`: records, heartbeats left out. `refused`: by reason, with the first `examples`. `backwards`: events older than
    the one before them in their file. `bots`: records of bots. `horizon`: newest event time (ms) of all valid events
    that are no bot's; None if there is none.
    """

    __slots__ = ("backwards", "bots", "examples", "horizon", "read", "refused")

    def __init__(self) -> None:
        self.read = self.backwards = self.bots = 0
        self.refused: Counter[Reason] = Counter()
        self.examples: dict[Reason, list[Refusal]] = {}
        self.horizon: int | None = None

    def refuse(self, file: str, record: RawRecord, error: InvalidEvent) -> None:
        """Counts a record that is no event."""
        self.refused[error.reason] += 1
        kept = self.examples.setdefault(error.reason, [])
        if len(kept) < EXAMPLES:
            kept.append(Refusal(file, record.line, error.detail))


class Lane:
    """One funnel's events. `unfit`: names of events that fit no stage → records; `homeless`: records without its unit."""

    __slots__ = ("events", "funnel", "homeless", "unfit")

    def __init__(self, definition: Funnel, convert: Convert, limit: int, directory: Path | None) -> None:
        self.funnel = CompiledFunnel(definition, convert)
        self.funnel.read_dimensions = _shared(self.funnel.read_dimensions)
        self.events = GroupedEvents(limit, directory)
        self.unfit: Counter[str] = Counter()
        self.homeless = 0

    def take(self, event: Event, matcher: Matcher | None) -> None:
        """Puts the event to its unit: as a hit, or by its id alone, which says whether it came twice."""
        funnel = self.funnel
        key = unit_key(funnel.definition.unit, event)
        if key is None:
            self.homeless += 1
            self.events.unit(_other_key(event)).ignored.append(event.event_id)
            return
        mask = None if matcher is None else matcher.look(event)
        if matcher is not None and mask is not None:
            self.events.unit(key).hits.append(matcher.hit(event, mask))
            return
        if event.event in self.unfit or len(self.unfit) < KNOWN_NAMES:
            self.unfit[event.event] += 1
        if funnel.strict or key[0] == "~":
            self.events.unit(key).hits.append(Hit(event.ts, event.event_id))
        else:
            self.events.unit(key).ignored.append(event.event_id)

    def take_bot(self, event: Event) -> None:
        """The same for an event that no funnel looks at."""
        key = unit_key(self.funnel.definition.unit, event) or _other_key(event)
        self.events.unit(key).bots.append(event.event_id)


def lanes(funnels: Sequence[Funnel], convert: Convert, limit: int = LIMIT, directory: Path | None = None) -> list[Lane]:
    """A lane for each funnel; they share the memory."""
    return [Lane(funnel, convert, limit // len(funnels), directory) for funnel in funnels]


def read_all(inputs: Iterable[BatchInput], into: Sequence[Lane], intake: Intake) -> None:
    """Reads all inputs into the lanes. `intake` is kept up to date. Raises what reading and spilling raise."""
    index = Index([lane.funnel for lane in into])
    for given in inputs:
        _read(given, into, index, intake)


def _read(given: BatchInput, into: Sequence[Lane], index: Index, intake: Intake) -> None:
    decode, everyone = given.decode, index.everyone
    newest, before = -1 if intake.horizon is None else intake.horizon, 0
    for record in given.records:
        intake.read += 1
        try:
            event = decode(record.data)
        except InvalidEvent as error:
            intake.refuse(given.name, record, error)
            continue
        if event.event in CONTROLS:
            intake.read -= 1
            continue
        ts = event.ts
        if ts < before:
            intake.backwards += 1
        before = ts
        if event.bot:
            intake.bots += 1
            for lane in into:
                lane.take_bot(event)
            continue
        if ts > newest:
            newest = intake.horizon = ts
        for lane, matcher in zip(into, everyone(event.event).matchers, strict=True):
            lane.take(event, matcher if matcher.relevant else None)


def _other_key(event: Event) -> str:
    """The key of an event that has no id for the funnel's unit: by whatever id it has."""
    return f"?{event.visitor_id or event.session_id or event.user_id or event.account_id}"


def _shared(read: Callable[[Event], tuple[str, ...]]) -> Callable[[Event], tuple[str, ...]]:
    """The same values as one object: there are few combinations and many events."""
    known: dict[tuple[str, ...], tuple[str, ...]] = {}

    def shared(event: Event) -> tuple[str, ...]:
        values = read(event)
        found = known.get(values)
        if found is None:
            found = values
            if len(known) < KNOWN_VALUES:
                known[values] = values
        return found

    return shared
