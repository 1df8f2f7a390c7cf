"""Which values may become label values: the policy, the cleaning, and the bounded list of one dimension."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

import msgspec

from schemas.errors import ConfigError
from schemas.metrics import ALL, CROSS, OTHER
from schemas.rows import NONE

#: Longest label value, in characters. Longer ones are cut, so that a hostile campaign can't fill the memory.
MAX_LENGTH = 120

#: Dimensions that name a person, a session or an order: in ClickHouse if declared, never on a metric.
IDENTIFYING = frozenset({"event_id", "session_id", "visitor_id", "user_id", "account_id", "order_id"})

#: Control characters, separators of lines, what turns text around, invisible tags, halves of surrogate pairs.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)


class Segment(NamedTuple):
    """`dimension` and `value` as they stand in the labels."""

    dimension: str
    value: str


EVERYTHING = Segment(ALL, ALL)


class LabelPolicy(msgspec.Struct, frozen=True):
    """What may become a label.

    `values`: allow-lists by dimension, the same on every worker. A dimension without one learns the first `max_values`
    that come (each worker its own). `crosses`: pairs of dimensions counted together, up to `max_cells` values each.
    `currencies`: those that stand at 0 from the start. All else is `other`.

    Raises ConfigError for a list, a cross or a bound that can't be used.
    """

    values: Mapping[str, tuple[str, ...]] = {}
    max_values: int = 20
    crosses: tuple[tuple[str, str], ...] = ()
    max_cells: int = 100
    currencies: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.max_values < 0 or self.max_cells < 0:
            raise ConfigError("labels", f"max_values {self.max_values}, max_cells {self.max_cells}", "use 0 or more")
        for dimension in (*self.values, *(name for pair in self.crosses for name in pair)):
            if dimension in IDENTIFYING:
                raise ConfigError("labels", f"{dimension} names single people or orders", "leave it out of the labels")
        for pair in self.crosses:
            if pair[0] == pair[1]:
                raise ConfigError("labels.crosses", f"{pair[0]}{CROSS}{pair[1]}", "name two different dimensions")


def clean(value: str) -> str:
    """The label value for a text from outside: printable, never empty (that would be a missing label), bounded."""
    if len(value) > MAX_LENGTH:
        value = value[: MAX_LENGTH - 1] + "…"
    return _UNPRINTABLE.sub("\ufffd", value) or NONE


class AllowList:
    """The segments of one dimension: its listed values from the start, and up to `room` learned, first come.

    What a value is called never changes while the worker lives, so a retraction meets the label that was counted.
    """

    __slots__ = ("_by_value", "_dimension", "_other", "_room")

    def __init__(self, dimension: str, listed: Iterable[str], room: int) -> None:
        self._dimension, self._room = dimension, room
        self._other = Segment(dimension, OTHER)
        # By the value as it comes. One that has to be cleaned takes room of its own, which bounds this too.
        self._by_value = {value: Segment(dimension, clean(value)) for value in (*listed, NONE, OTHER, "")}

    @property
    def segments(self) -> set[Segment]:
        return set(self._by_value.values())

    def segment(self, value: str) -> Segment:
        """The value's own segment if it is listed or still fits, else that of `other`."""
        known = self._by_value.get(value)
        if known is not None:
            return known
        if self._room <= 0:
            return self._other
        self._room -= 1
        segment = self._by_value[value] = Segment(self._dimension, clean(value))
        return segment
