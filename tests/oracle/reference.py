"""One unit's funnel by brute force, as plainly as docs/design.md says it, and written without a look at the engine.

The engine keeps, for each level, the newest chain alone. The reference forgets none: it holds every chain that some
subsequence of the attempt's events makes, so that "can this level be reached" is a search, not a rule.
Event names are matched by `fnmatch`; `where`, money and refunds are outside its scope.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase

import msgspec

from schemas.funnel import Funnel, Mode
from schemas.rows import Direction, End

NEVER = 1 << 62  # later than any event


class OracleEvent(msgspec.Struct, frozen=True):
    """What a funnel without conditions sees of an event. `ts`: integer milliseconds."""

    ts: int
    name: str
    event_id: str


class Entered(msgspec.Struct, frozen=True):
    """A level's first reach. `duration`: ms since the chain's previous step, -1 at the entry."""

    level: int
    name: str
    time: int
    event_id: str
    from_stage: str
    duration: int


class Ending(msgspec.Struct, frozen=True):
    """How, when and at which highest level an attempt ended. `duration`: ms since its entry."""

    outcome: str
    time: int
    stage: int
    duration: int


class Move(msgspec.Struct, frozen=True):
    """An edge that reached nothing new. `from_stage` is "" where no attempt lived."""

    time: int
    event_id: str
    from_stage: str
    to_stage: str
    direction: str


class Attempt(msgspec.Struct, frozen=True):
    """One attempt. `entered` by level, `moves` by time, `end` None while open; `session_start` -1: no gap session."""

    entry_id: str
    entry_time: int
    session_start: int
    number: int
    recovered: bool
    entered: tuple[Entered, ...]
    moves: tuple[Move, ...]
    end: Ending | None


class Walk(msgspec.Struct, frozen=True):
    """All that one unit did: its attempts in order of entry, and the moves that belong to none."""

    attempts: tuple[Attempt, ...]
    outside: tuple[Move, ...]

    @property
    def max_level(self) -> int:
        """The number of the deepest level that any attempt reached, from 1; 0 without an attempt."""
        return max((1 + entered.level for attempt in self.attempts for entered in attempt.entered), default=0)


class Chain(msgspec.Struct, frozen=True):
    """A subsequence of events that climbed to `level`: time of its first event, time of its last."""

    level: int
    start: int
    at: int


class Live:
    """The attempt under way."""

    def __init__(self, entry: OracleEvent, session_start: int, number: int, recovered: bool) -> None:
        self.entry, self.session_start, self.number, self.recovered = entry, session_start, number, recovered
        self.chains: set[Chain] = set()  # ordered and strict mode: every chain there is
        self.newest: dict[int, int] = {}  # unordered mode: each stage's newest event
        self.current = ""
        self.entered: dict[int, Entered] = {}
        self.moves: list[Move] = []

    @property
    def highest(self) -> int:
        return max(self.entered)

    def since_last_step(self, now: int) -> int:
        """Unordered mode: ms since the newest event that counted for a stage; -1 at the entry."""
        return now - max(self.newest.values()) if self.newest else -1

    def enter(self, level: int, name: str, event: OracleEvent, duration: int) -> None:
        self.entered[level] = Entered(level, name, event.ts, event.event_id, self.current, duration)


def fits(names: Sequence[str], event: OracleEvent) -> bool:
    return any(fnmatchcase(event.name, name) for name in names)


def stages_of(funnel: Funnel, event: OracleEvent) -> list[int]:
    """The indices of the stages that an event fits, ascending."""
    return [j for j, stage in enumerate(funnel.stages) if fits(stage.events, event)]


def in_order(funnel: Funnel, events: Iterable[OracleEvent]) -> list[OracleEvent]:
    """The unit's events in the order that counts, each `event_id` once (the earliest of its records)."""
    earliest: dict[str, OracleEvent] = {}
    for event in events:
        known = earliest.get(event.event_id)
        if known is None or event.ts < known.ts:
            earliest[event.event_id] = event
    beyond = len(funnel.stages)
    return sorted(earliest.values(), key=lambda e: (e.ts, min(stages_of(funnel, e), default=beyond), e.event_id))


def awaited(funnel: Funnel, level: int) -> list[int]:
    """The stages that may follow a level: those after it, up to and including the next required one."""
    following: list[int] = []
    for j in range(level + 1, len(funnel.stages)):
        following.append(j)
        if not funnel.stages[j].optional:
            break
    return following


def can_take(funnel: Funnel, chain: Chain, stage: int, now: int) -> bool:
    """Whether an event of `stage` at `now` continues the chain: no required stage between, in time for both limits."""
    within = funnel.stages[stage].within
    in_time = now - chain.start <= funnel.window and (within is None or now - chain.at <= within)
    return stage in awaited(funnel, chain.level) and in_time


def step_limit(funnel: Funnel, chain: Chain) -> int:
    """The last moment at which `within` lets the chain go on."""
    limits = [funnel.stages[j].within for j in awaited(funnel, chain.level)]
    return max(NEVER if limit is None else chain.at + limit for limit in limits)


def chains_deadline(funnel: Funnel, chains: Iterable[Chain]) -> tuple[int, End]:
    """The last moment at which any chain could go on, and the reason of a drop-off then."""
    growing = [chain for chain in chains if chain.level < len(funnel.stages) - 1]
    bounds = {chain: min(chain.start + funnel.window, step_limit(funnel, chain)) for chain in growing}
    deadline = max(bounds.values())
    last = max((c for c in growing if bounds[c] == deadline), key=lambda c: (c.level, c.start, c.at))
    by_step = step_limit(funnel, last) < last.start + funnel.window
    return deadline, End.STEP_TIMEOUT if by_step else End.WINDOW_TIMEOUT


class Reference:
    """The walk of one unit. `gap_session`: the unit has no session id, so that silence ends its sessions."""

    def __init__(self, funnel: Funnel, gap_session: bool = False) -> None:
        self.funnel, self.gap_session = funnel, gap_session
        self.live: Live | None = None
        self.attempts: list[Attempt] = []
        self.outside: list[Move] = []
        self.last_event = -NEVER
        self.session_start = -1

    def deadline(self, live: Live) -> tuple[int, End]:
        if self.funnel.mode is Mode.UNORDERED:
            limit, reason = max(live.newest.values()) + self.funnel.window, End.WINDOW_TIMEOUT
        else:
            limit, reason = chains_deadline(self.funnel, live.chains)
        session_end = self.last_event + self.funnel.session_gap
        return (session_end, End.SESSION_END) if self.gap_session and session_end < limit else (limit, reason)

    def expire(self, now: int) -> None:
        if self.live is not None:
            limit, reason = self.deadline(self.live)
            if limit < now:
                self.end(self.live, reason, limit)

    def end(self, live: Live, outcome: End, time: int) -> None:
        ending = Ending(outcome.value, time, live.highest, time - live.entry.ts)
        self.attempts.append(self.finished(live, ending))
        self.live = None

    @staticmethod
    def finished(live: Live, ending: Ending | None) -> Attempt:
        entered = tuple(live.entered[level] for level in sorted(live.entered))
        about = (live.entry.event_id, live.entry.ts, live.session_start, live.number, live.recovered)
        return Attempt(*about, entered, tuple(live.moves), ending)

    def open(self, event: OracleEvent) -> Live:
        number, recovered = 1, False
        if self.attempts:
            previous = self.attempts[-1]
            if previous.end is not None and event.ts - previous.end.time <= self.funnel.window:
                number, recovered = previous.number + 1, previous.end.outcome != End.CONVERTED
        self.live = Live(event, self.session_start, number, recovered)
        return self.live

    def take(self, event: OracleEvent) -> None:
        """One event, in order."""
        self.expire(event.ts)
        if self.gap_session and event.ts - self.last_event > self.funnel.session_gap:
            self.session_start = event.ts
        stages = stages_of(self.funnel, event)
        if self.funnel.mode is Mode.UNORDERED:
            self.count(event, stages)
        elif self.live is None:
            self.begin(event, stages)
        elif not self.stopped(self.live, event, stages):
            self.climb(self.live, event, stages)
        self.last_event = event.ts

    def stopped(self, live: Live, event: OracleEvent, stages: list[int]) -> bool:
        """Ends the attempt if the event excludes or breaks it."""
        waiting = awaited(self.funnel, live.highest)
        if any(fits(self.funnel.stages[j].exclude, event) for j in waiting):
            self.end(live, End.EXCLUDED, event.ts)
        elif self.funnel.mode is Mode.STRICT and all(j > waiting[-1] for j in stages):
            self.end(live, End.BROKEN, event.ts)
        return self.live is None

    def begin(self, event: OracleEvent, stages: list[int]) -> None:
        """Ordered modes, no attempt alive: the entry opens one, later stages are skips from nowhere."""
        names = self.funnel.levels
        if 0 in stages:
            live = self.open(event)
            live.enter(0, names[0], event, -1)
            live.current = names[0]
            live.chains.add(Chain(0, event.ts, event.ts))
            if len(names) == 1:
                self.end(live, End.CONVERTED, event.ts)
        elif stages:
            self.outside.append(Move(event.ts, event.event_id, "", names[stages[-1]], Direction.SKIP.value))

    def climb(self, live: Live, event: OracleEvent, stages: list[int]) -> None:
        """Ordered modes, an attempt alive: every chain takes every step that it can; one event is one step."""
        names, last = self.funnel.levels, len(self.funnel.stages) - 1
        grown: set[Chain] = {Chain(0, event.ts, event.ts)} if 0 in stages else set()
        new: list[Entered] = []
        for j in reversed(stages):
            able = [chain for chain in live.chains if can_take(self.funnel, chain, j, event.ts)]
            grown |= {Chain(j, chain.start, event.ts) for chain in able}
            if able and j not in live.entered:
                taken = max(able, key=lambda c: (c.start, c.level, c.at))
                new.append(Entered(j, names[j], event.ts, event.event_id, live.current, event.ts - taken.at))
                if j == last:
                    break
        waiting = awaited(self.funnel, live.highest)
        live.entered.update({entered.level: entered for entered in new})
        if last in live.entered:
            self.end(live, End.CONVERTED, event.ts)
            return
        live.chains |= grown
        if stages:
            near = [j for j in stages if j <= waiting[-1]]
            target = max(chain.level for chain in grown) if grown else max(near or stages)
            self.move(live, event, target, silent=bool(new))

    def move(self, live: Live, event: OracleEvent, target: int, *, silent: bool) -> None:
        names = self.funnel.levels
        before, live.current = live.current, names[target]
        if silent or before == live.current:
            return
        direction = Direction.FORWARD if target in live.entered else Direction.SKIP
        if target < names.index(before):
            direction = Direction.BACK
        live.moves.append(Move(event.ts, event.event_id, before, live.current, direction.value))

    def count(self, event: OracleEvent, stages: list[int]) -> None:
        """Unordered mode: the level is the number of stages with an event within the last `window`."""
        if not stages:
            return
        live = self.live or self.open(event)
        alive = {j for j, at in live.newest.items() if event.ts - at <= self.funnel.window}
        free = [j for j in stages if j not in alive]
        taken = free[0] if free else min(stages, key=lambda j: (live.newest[j], j))
        level, names = len(alive | {taken}) - 1, self.funnel.levels
        if level not in live.entered:
            live.current = names[level - 1] if live.newest else ""
            live.enter(level, names[level], event, live.since_last_step(event.ts))
        live.newest[taken] = event.ts
        if level == len(names) - 1:
            self.end(live, End.CONVERTED, event.ts)


def walk(funnel: Funnel, events: Sequence[OracleEvent], horizon: int | None = None, gap_session: bool = False) -> Walk:
    """All attempts and moves of one unit's events, in any order; `horizon` None: the newest event's time."""
    reference, ordered = Reference(funnel, gap_session), in_order(funnel, events)
    for event in ordered:
        reference.take(event)
    if ordered:
        # Of all records: a duplicate's later time is an event time too.
        reference.expire(max(event.ts for event in events) if horizon is None else horizon)
    still_open = () if reference.live is None else (Reference.finished(reference.live, None),)
    return Walk(tuple(reference.attempts) + still_open, tuple(reference.outside))
