"""What the page shows of one funnel, as it travels to the browser. Rates are shares, times ms UTC."""

from __future__ import annotations

import msgspec

from streams.live.judge import Change
from streams.live.periods import Period


class Choice(msgspec.Struct, frozen=True):
    """What somebody looks at; as it stands in the page's address. `by`: a dimension, a cross, or "" for none."""

    funnel: str
    by: str
    period: Period


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One stage in the period. `before`: in the time that it is compared with. None: nothing to divide by.

    `step`: of those who reached the required stage before, the share that reached this one. `expected`: how many were to
    be expected to come from there (None: unknown; `learning`: not yet), `converted`: how many did. `change`: of the step. `lost`: reason → attempts that ended
    here. `course`: `step` over time, oldest first.
    """

    name: str
    indicator: str
    optional: bool
    target: float | None
    reached: int
    reached_before: int
    of_start: float | None
    step: float | None
    step_before: float | None
    change: Change
    converted: int
    expected: float | None
    learning: bool
    lost: dict[str, int]
    course: list[float | None]


class Segment(msgspec.Struct, frozen=True):
    """One value of the dimension: what reached each stage, the steps, what they were before, and which of them changed."""

    value: str
    reached: list[int]
    of_start: float | None
    of_start_before: float | None
    steps: list[float | None]
    steps_before: list[float | None]
    changes: list[Change]


class Seen(msgspec.Struct, frozen=True):
    """A worker. `state`: `live`, `silent` (it should have been heard) or `differs` (it has other definitions of this funnel)."""

    name: str
    state: str
    at: int


class Alert(msgspec.Struct, frozen=True):
    """A firing alert. `since`: ms; `where`: stage and segment, as far as it names them."""

    name: str
    severity: str
    funnel: str
    where: str
    summary: str
    since: int


class Alerts(msgspec.Struct, frozen=True):
    """`state`: `off` (no Alertmanager in the settings), `asking`, `known`, or `failed` (then `problem` says why)."""

    state: str = "off"
    problem: str = ""
    items: tuple[Alert, ...] = ()


class Money(msgspec.Struct, frozen=True):
    """Plain decimals. `currency`: "" if the events named none."""

    currency: str
    earned: str
    refunded: str


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """All of the page. `since`: beginning of the period; `note`: what of the choice could not be had, "" if all could.

    `expectation`: `absent` (no worker computes one), `learning` (no stage has one yet; `ready_at`: when the
    first will, ms, None while unknown) or `known`. `watermark`, `lag`: of all workers,
    the oldest and the sum; None while unknown.
    """

    site: str
    zone: str
    choice: Choice
    note: str
    funnels: list[str]
    dimensions: list[str]
    unit: str
    since: int
    compared: bool
    stages: list[Stage]
    segments: list[Segment]
    converted: int
    converted_before: int
    rate: float | None
    rate_before: float | None
    change: Change
    recovered: int
    open: int | None
    money: list[Money]
    events: dict[str, int]
    expectation: str
    ready_at: int | None
    workers: list[Seen]
    as_of: int | None
    lag: int | None
    watermark: int | None
    alerts: Alerts
    problem: str
