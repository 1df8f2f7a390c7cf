"""What a plain count makes of a stream of steps; written apart from the engine, it is what every run is held against."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.definitions import LATENESS, WINDOW, Walk
from schemas.errors import FunnelwatchError
from schemas.event import MONEY_SCALE

PRICE_CENTS = 4_990
LEVELS = 8  # more than any walk has: an attempt's entry and level share one integer


class WrongCounts(FunnelwatchError):
    """A contestant's results are not what the events come to: its figures are worth nothing."""


class Step(msgspec.Struct, frozen=True, gc=False):
    """One event before it is encoded. `session`: number of the session (gap: of the visitor). `number`: its place there."""

    ts: int
    session: int
    number: int
    event: str


class Expected(msgspec.Struct, frozen=True):
    """What the events come to: by (funnel, stage) attempts that entered it; by funnel those that converted and dropped off.

    `events`: how many there are. `dropped`: those whose deadline, lateness included, had passed by the last event, or by a later
    event of the same visitor. `revenue`: in 1/MONEY_SCALE.
    """

    events: int
    entered: dict[tuple[str, str], int]
    converted: dict[str, int]
    dropped: dict[str, int]
    revenue: int

    @property
    def rows(self) -> int:
        """Rows of the transitions table."""
        return sum(self.entered.values()) + sum(self.converted.values()) + sum(self.dropped.values())


class Count:
    """Takes the steps in the order of their times. `session_gap`: ms, None where sessions have ids.

    `place`: the partition of a session. `direct`: each partition has a clock of its own; else the slowest is that of all.
    An attempt is one integer, so that millions of them fit: (entry - the first step's time) * LEVELS + level.
    """

    def __init__(
        self, walks: Sequence[Walk], session_gap: int | None, place: Callable[[int], int], *, direct: bool
    ) -> None:
        self._walks, self._gap, self._place, self._direct = tuple(walks), session_gap, place, direct
        self._stages = {
            stage: (number, level) for number, walk in enumerate(walks) for level, stage in enumerate(walk.stages)
        }
        self._began: int | None = None
        self._attempts: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._newest: dict[int, int] = {}
        self._entered: Counter[str] = Counter()
        self._ended: Counter[int] = Counter()  # drop-offs by walk
        self._events = 0

    def add(self, step: Step) -> None:
        """Counts one step. Raises WrongCounts if its session does not walk in order, within the window."""
        if self._began is None:
            self._began = step.ts
        self._events += 1
        self._newest[self._place(step.session)] = step.ts
        if self._gap is not None:
            if step.ts - self._last.get(step.session, step.ts) > self._gap:
                self._cut(step.session)
            self._last[step.session] = step.ts
        found = self._stages.get(step.event)
        if found is None:
            return
        number, level = found
        key, since = step.session * len(self._walks) + number, step.ts - self._began
        attempt = self._attempts.get(key)
        entry, before = (since, -1) if attempt is None else divmod(attempt, LEVELS)
        if before != level - 1 or since - entry > WINDOW:
            raise WrongCounts(f"session {step.session} does not walk in order at {step.event}")
        self._attempts[key] = entry * LEVELS + level
        self._entered[step.event] += 1

    def _cut(self, session: int) -> None:
        """A pause longer than the gap: what the visitor had open has ended."""
        for number, walk in enumerate(self._walks):
            attempt = self._attempts.pop(session * len(self._walks) + number, None)
            if attempt is not None and attempt % LEVELS < len(walk.stages) - 1:
                self._ended[number] += 1

    def expected(self) -> Expected:
        """What all steps taken come to."""
        slowest, began = min(self._newest.values(), default=0), self._began or 0
        dropped = Counter(self._ended)
        for key, attempt in self._attempts.items():
            session, number = divmod(key, len(self._walks))
            entry, level = divmod(attempt, LEVELS)
            deadline = began + entry + WINDOW
            if self._gap is not None:
                deadline = min(deadline, self._last[session] + self._gap)
            now = self._newest[self._place(session)] if self._direct else slowest
            if level < len(self._walks[number].stages) - 1 and deadline + LATENESS < now:
                dropped[number] += 1
        return Expected(
            self._events,
            {(walk.name, s): self._entered[s] for walk in self._walks for s in walk.stages if self._entered[s]},
            {walk.name: self._entered[walk.stages[-1]] for walk in self._walks},
            {walk.name: dropped[number] for number, walk in enumerate(self._walks)},
            self._entered["purchase"] * PRICE_CENTS * (MONEY_SCALE // 100),
        )
