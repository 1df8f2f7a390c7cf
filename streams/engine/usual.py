"""The usual event: a unit's first, or one of its open attempt that comes in order. Most are, and `_usual` does them in C:
those of records that nothing is unusual about without decoding them in Python at all.

Without it (no compiler was there when the package was installed) unit.py does all alike, only slower: never with another
outcome. `FUNNELWATCH_PURE=1` in the environment leaves it out.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from schemas import drop_off
from schemas.currencies import CURRENCIES
from schemas.decode import DecodeOptions
from schemas.decode.finish import agent_rule
from schemas.event import Event
from schemas.funnel import Unit
from schemas.remembered import Remembered
from schemas.rows import Row
from streams.engine.match import REVENUE, CompiledFunnel, Convert, Matcher
from streams.engine.recent import Recent, RecentIds
from streams.engine.state import FORMAT, Money, pack
from streams.engine.unit import FOLD
from streams.engine.walk import BACK, FORWARD, KIND_END, KIND_ENTER, KIND_MOVE, SKIP

#: What the compiled part offers; to be raised with it, in both places.
INTERFACE = 7
try:
    from streams.engine import _usual
except ImportError:
    _usual = None  # type: ignore[assignment]
else:
    if getattr(_usual, "INTERFACE", 0) != INTERFACE:  # it lay there when the sources were exchanged around it
        logging.getLogger("funnelwatch.engine").warning(
            "the compiled part is of another version, and left out: install funnelwatch anew (make setup); all works but slower"
        )
        _usual = None  # type: ignore[assignment]
if TYPE_CHECKING:
    from streams.engine._usual import Lane, Plan, Reading, Records

#: Whether the compiled part is there.
COMPILED = _usual is not None and os.environ.get("FUNNELWATCH_PURE", "") in ("", "0")
#: Packs records for the writer; None where there is no compiled part.
pack_records = _usual.pack_records if COMPILED else None
#: CRC-32C of what follows a place in some bytes; None where there is no compiled part, or the processor has no instruction for it.
crc32c = _usual.crc32c if COMPILED else None
#: So many bytes that are yet to be written.
blank: Callable[[int], bytes] = _usual.blank if COMPILED else bytes
NO_DIMENSIONS, NO_MONEY = pack(()), pack(None)

#: Fields that are what their record says, but for channel to term, which addresses tell as well (`_usual` looks out for that).
PLAIN = (
    *("site", "url", "landing_page", "channel", "source", "medium", "campaign", "content", "term", "device", "country"),
    *("customer_type", "owner"),
)
_IDS = {
    Unit.SESSION: ("session_id",),
    Unit.VISITOR: ("visitor_id", "user_id"),
    Unit.ACCOUNT: ("account_id", "user_id"),
}
_decode_money = msgspec.msgpack.Decoder(Money).decode
_decode_row = msgspec.msgpack.Decoder(Row).decode
#: Breakdowns by what they are packed into: few distinct ones come again and again.
_breakdowns: Remembered[bytes, tuple[str, ...]] = Remembered(msgspec.msgpack.Decoder(tuple[str, ...]).decode)


class Usual(msgspec.Struct, frozen=True):
    """What is needed at hand to do events of one name the usual way in one funnel, of which they are one stage.

    `plan`: what `_usual` goes by. `dims`, `money`: of an event, packed; None where there never are any."""

    plan: Any  # Plan, which is not there where it was not compiled
    dims: Callable[[Event], bytes] | None
    money: Callable[[Event], bytes] | None

    def said(self, event: Event) -> tuple[Plan, bytes, bytes]:
        """What the event says to the funnel, packed."""
        dims = NO_DIMENSIONS if self.dims is None else self.dims(event)
        return self.plan, dims, NO_MONEY if self.money is None else self.money(event)


class Alike(msgspec.Struct, gc=False):
    """Rows of usual events that differ in nothing that counts but breakdown, duration and money, all of one minute of event time.

    `place`: of the funnel in its log. `row`: one of them; `dims`: packed; `durations`: ms, of stages reached; `money`: packed, of those
    that have some, with their dims."""

    place: int
    row: Row
    dims: list[bytes]
    durations: list[int]
    money: list[tuple[bytes, bytes]]

    def earned(self) -> Iterator[tuple[Money, tuple[str, ...]]]:
        """Each amount, with its breakdown."""
        for money, dims in self.money:
            yield _decode_money(money), _breakdowns[dims]

    def entry_dims(self) -> list[tuple[str, ...]]:
        """The breakdown of each."""
        return [_breakdowns[packed] for packed in self.dims]


def alike(place: int, row: bytes, *gathered: Any) -> Alike:
    """As the compiled part gives them: `row` is packed."""
    return Alike(place, _decode_row(row), *gathered)


def usual(matcher: Matcher) -> Usual | None:
    """How to do events of this name the usual way; None where it is not open to them: what the event means must not depend on
    more than its name, and going on must need no more than the stages before and the window."""
    funnel, mask = matcher.funnel, matcher.always
    level = mask.bit_length() - 1
    if not COMPILED or not matcher.plain or matcher.exclude or matcher.refund or mask != 1 << level:
        return None
    if funnel.strict or funnel.unordered or funnel.timed or not funnel.last:
        return None
    valued = bool(mask & funnel.valued)
    in_revenue = funnel.definition.stages[level].value in (None, REVENUE)
    fields = numbers(funnel.dimensions) if in_revenue else None
    plan = plan_of(funnel, level, matcher.place, fields, funnel.convert if valued else None)

    def dims(event: Event) -> bytes:
        return pack(funnel.read_dimensions(event))

    def money(event: Event) -> bytes:
        found = funnel.money(event, mask)
        return NO_MONEY if found is None else pack(found)

    return Usual(plan, dims if funnel.dimensions else None, money if valued else None)


def plan_of(
    funnel: CompiledFunnel, level: int, place: int, fields: bytes | None = None, convert: Convert | None = None
) -> Plan:
    """What `_usual` goes by at one level of a funnel. `fields`: of its breakdown. `convert`: of the money of its stage, if it has any."""
    name = pack(funnel.levels[level])
    dropped = drop_off.parts(funnel.name, funnel.version, funnel.levels[level], funnel.dimensions)
    optional = sum(1 << place for place, left_out in enumerate(funnel.optional) if left_out)
    return _usual.Plan(
        level, level == funnel.last, FORMAT, funnel.tag, funnel.window, funnel.lateness, FOLD, funnel.salt.encode(), place,
        fields, convert, dropped, optional, tuple(map(pack, funnel.levels)), pack(funnel.name) + pack(funnel.version), name, pack(KIND_ENTER) + name,
        pack(KIND_MOVE), pack(KIND_END) + pack(""), *(pack(direction) + pack("") for direction in (FORWARD, SKIP, BACK)),
    )  # fmt: skip


def endings(funnels: Sequence[CompiledFunnel]) -> dict[int, tuple[Plan, ...]]:
    """How attempts that run out are written, by the tag of their funnel."""
    if not COMPILED:
        return {}
    return {
        funnel.tag: tuple(plan_of(funnel, level, place) for level in range(len(funnel.levels)))
        for place, funnel in enumerate(funnels)
        if not funnel.unordered
    }


def lane() -> Lane | None:
    """Where usual events of a partition are gathered."""
    return _usual.Lane() if COMPILED else None


def recent(most: int) -> Recent:
    """Remembers so many ids at least."""
    return _usual.Recent(most, os.urandom(16)) if COMPILED else RecentIds(most)


def records() -> Records | None:
    """Holds records as a fetch brings them; None where there is no compiled part."""
    return _usual.Records() if COMPILED else None


def gathered(given: Iterable[Any]) -> Records:
    """Records of another origin, as the compiled part takes them."""
    if isinstance(given, _usual.Records):
        return given
    held = _usual.Records()
    for one in given:
        held.add(one.offset, one.timestamp, one.key, one.value)
    return held


def numbers(dimensions: Sequence[str]) -> bytes | None:
    """The fields of a breakdown as `_usual` counts them; None if one of them takes more than to look it up in the record."""
    return bytes(map(_usual.FIELDS.index, dimensions)) if set(dimensions) <= set(PLAIN) else None


class Readable(msgspec.Struct, frozen=True):
    """How a source's records may be read without decoding them in Python; `options`: of JSON in the native names. `addresses`: e-mail and
    IP addresses are masked, so that texts which may hold one are left to Python."""

    options: DecodeOptions
    addresses: bool = True


def reading(readable: Readable, unit: Unit, known: dict[str, Any]) -> Reading | None:
    """Reads the records of a source that is keyed by this unit; None where there is no compiled part.

    `known`: event name → its Plans, None (no funnel looks at it), or False.
    """
    if not COMPILED:
        return None
    options = readable.options
    internal = options.internal
    return _usual.Reading(
        known, bytes(map(_usual.FIELDS.index, _IDS[unit])), options.earliest, options.max_ahead, options.max_bytes,
        options.max_id_length, options.max_properties, tuple(mark.encode() for mark in internal.marks),
        bool(internal.addresses), bool(internal.hosts), readable.addresses, CURRENCIES, options.default_currency,
        agent_rule(internal),
    )  # fmt: skip
