"""What the engine keeps. Everything here packs into a msgpack array: short, and quick to read."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

#: Version of this form. Written first in every packed unit; another one is migrated or refused, never misread.
FORMAT = 2


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


class FunnelState(msgspec.Struct, array_like=True, gc=False):
    """A unit in one funnel. `tip`: its walk over all hits so far. Hits that an older one could still come before are pending:
    `pending` holds `count` of them, packed one after the other, in order; `newest` is the last one's time (ms), and `base` the
    packed walk before the first (both mean nothing while none is pending).
    `floor`: hits at or before this time came too late for this unit (its pending hits outgrew their bound).
    `due`: when the horizon passes this time (ms), there is something to do.

    What is only needed when a hit comes out of order stays packed: the usual hit reads and writes `tip` alone."""

    tip: Walk
    base: bytes = b""
    pending: bytes = b""
    count: int = 0
    newest: int = 0
    floor: int | None = None
    due: int = 0

    def hits(self) -> list[Hit]:
        """The pending hits."""
        count = self.count
        head = (0x90 | count).to_bytes() if count < 16 else b"\xdc" + count.to_bytes(2)
        return unpack_hits(head + self.pending)

    def wait_for(self, base: Walk, hits: Sequence[Hit]) -> None:
        """Makes these hits, which are in order and follow on `base`, the pending ones."""
        self.pending, self.count = b"".join(map(pack, hits)), len(hits)
        self.base, self.newest = (pack(base), hits[-1].ts) if hits else (b"", 0)


class UnitState(msgspec.Struct, array_like=True, gc=False):
    """All that is kept of a unit: `funnels` by the tag of their version. `wake`: the watermark at which it is due; `quiet`: there is
    nothing to do then but to forget it."""

    format: int
    offset: int
    wake: int
    quiet: bool
    funnels: dict[int, FunnelState]


pack = msgspec.msgpack.Encoder().encode
unpack = msgspec.msgpack.Decoder(UnitState).decode
unpack_walk = msgspec.msgpack.Decoder(Walk).decode
unpack_hits = msgspec.msgpack.Decoder(list[Hit]).decode
