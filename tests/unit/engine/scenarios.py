"""Random funnels and logs: every mode and limit, several units with and without session ids, money, consent, copies."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import msgspec

from schemas.event import Event
from schemas.funnel import Funnel, Mode, Stage, Unit
from tests.unit.engine.feeding import delayed, heartbeat

#: How much later a copy of an event may be stamped.
SHIFT = 4
LETTERS = "abcde"


class Scenario(msgspec.Struct, frozen=True):
    """`log`: events in order of arrival, none late; the last record is a heartbeat at `horizon`."""

    funnel: Funnel
    log: tuple[Event, ...]
    horizon: int

    @property
    def events(self) -> tuple[Event, ...]:
        return self.log[:-1]


def random_stage(rng: Random, index: int, count: int, mode: Mode) -> Stage:
    options: dict[str, Any] = {"value": "revenue" if rng.random() < 0.3 else None}
    if mode is not Mode.UNORDERED and index > 0:
        options["optional"] = index < count - 1 and rng.random() < 0.3
        options["within"] = rng.randint(1, 15) if rng.random() < 0.3 else None
        options["exclude"] = ("x",) if rng.random() < 0.25 else ()
    names = (LETTERS[index], *((rng.choice(LETTERS),) if rng.random() < 0.2 else ()))
    return Stage(LETTERS[index].upper(), names, **options)


def random_funnel(rng: Random, unit: Unit | None = None, name: str = "f") -> Funnel:
    count, mode = rng.randint(1, 5), rng.choice(list(Mode))
    return Funnel(
        name,
        f"{rng.getrandbits(48):012x}",
        unit or rng.choice((Unit.SESSION, Unit.SESSION, Unit.VISITOR)),
        tuple(random_stage(rng, index, count, mode) for index in range(count)),
        window=rng.randint(3, 40),
        lateness=rng.choice((0, 5, 12, 20)),
        session_gap=rng.randint(2, 20),
        mode=mode,
        dimensions=("channel",),
        refunds=("z",),
    )


def random_event(rng: Random, number: int, span: int) -> Event:
    who, session = rng.choice("uv"), rng.random() < 0.6
    return Event(
        event=rng.choice("aabbccddexyz"),
        ts=rng.randint(0, span),
        event_id=str(number),
        session_id=f"s{who}" if session else None,
        visitor_id=who if not session or rng.random() < 0.8 else None,
        user_id=who,
        channel=rng.choice((None, "p", "q")),
        revenue=rng.choice((None, 5, 7)),
        currency="EUR",
        order_id=rng.choice((None, "o1", "o2")),
        consent=rng.choice((None, None, True, False)),
        bot=rng.random() < 0.05,
    )


def random_scenario(rng: Random) -> Scenario:
    """Up to 25 events and some copies, a few stamped later, in an order of arrival that makes nothing late."""
    definition = random_funnel(rng)
    span = rng.choice((10, 40, 100))
    seen = [random_event(rng, number, span) for number in range(rng.randint(1, 25))]
    shift = min(SHIFT, definition.lateness)
    copies = [
        msgspec.structs.replace(one, ts=one.ts + rng.choice((0, 0, shift))) for one in seen if rng.random() < 0.15
    ]
    arrived = delayed(rng, seen + copies, definition.lateness - shift)
    horizon = max([one.ts for one in arrived if not one.bot], default=0) + rng.choice((0, 0, rng.randint(1, 60)))
    return Scenario(definition, (*arrived, heartbeat(horizon)), horizon)


def scenarios(kind: str, count: int) -> Iterator[Scenario]:
    """The same in every run; `kind` names the test, so that each has its own."""
    for number in range(count):
        yield random_scenario(Random(f"{kind} {number}"))
