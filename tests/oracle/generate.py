"""Funnels and event sequences that sit on the edges of the rules: ties, repeats, skips, limits met to the millisecond.

Stage `a` is fitted by the names with the letter a in them, stage `b` by those with b, and so on: "ac" fits two stages.
"x" and "y" are for `exclude`, "r" for `refunds`, "z" fits nothing. Times are small integers of milliseconds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations, product
from random import Random

import msgspec
from hypothesis import strategies as st

from schemas.funnel import Funnel, Mode, Stage, Unit
from tests.oracle.reference import OracleEvent, stages_of

LETTERS = "abcde"
LONGEST = 12  # events of a sequence, before duplicates


class Case(msgspec.Struct, frozen=True):
    """One unit's events (in order of arrival, duplicates included) for one funnel; `horizon` at or after the newest."""

    funnel: Funnel
    events: tuple[OracleEvent, ...]
    horizon: int
    gap_session: bool = False


class Cell(msgspec.Struct, frozen=True):
    """A kind of plain funnel, the only kind that `windowFunnel` knows."""

    stages: int
    window: int
    multi_fit: bool
    mode: Mode = Mode.ORDERED


#: Every plain ordered cell: 2 to 5 stages, a short and a long window, without and with events that fit several stages.
CELLS = tuple(Cell(*shape) for shape in product((2, 3, 4, 5), (8, 40), (False, True)))
#: `strict_order` lets one event take two steps, so its cells have no events that fit several stages.
STRICT_CELLS = tuple(Cell(*shape, False, Mode.STRICT) for shape in product((2, 3, 4, 5), (8, 40)))


def names_for(count: int, *, multi_fit: bool) -> tuple[str, ...]:
    """The event names that fit some of the first `count` stages."""
    letters = LETTERS[:count]
    several = [combination for size in (2, 3) for combination in combinations(letters, size)] if multi_fit else []
    return (*letters, *("".join(combination) for combination in several))


def patterns(rng: Random, letter: str) -> tuple[str, ...]:
    """Names and globs that match exactly the names with this letter in them."""
    literal = [letter, *(name for name in names_for(len(LETTERS), multi_fit=True) if letter in name and name != letter)]
    literal += [f"{letter}{other}" for other in "xy"]
    return rng.choice([(f"*{letter}*",), (f"[{letter}]*", f"?*{letter}*"), tuple(literal)])


def plain_funnel(cell: Cell) -> Funnel:
    stages = tuple(Stage(name=f"stage {letter}", events=(f"*{letter}*",)) for letter in LETTERS[: cell.stages])
    return Funnel("plain", "0123456789ab", Unit.SESSION, stages, window=cell.window, mode=cell.mode)


def random_funnel(rng: Random, mode: Mode | None = None) -> Funnel:
    """Any funnel: every mode, 1 to 5 stages; `within`, `exclude` and `optional` except in unordered mode."""
    mode = mode or rng.choice(list(Mode))
    letters = LETTERS[: rng.choice((1, 2, 2, 3, 3, 3, 4, 4, 5))]
    window, gap = rng.choice((0, 5, 10, 20, 20, 30, 60)), rng.choice((2, 6, 13, 40))
    excluding, limiting, skipping = (mode is not Mode.UNORDERED and rng.random() < 0.6 for _ in range(3))
    stages = tuple(
        Stage(
            name=f"stage {letter}",
            events=patterns(rng, letter),
            optional=skipping and letter not in (letters[0], letters[-1]) and rng.random() < 0.6,
            within=rng.choice((None, 1, 3, 6, 9, window, max(0, window - 1))) if limiting and letter != "a" else None,
            exclude=rng.choice(((), ("x",), ("*x*",), ("y", "x*"))) if excluding else (),
        )
        for letter in letters
    )
    unit, refunds = rng.choice(list(Unit)), rng.choice(((), ("r",)))
    return Funnel("any", "0123456789ab", unit, stages, window=window, session_gap=gap, mode=mode, refunds=refunds)


def limits_of(funnel: Funnel, *, gap_session: bool) -> tuple[int, ...]:
    """The durations whose passing changes something."""
    withins = [stage.within for stage in funnel.stages if stage.within is not None]
    return (funnel.window, *withins, *([funnel.session_gap] if gap_session else []))


def random_times(rng: Random, count: int, limits: Sequence[int]) -> list[int]:
    """Ascending times; about a third lie at a limit after an earlier one, or a millisecond beside."""
    times = [rng.randrange(3)]
    while len(times) < count:
        edge = rng.choice(times) + rng.choice(limits) + rng.choice((-1, 0, 0, 1))
        step = times[-1] + rng.choice((0, 0, 1, 1, 2, 3, 5))
        times.append(edge if rng.random() < 0.35 and edge >= times[-1] else step)
    return times


def random_names(rng: Random, funnel: Funnel, count: int, names: Sequence[str], noise: float) -> list[str]:
    """Names that climb the funnel more often than chance would; `noise`: the share of any name at all."""
    chosen: list[str] = []
    expected = 0
    for _ in range(count):
        letter = LETTERS[expected % len(funnel.stages)]
        name = rng.choice([name for name in names if letter in name])
        if rng.random() < noise:
            name = rng.choice(names)
        else:
            expected += rng.choice((0, 1, 1, 1, 2))
        chosen.append(name)
    return chosen


def random_events(rng: Random, times: Sequence[int], names: Sequence[str]) -> list[OracleEvent]:
    """Events whose ids follow no order, so that ids break ties against the order of arrival."""
    ids = rng.sample(range(100), len(times))
    return [OracleEvent(ts, name, f"e{number:02}") for ts, name, number in zip(times, names, ids, strict=True)]


def with_duplicates(rng: Random, events: Sequence[OracleEvent], share: float = 0.2) -> list[OracleEvent]:
    """Some events twice or thrice, a later time on some of the copies."""
    copied: list[OracleEvent] = []
    for event in events:
        count = rng.choices((0, 1, 2), (1 - share, share * 3 / 4, share / 4))[0]
        later = (rng.choice((0, 0, 1, 4)) for _ in range(count))
        copied += [OracleEvent(event.ts + ms, event.name, event.event_id) for ms in later]
    return [*events, *copied]


def shuffled(rng: Random, events: Sequence[OracleEvent]) -> tuple[OracleEvent, ...]:
    return tuple(rng.sample(list(events), len(events)))


def random_horizon(rng: Random, events: Sequence[OracleEvent], limits: Sequence[int]) -> int:
    """The newest event's time, or a later one that lies at, before or after a limit."""
    newest = max(event.ts for event in events)
    edge = rng.choice(events).ts + rng.choice(limits) + rng.choice((-1, 0, 1))
    return rng.choice((newest, newest + 1000, max(newest, edge), max(newest, edge)))


def random_case(rng: Random, mode: Mode | None = None) -> Case:
    """Any funnel with one unit's events: 1 to LONGEST of them, and in half of the cases duplicates."""
    funnel = random_funnel(rng, mode)
    gap_session = funnel.unit is Unit.SESSION and rng.random() < 0.6
    limits = limits_of(funnel, gap_session=gap_session)
    stray = ("x", "y", "z", "r", "ax", "bx", "ay")
    fitting = names_for(len(funnel.stages), multi_fit=rng.random() < 0.6)
    names = (*fitting, *rng.sample(stray, rng.randrange(4)) * rng.choice((1, 1, 3)))
    count = rng.randint(1, LONGEST)
    noise = rng.choice((0.1, 0.3, 0.6))
    events = random_events(rng, random_times(rng, count, limits), random_names(rng, funnel, count, names, noise=noise))
    arrived = with_duplicates(rng, events) if rng.random() < 0.5 else events
    horizon = random_horizon(rng, arrived, limits)
    return Case(funnel, shuffled(rng, arrived), horizon, gap_session)


def plain_events(rng: Random, cell: Cell, funnel: Funnel) -> tuple[OracleEvent, ...]:
    """One unit's events for a plain funnel, each once, in any order of arrival; in strict mode at distinct times."""
    count = rng.randint(1, LONGEST)
    noise = 0.15 if cell.mode is Mode.STRICT else 0.5
    names = (*names_for(cell.stages, multi_fit=cell.multi_fit), "z")
    times = random_times(rng, count, limits_of(funnel, gap_session=False))
    if cell.mode is Mode.STRICT or (cell.multi_fit and rng.random() < 0.8):
        times = sorted(set(times))  # without ties: there `windowFunnel` may differ, see `is_mixed_tie`
    return shuffled(rng, random_events(rng, times, random_names(rng, funnel, len(times), names, noise)))


def is_mixed_tie(funnel: Funnel, events: Sequence[OracleEvent]) -> bool:
    """Whether an event that fits several stages shares its instant with another event that fits any.

    There `windowFunnel` sorts steps, not events: of {a, c} and b at one instant it takes a before b and c after it.
    """
    fitting = [(event, stages_of(funnel, event)) for event in events]
    instants = Counter(event.ts for event, stages in fitting if stages)
    return any(instants[event.ts] > 1 for event, stages in fitting if len(stages) > 1)


def cases(mode: Mode | None = None) -> st.SearchStrategy[Case]:
    """`random_case` with its choices made, and shrunk, by Hypothesis."""
    return st.randoms(use_true_random=False).map(lambda rng: random_case(rng, mode))
