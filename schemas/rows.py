"""The row: one fact about one attempt, as it goes through the transitions topic into ClickHouse.

Key: (funnel, version, attempt_id, kind, item). A row with a higher `revision` replaces the one of the same key; with
`is_deleted` = 1 it takes it back. At equal revision the contents are equal, whoever wrote them.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

NONE = "(none)"  # a dimension's value where the event has none


class Kind(StrEnum):
    ENTER = "enter"  # item = stage: the attempt reached this stage for the first time
    END = "end"  # item = "": conversion or drop-off; `outcome` says which
    MOVE = "move"  # item = event_id: an edge that reached nothing new; `direction` = forward, skip, back
    REFUND = "refund"  # item = event_id: money given back; `value` is negative


class Direction(StrEnum):
    FORWARD = "forward"
    SKIP = "skip"  # past a required stage, or outside any attempt (from_stage is then "")
    BACK = "back"


class End(StrEnum):
    """How an attempt ended: the conversion, or the reason of the drop-off."""

    CONVERTED = "converted"
    STEP_TIMEOUT = "step_timeout"
    WINDOW_TIMEOUT = "window_timeout"
    SESSION_END = "session_end"
    EXCLUDED = "excluded"
    BROKEN = "broken"


class Row(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One row. Its msgpack array is the value of a record of the transitions topic.

    Times: integer ms UTC. `duration`: ms since the previous stage of the chain (enter), since the entry (end); -1 where
    it has no meaning. `value`: integer of 1/MONEY_SCALE of `currency`, None where the row carries no money;
    `value_reporting`: the same in the reporting currency, None without a rate. `entry_dims`, `dims`: values in the order
    of the funnel's `dimensions`, of the attempt's first entry and of this event. `reached`: bit mask of the levels
    reached so far. `stage`: index of `to_stage` (end: of the highest stage reached). `attempt`: 1, 2, … of the unit.
    """

    funnel: str
    version: str
    attempt_id: str
    kind: str
    item: str
    revision: int
    is_deleted: int
    unit_id: str
    session_start: int
    attempt: int
    recovered: bool
    entry_time: int
    event_time: int
    event_id: str
    from_stage: str
    to_stage: str
    stage: int
    reached: int
    direction: str
    outcome: str
    duration: int
    entry_dims: tuple[str, ...]
    dims: tuple[str, ...]
    value: int | None
    currency: str
    value_reporting: int | None
    order_id: str
    consent: bool
