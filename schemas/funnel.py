"""The funnel definition: what `funnels.toml` says, checked and in the units that the engine uses (ms, tuples)."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from typing import Any

import msgspec


class Unit(StrEnum):
    """Whose walk through the funnel is followed. Its id comes from the first of these fields that the event has."""

    SESSION = "session"  # session_id; else visitor_id or user_id, cut into sessions by `session_gap`
    VISITOR = "visitor"  # visitor_id, else user_id
    ACCOUNT = "account"  # account_id, else user_id


class Mode(StrEnum):
    ORDERED = "ordered"
    STRICT = "strict"
    UNORDERED = "unordered"


class Condition(msgspec.Struct, frozen=True):
    """One field condition of `where`. `field`: an Event field or `properties.a.b`, `variant.x`.

    `operator`: `in` (any of `values`; globs in texts), `not_in`, `eq`, `ne`, `lt`, `le`, `gt`, `ge` (numbers; one value),
    `exists` (value True or False).
    """

    field: str
    operator: str
    values: tuple[Any, ...]


class Stage(msgspec.Struct, frozen=True):
    """One stage. `events`, `exclude`: event names, globs allowed. `within`: ms from the previous stage, None = no limit."""

    name: str
    events: tuple[str, ...]
    where: tuple[Condition, ...] = ()
    optional: bool = False
    within: int | None = None
    exclude: tuple[str, ...] = ()
    value: str | None = None
    indicator: str = ""
    target: float | None = None
    floor: float | None = None
    floor_minimum: int = 0
    owner: str = ""
    team: str = ""
    alert: bool = True


class Funnel(msgspec.Struct, frozen=True, dict=True):
    """One funnel. Durations in milliseconds. `version`: 12 hex digits, a hash of all that changes what is counted."""

    name: str
    version: str
    unit: Unit
    stages: tuple[Stage, ...]
    window: int = 24 * 3_600_000
    lateness: int = 600_000
    session_gap: int = 1_800_000
    mode: Mode = Mode.ORDERED
    dimensions: tuple[str, ...] = ()
    refunds: tuple[str, ...] = ()
    owner: str = ""
    team: str = ""

    @cached_property
    def levels(self) -> tuple[str, ...]:
        """Names of the funnel's levels, in order: its stages; in unordered mode `1 of n` to `n of n` (stages done)."""
        n = len(self.stages)
        if self.mode is Mode.UNORDERED:
            return tuple(f"{k + 1} of {n}" for k in range(n))
        return tuple(stage.name for stage in self.stages)
