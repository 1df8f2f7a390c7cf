"""What the engine keeps. Everything here packs into a msgpack array: short, and quick to read."""

from __future__ import annotations

import msgspec

#: Version of this form. Written first in every packed unit; another one is migrated or refused, never misread.
FORMAT = 1


class Money(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """Integers of 1/MONEY_SCALE of `currency` and of the reporting currency (None: no rate)."""

    value: int
    currency: str
    reporting: int | None
    order_id: str


class Hit(msgspec.Struct, array_like=True, gc=False, frozen=True):
    """One event as one funnel sees it. `mask`: the stages it fits; `exclude`: those whose `exclude` it fits."""

    ts: int
    event_id: str
    mask: int = 0
    exclude: int = 0
    refund: bool = False
    dims: tuple[str, ...] = ()
    money: Money | None = None
    consent: bool | None = None

    def before(self, other: Hit) -> bool:
        """Whether this one counts, of two with one event id: the earlier, then the lower stage, then the lower bytes."""
        mine, others = self.order(), other.order()
        return mine < others or (mine == others and pack(self) < pack(other))

    def order(self) -> tuple[int, int, str]:
        """Sort key of a unit's hits: time, lowest stage (none: last), event id."""
        mask = self.mask
        return self.ts, (mask & -mask).bit_length() if mask else 64, self.event_id


class Attempt(msgspec.Struct, array_like=True, gc=False):
    """An open attempt. `starts[k]`, `times[k]`: start of the newest chain that reached level k and when it did, in ms
    after `entry`; -1 for none. (Unordered: `times[k]` is stage k's newest event.)
    `reached`: bit mask of levels; `highest` of them; `current` stage. `deadline`: absolute ms."""

    id: bytes
    entry: int
    dims: tuple[str, ...]
    number: int
    recovered: bool
    consent: bool
    starts: list[int]
    times: list[int]
    reached: int
    highest: int
    current: int
    deadline: int
    reason: int

    def copy(self) -> Attempt:
        """An attempt of its own: moving one leaves the other as it is."""
        return Attempt(
            self.id, self.entry, self.dims, self.number, self.recovered, self.consent, self.starts[:], self.times[:],
            self.reached, self.highest, self.current, self.deadline, self.reason,
        )  # fmt: skip


class Walk(msgspec.Struct, array_like=True, gc=False):
    """A unit's way through one funnel up to some event: the open attempt, and what is remembered of ended ones.

    `ended`, `dropped`, `number`: of the last attempt. `activity`, `session_start`: of gap sessions.
    `orders`: order ids whose revenue was taken, with the time (ms).
    """

    attempt: Attempt | None = None
    ended: int | None = None
    dropped: bool = False
    number: int = 0
    activity: int | None = None
    session_start: int = 0
    orders: dict[str, int] | None = None

    def copy(self) -> Walk:
        """A walk of its own."""
        attempt = self.attempt.copy() if self.attempt is not None else None
        orders = dict(self.orders) if self.orders else None
        return Walk(attempt, self.ended, self.dropped, self.number, self.activity, self.session_start, orders)


class FunnelState(msgspec.Struct, array_like=True, gc=False):
    """A unit in one funnel. `base`: the walk over all that can't change any more; `pending`: the hits since, in order, that
    an older one could still come before; `tip`: the walk over both (None: nothing pending, it is `base`).
    `floor`: hits at or before this time came too late for this unit (its pending hits outgrew their bound).
    `due`: when the horizon passes this time (ms), there is something to do."""

    base: Walk
    pending: list[Hit]
    tip: Walk | None = None
    floor: int | None = None
    due: int = 0


class UnitState(msgspec.Struct, array_like=True, gc=False):
    """All that is kept of a unit: `funnels` by the tag of their version. `wake`: the watermark at which it is due."""

    format: int
    offset: int
    wake: int
    funnels: dict[int, FunnelState]


pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(UnitState).decode
