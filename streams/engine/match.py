"""Which stages of which funnels an event fits, found by its name in one look-up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from fnmatch import fnmatchcase
from operator import attrgetter
from typing import Any, TypeVar
from zlib import crc32

import msgspec

from schemas.decode.money import money
from schemas.errors import InvalidEvent
from schemas.event import MONEY_SCALE, Event
from schemas.funnel import Condition, Funnel, Mode, Stage, Unit
from schemas.rows import NONE
from streams.engine.state import Hit, Money

Predicate = Callable[[Event], bool]
Made = TypeVar("Made")
Convert = Callable[[int, str, int], int | None]

#: Event names whose matchers are remembered. More (a site that puts ids into names) are worked out each time.
KNOWN_NAMES = 10_000
REVENUE = "revenue"
#: Amounts from here on don't pack (revenue is bounded in decoding, a conversion may pass the bound again).
LARGEST = 1 << 63
#: Longest value of a dimension, in characters; the rest is cut off.
VALUE_LENGTH = 256


def field_reader(field: str) -> Callable[[Event], Any]:
    """Reads an Event field, or `properties.a.b` / `variant.x`; None where it is absent."""
    head, *path = field.split(".")

    def read(event: Event) -> Any:
        value = getattr(event, head)
        for name in path:
            if not isinstance(value, dict):
                return None
            value = value.get(name)
        return value

    return read


def in_units(value: Any) -> Any:
    """An amount of a condition as events carry it; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return value
    return int(Decimal(str(value)) * MONEY_SCALE)


def predicate(condition: Condition) -> Predicate:
    """The condition as a function of an event. A missing field fulfils only `ne`, `not_in` and `exists = false`."""
    read, values, first = field_reader(condition.field), condition.values, condition.values[0]

    def any_of(value: Any) -> bool:
        return any(
            fnmatchcase(value, wanted)
            if isinstance(wanted, str) and isinstance(value, str)
            else value == wanted and isinstance(value, bool) is isinstance(wanted, bool)
            for wanted in values
        )

    def number(event: Event) -> float | None:
        value = read(event)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def compared(test: Callable[[float], bool]) -> Predicate:
        def check(event: Event) -> bool:
            value = number(event)
            return value is not None and test(value)

        return check

    if condition.field in ("revenue", "cost"):
        values = tuple([in_units(value) for value in values])
        first = values[0]
    operators: dict[str, Predicate] = {
        "in": lambda event: any_of(read(event)),
        "eq": lambda event: any_of(read(event)),
        "not_in": lambda event: not any_of(read(event)),
        "ne": lambda event: not any_of(read(event)),
        "lt": compared(lambda value: value < first),
        "le": compared(lambda value: value <= first),
        "gt": compared(lambda value: value > first),
        "ge": compared(lambda value: value >= first),
        "exists": lambda event: (read(event) is not None) is first,
    }
    return operators[condition.operator]


def dimension_text(value: Any) -> str:
    """A dimension's value as a text of at most VALUE_LENGTH characters, `(none)` where there is none."""
    if value is None or value == "":
        return NONE
    return value[:VALUE_LENGTH] if isinstance(value, str) else str(value)[:VALUE_LENGTH]


def dimension_reader(dimensions: Sequence[str]) -> Callable[[Event], tuple[str, ...]]:
    """Reads the values of the declared dimensions, as `dimension_text` gives them."""
    if len(dimensions) < 2 or any("." in name for name in dimensions):
        readers = [field_reader(name) for name in dimensions]
        return lambda event: tuple([dimension_text(read(event)) for read in readers])
    fields = attrgetter(*dimensions)

    def read(event: Event) -> tuple[str, ...]:
        values: tuple[str, ...] = fields(event)
        for value in values:
            if not value or len(value) > VALUE_LENGTH:
                return tuple(map(dimension_text, values))
        return values

    return read


#: The id of an event's unit as its sender gave it; None where there is none.
ID_OF: dict[Unit, Callable[[Event], str | None]] = {
    Unit.SESSION: attrgetter("session_id"),
    Unit.VISITOR: lambda event: event.visitor_id or event.user_id,
    Unit.ACCOUNT: lambda event: event.account_id or event.user_id,
}


def unit_key(unit: Unit, event: Event) -> str | None:
    """The event's unit as a state key: `=id`, or `~id` for a session that gaps must cut; None if it has no such unit."""
    found = ID_OF[unit](event)
    if found is not None:
        return "=" + found
    person = (event.visitor_id or event.user_id) if unit is Unit.SESSION else None
    return "~" + person if person else None


class Matcher:
    """What one event name means to one funnel. Bit k of a mask is stage k. `plain`: no condition has to be looked at, and `always` is
    the mask of every event of this name. `place`: of the funnel in its log."""

    __slots__ = ("always", "conditional", "exclude", "funnel", "place", "plain", "refund", "relevant")

    def __init__(self, funnel: CompiledFunnel, name: str, place: int = 0) -> None:
        self.funnel, self.place = funnel, place
        self.always = self.exclude = 0
        self.conditional: list[tuple[int, list[Predicate]]] = []
        self.refund = any(fnmatchcase(name, glob) for glob in funnel.definition.refunds)
        for index, stage in enumerate(funnel.definition.stages):
            if any(fnmatchcase(name, glob) for glob in stage.exclude):
                self.exclude |= 1 << index
            if not any(fnmatchcase(name, glob) for glob in stage.events):
                continue
            if stage.where:
                self.conditional.append((1 << index, [predicate(condition) for condition in stage.where]))
            else:
                self.always |= 1 << index
        self.relevant = bool(self.always or self.conditional or self.exclude or self.refund)
        self.plain = self.relevant and not self.conditional

    def mask(self, event: Event) -> int:
        """The stages that the event fits."""
        mask = self.always
        for bit, conditions in self.conditional:
            for holds in conditions:
                if not holds(event):
                    break
            else:
                mask |= bit
        return mask

    def look(self, event: Event) -> int | None:
        """The stages that the event fits; None if the funnel does not look at it."""
        mask = self.mask(event)
        return mask if mask or self.exclude or self.refund else None

    def hit(self, event: Event, mask: int) -> Hit:
        """The event as this funnel keeps it."""
        funnel = self.funnel
        money = funnel.money(event, mask) if self.refund or mask & funnel.valued else None
        dims = funnel.read_dimensions(event) if funnel.dimensions else ()
        return Hit(event.ts, event.event_id, mask, self.exclude, self.refund, dims, money, event.consent)


def no_rates(_value: int, _currency: str, _ts: int) -> int | None:
    """Without a reporting currency, amounts stay in their own."""
    return None


class CompiledFunnel:
    """A definition with what the engine needs at hand. Masks are indexed by the highest level reached.

    `awaited[h]`: the stages after h up to the next required one. `within_reach[h]`: all up to that one.
    `leap[h]`: largest `within` (ms) of the stages that level h can go to next, None if one of them has none.
    """

    def __init__(self, definition: Funnel, convert: Convert = no_rates) -> None:
        stages = definition.stages
        self.definition, self.convert = definition, convert
        self.name, self.version, self.levels = definition.name, definition.version, definition.levels
        # The version alone says nothing of the name: two funnels of one definition have states of their own.
        self.salt = f"{definition.name}\0{definition.version}\0"
        self.tag = crc32(f"{definition.name}\0{definition.version}".encode())
        self.window, self.lateness, self.gap = definition.window, definition.lateness, definition.session_gap
        self.strict = definition.mode is Mode.STRICT
        self.unordered = definition.mode is Mode.UNORDERED
        self.last = len(stages) - 1
        self.optional = [stage.optional for stage in stages]
        self.within = [stage.within for stage in stages]
        self.valued = sum(1 << index for index, stage in enumerate(stages) if stage.value)
        self.amounts = [amount_reader(stage.value or REVENUE) for stage in stages]
        self.dimensions = definition.dimensions
        self.read_dimensions = dimension_reader(definition.dimensions)
        nexts = [next_required(stages, level) for level in range(len(stages))]
        self.awaited = [(2 << end) - (2 << level) for level, end in enumerate(nexts)]
        self.within_reach = [(2 << end) - 1 for end in nexts]
        self.leap = [largest_within(stages[level + 1 : end + 1]) for level, end in enumerate(nexts)]
        self.timed = any(stage.within is not None for stage in stages)

    def money(self, event: Event, mask: int) -> Money | None:
        """The event's money: the `value` of the deepest stage with one that it fits, else (a refund) its revenue."""
        valued = mask & self.valued
        value = self.amounts[valued.bit_length() - 1](event) if valued else event.revenue
        if value is None:
            return None
        currency = event.currency or ""
        converted = self.convert(value, currency, event.ts)
        if converted is not None and converted >= LARGEST:
            converted = None
        return Money(value, currency, converted, event.order_id or "")


def amount_reader(field: str) -> Callable[[Event], int | None]:
    """Reads the money of a stage's `value`: the revenue, or a number elsewhere (anything else there is no money)."""
    read = field_reader(field)
    if field == REVENUE:
        return read

    def amount(event: Event) -> int | None:
        try:
            return money(read(event), field)
        except InvalidEvent:
            return None

    return amount


def next_required(stages: Sequence[Stage], level: int) -> int:
    """Index of the first required stage after `level`; the last stage for itself."""
    return next((index for index in range(level + 1, len(stages)) if not stages[index].optional), level)


def largest_within(stages: Sequence[Stage]) -> int | None:
    """The largest `within`, in ms; None where a stage has none (no limit) or there is no stage."""
    limits = [stage.within for stage in stages]
    return None if not limits or None in limits else max(limit for limit in limits if limit is not None)


Look = tuple[Matcher, int | None]


class Concern(msgspec.Struct, frozen=True):
    """What events of one name mean to a log: the matchers of the funnels that they may concern. `looks`: these with their
    masks, if no condition has to be looked at (they are then the same for every event)."""

    matchers: tuple[Matcher, ...]
    looks: list[Look] | None

    def look(self, event: Event) -> list[Look]:
        """Each matcher with the stages that the event fits, None if its funnel does not look at it."""
        return [(matcher, matcher.look(event)) for matcher in self.matchers]


class Known(dict[str, Made]):
    """What is known of event names, worked out when a name is first met, and kept for as many as are kept at all."""

    __slots__ = ("_work_out",)

    def __init__(self, work_out: Callable[[str], Made]) -> None:
        super().__init__()
        self._work_out = work_out

    def __missing__(self, name: str) -> Made:
        made = self._work_out(name)
        if len(self) < KNOWN_NAMES:
            self[name] = made
        return made


class Index:
    """From event name to what it means to the funnels of a log. `concerned`: to the funnels that it may concern; mostly None."""

    def __init__(self, funnels: Sequence[CompiledFunnel]) -> None:
        self.funnels = tuple(funnels)
        self.concerned: Known[Concern | None] = Known(self._concerned)
        self._everyone: Known[Concern] = Known(self._everyone_of)

    def everyone(self, name: str) -> Concern:
        """What it means to every funnel, in their order."""
        return self._everyone[name]

    def _everyone_of(self, name: str) -> Concern:
        return Concern(tuple(Matcher(funnel, name, place) for place, funnel in enumerate(self.funnels)), None)

    def _concerned(self, name: str) -> Concern | None:
        matchers = tuple(matcher for matcher in self._everyone_of(name).matchers if matcher.relevant)
        if not matchers:
            return None
        plain = all(matcher.plain for matcher in matchers)
        return Concern(matchers, [(matcher, matcher.always) for matcher in matchers] if plain else None)
