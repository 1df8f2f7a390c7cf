"""The usual event: a unit's first, or one that goes a required stage further, in order. Four of five are, and `_usual` does them in C.

Without it (no compiler was there when the package was installed) unit.py does all alike, only slower: never with another
outcome. `FUNNELWATCH_PURE=1` in the environment leaves it out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence

import msgspec

from schemas.event import Event
from schemas.funnel import Unit
from schemas.rows import Row
from streams.engine.match import ID_OF, CompiledFunnel, Matcher
from streams.engine.state import FORMAT, Money, pack
from streams.engine.tally import Counts
from streams.engine.unit import FOLD
from streams.engine.walk import FORWARD, KIND_END, KIND_ENTER

try:
    from streams.engine import _usual
except ImportError:
    _usual = None  # type: ignore[assignment]

#: Whether the compiled part is there.
COMPILED = _usual is not None and os.environ.get("FUNNELWATCH_PURE", "") in ("", "0")
NO_DIMENSIONS, NO_MONEY = pack(()), pack(None)

_decode_money = msgspec.msgpack.Decoder(Money).decode
_decode_row = msgspec.msgpack.Decoder(Row).decode
_decode_dims = msgspec.msgpack.Decoder(tuple[str, ...]).decode


class Usual(msgspec.Struct, frozen=True):
    """What is needed at hand to do events of one name the usual way: of one stage of one funnel.

    `move(state, attempt id, offset, ts, event id, unit id, dims, money, consent, horizon)`, `dims` and `money` packed: the new
    state, the row, that of the attempt's end if it converts, what it has reached (and in the lowest bit whether it is
    recovered), the duration (ms), the attempt's packed dims, and when the unit is due (0: not before it was); None: the event
    is not usual. `unit_id`: of an event, None or "" where it has none, or none that its sender gave. `dims`, `money`: of an
    event, packed; None where there never are any. `counts`: of the funnel."""

    move: Callable[..., tuple[bytes, bytes, bytes | None, int, int, bytes, int] | None]
    place: int
    level: int
    lateness: int
    funnel: CompiledFunnel
    unit_id: Callable[[Event], str | None]
    dims: Callable[[Event], bytes] | None
    money: Callable[[Event], bytes] | None
    counts: Counts


class Alike(msgspec.Struct, gc=False):
    """Rows of usual events that differ in nothing that counts but breakdown, duration and money, all of one minute of event time. `row`:
    one of them, packed; `dims`: packed; `durations`: ms; `money`: packed, of those that have some, with their dims."""

    row: bytes
    dims: list[bytes]
    durations: list[int]
    money: list[tuple[bytes, bytes]]

    def sample(self) -> Row:
        """One of them."""
        return _decode_row(self.row)

    def earned(self) -> Iterator[tuple[Money, tuple[str, ...]]]:
        """Each amount, with its breakdown."""
        for money, dims in self.money:
            yield _decode_money(money), _decode_dims(dims)

    def entry_dims(self) -> list[tuple[str, ...]]:
        """The breakdown of each."""
        known = {packed: _decode_dims(packed) for packed in set(self.dims)}
        return [known[packed] for packed in self.dims]


def usual(matcher: Matcher, unit: Unit, counts: Sequence[Counts]) -> Usual | None:
    """How to do events of this name the usual way; None where it is not open to them: what the event means must not depend on
    more than its name, and going on must need no more than the stage before and the window."""
    funnel, mask = matcher.funnel, matcher.always
    level = mask.bit_length() - 1
    if not COMPILED or not matcher.plain or matcher.exclude or matcher.refund or mask != 1 << level:
        return None
    if funnel.strict or funnel.unordered or funnel.timed or not funnel.last or (level and not funnel.straight[level]):
        return None
    converts, name = level == funnel.last, pack(funnel.levels[level])
    parts = (
        pack(funnel.name) + pack(funnel.version),
        pack(KIND_ENTER) + name,
        pack(funnel.levels[level - 1] if level else "") + name,
        pack(FORWARD) + pack(""),
        pack(KIND_END) + pack(""),
        name + name,
    )
    plan = _usual.Plan(level, converts, FORMAT, funnel.tag, funnel.window, funnel.lateness, FOLD, *parts)

    def dims(event: Event) -> bytes:
        return pack(funnel.read_dimensions(event))

    def money(event: Event) -> bytes:
        found = funnel.money(event, mask)
        return NO_MONEY if found is None else pack(found)

    return Usual(
        plan.move, matcher.place, level, funnel.lateness, funnel, ID_OF[unit], dims if funnel.dimensions else None,
        money if mask & funnel.valued else None, counts[matcher.place],
    )  # fmt: skip
