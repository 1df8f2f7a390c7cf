"""One event, or a deadline, moves one unit's walk through one funnel: the semantics of docs/design.md, in its order.

The chains of an attempt are two arrays: `starts[k]` and `times[k]` of the newest chain that reached level k. A newer first stage
starts a newer chain; an event moves it to stage k while deeper levels keep theirs. Newest dominates: at any level, the
chain that arrived last also started last, so one chain a level is enough.
"""

from __future__ import annotations

from hashlib import blake2b

from schemas.rows import Direction, End, Kind, Row
from streams.engine.match import CompiledFunnel
from streams.engine.state import Attempt, Hit, Walk

NO_DEADLINE = 1 << 62
NOT_RECOVERED = False
# Plain texts: on Python 3.11 reading an enum's `value` costs as much as half a row.
KIND_ENTER, KIND_END, KIND_MOVE, KIND_REFUND = (kind.value for kind in Kind)
FORWARD, SKIP, BACK = (direction.value for direction in Direction)
REASONS = (End.WINDOW_TIMEOUT, End.STEP_TIMEOUT, End.SESSION_END)
WINDOW, STEP, SESSION = range(3)


class Rows:
    """Where a walk writes what happens: rows of one unit in one funnel, caused by one log record (`revision`)."""

    __slots__ = ("revision", "rows", "unit_id")

    def __init__(self, unit_id: str = "", revision: int = 0) -> None:
        self.unit_id, self.revision = unit_id, revision
        self.rows: list[Row] = []


def attempt_id(funnel: CompiledFunnel, event_id: str, unit_id: str) -> bytes:
    """128 bits that name the attempt which this entry opens."""
    return blake2b(f"{funnel.salt}{event_id}\0{unit_id}".encode(), digest_size=16).digest()


def step(funnel: CompiledFunnel, walk: Walk, hit: Hit, gap: int, unit_id: str, out: Rows | None) -> None:
    """Moves the walk by the next hit in order. `gap`: the session gap in ms for gap sessions, else 0."""
    attempt, mask = walk.attempt, hit.mask
    if gap or hit.refund or (attempt is not None and attempt.deadline < hit.ts):
        attempt = up_to(funnel, walk, hit, gap, out)
    if attempt is None:
        if mask & 1:
            attempt = open_attempt(funnel, walk, hit, unit_id, out)
        elif mask and out is not None:
            write_stray(funnel, walk, hit, out)
    elif hit.exclude and hit.exclude & funnel.awaited[attempt.highest]:
        end(funnel, walk, attempt, End.EXCLUDED, hit.ts, hit, out)
        return
    elif funnel.strict and not mask & funnel.within_reach[attempt.highest]:
        end(funnel, walk, attempt, End.BROKEN, hit.ts, hit, out)
        return
    elif mask:
        advance(funnel, walk, attempt, hit, out)
    if walk.attempt is not None and attempt is not None:
        if hit.consent is not None:
            attempt.consent = hit.consent
        if mask & 1 or gap or (mask and funnel.timed):  # else no chain started or moved a limit
            set_deadline(funnel, attempt, hit.ts + gap if gap else NO_DEADLINE)


def up_to(funnel: CompiledFunnel, walk: Walk, hit: Hit, gap: int, out: Rows | None) -> Attempt | None:
    """What holds whatever the hit is: a passed deadline, the session, money given back. Returns the attempt that lives."""
    attempt, now = walk.attempt, hit.ts
    if attempt is not None and attempt.deadline < now:
        drop(funnel, walk, attempt, out)
        attempt = None
    if gap:
        if walk.activity is None or now > walk.activity + gap:
            walk.session_start = now
        walk.activity = now
    if hit.refund and out is not None:
        write_refund(funnel, walk, hit, out)
    return attempt


def open_attempt(funnel: CompiledFunnel, walk: Walk, hit: Hit, unit_id: str, out: Rows | None) -> Attempt | None:
    """The entry: a new attempt, with its one chain. A funnel of one stage converts at once."""
    again = walk.ended is not None and hit.ts <= walk.ended + funnel.window
    number = walk.number + 1 if again else 1
    attempt = Attempt(
        attempt_id(funnel, hit.event_id, unit_id), hit.ts, hit.dims, number, again and walk.dropped, bool(hit.consent),
        [0], [0], 1, 0, 0, 0, WINDOW,
    )  # fmt: skip
    walk.attempt = attempt
    if hit.money is not None or out is not None:
        write_enter(funnel, walk, attempt, hit, 0, "", -1, out)
    if funnel.last == 0:
        end(funnel, walk, attempt, End.CONVERTED, hit.ts, hit, out)
    return attempt


def advance(funnel: CompiledFunnel, walk: Walk, attempt: Attempt, hit: Hit, out: Rows | None) -> None:
    """Stages deepest first, then a newer chain at the entry, then the edge that this leaves."""
    now = hit.ts - attempt.entry
    starts, times = attempt.starts, attempt.times
    came_from, target, entered = funnel.levels[attempt.current], -1, False
    mask = hit.mask & ~1
    while mask:
        level = mask.bit_length() - 1
        mask ^= 1 << level
        source = best_source(funnel, attempt, level, now)
        if source < 0:
            continue
        while len(starts) <= level:
            starts.append(-1)
            times.append(-1)
        duration = now - times[source]
        starts[level], times[level] = starts[source], now
        if target < 0:
            target = level
        if attempt.reached >> level & 1:
            continue
        entered = True
        attempt.reached |= 1 << level
        attempt.highest = max(attempt.highest, level)
        if hit.money is not None or out is not None:
            write_enter(funnel, walk, attempt, hit, level, came_from, duration, out)
        if level == funnel.last:
            attempt.current = level
            end(funnel, walk, attempt, End.CONVERTED, hit.ts, hit, out)
            return
    if hit.mask & 1:
        starts[0] = times[0] = now
        target = max(target, 0)
    if target < 0:
        near = hit.mask & funnel.within_reach[attempt.highest] or hit.mask
        target = near.bit_length() - 1
    if not entered and target != attempt.current and out is not None:
        write_edge(funnel, walk, attempt, hit, came_from, target, out)
    attempt.current = target


def best_source(funnel: CompiledFunnel, attempt: Attempt, level: int, now: int) -> int:
    """The level whose chain can move to `level` now and started last (equal: the higher one); -1 if none can."""
    starts, times, within = attempt.starts, attempt.times, funnel.within[level]
    best, newest = -1, -1
    source = level - 1
    while True:
        if source < len(starts):
            start = starts[source]
            if start > newest and now - start <= funnel.window and (within is None or now - times[source] <= within):
                best, newest = source, start
        if not funnel.optional[source]:
            return best
        source -= 1


def set_deadline(funnel: CompiledFunnel, attempt: Attempt, session_end: int) -> None:
    """The last moment at which a live chain could still advance, and why it would then end."""
    deadline, reason = attempt.starts[0] + funnel.window, WINDOW
    if funnel.timed:
        deadline = -1
        for level in range(min(len(attempt.starts), funnel.last) - 1, -1, -1):
            if attempt.starts[level] < 0:
                continue
            bound, why, leap = attempt.starts[level] + funnel.window, WINDOW, funnel.leap[level]
            if leap is not None and attempt.times[level] + leap < bound:
                bound, why = attempt.times[level] + leap, STEP
            if bound > deadline:
                deadline, reason = bound, why
    deadline += attempt.entry
    if session_end < deadline:
        deadline, reason = session_end, SESSION
    attempt.deadline, attempt.reason = deadline, reason


def expire(funnel: CompiledFunnel, walk: Walk, horizon: int, out: Rows | None) -> None:
    """Ends the attempt if the horizon has passed its deadline."""
    attempt = walk.attempt
    if attempt is not None and attempt.deadline < horizon:
        drop(funnel, walk, attempt, out)


def drop(funnel: CompiledFunnel, walk: Walk, attempt: Attempt, out: Rows | None) -> None:
    """Ends the attempt at its deadline."""
    end(funnel, walk, attempt, REASONS[attempt.reason], attempt.deadline, None, out)


def end(
    funnel: CompiledFunnel, walk: Walk, attempt: Attempt, how: End, when: int, hit: Hit | None, out: Rows | None
) -> None:
    """The one end of an attempt."""
    walk.attempt, walk.ended, walk.number = None, when, attempt.number
    walk.dropped = how is not End.CONVERTED
    if hit is not None and hit.consent is not None:
        attempt.consent = hit.consent
    if out is None:
        return
    highest = attempt.highest
    out.rows.append(Row(
        funnel.name, funnel.version, attempt.id.hex(), KIND_END, "", out.revision, 0,
        out.unit_id, walk.session_start, attempt.number, attempt.recovered, attempt.entry, when,
        hit.event_id if hit is not None else "",
        funnel.levels[attempt.current], funnel.levels[highest], highest, attempt.reached, "", how.value,
        when - attempt.entry, attempt.dims, hit.dims if hit is not None and hit.dims else attempt.dims,
        None, "", None, "", attempt.consent,
    ))  # fmt: skip


def write_enter(
    funnel: CompiledFunnel, walk: Walk, attempt: Attempt, hit: Hit, level: int, came_from: str, duration: int,
    out: Rows | None,
) -> None:  # fmt: skip
    """The row of a stage reached for the first time, with its money if the stage has a value and the order is new."""
    value, currency, reporting, order_id = None, "", None, ""
    money = hit.money
    if money is not None:
        valued = funnel.valued & (hit.mask if funnel.unordered else 1 << level)
        if valued and counts(funnel, walk, money.order_id, hit.ts):
            value, currency, reporting, order_id = money.value, money.currency, money.reporting, money.order_id
    if out is None:
        return
    out.rows.append(Row(
        funnel.name, funnel.version, attempt.id.hex(), KIND_ENTER, funnel.levels[level], out.revision, 0,
        out.unit_id, walk.session_start, attempt.number, attempt.recovered, attempt.entry, hit.ts, hit.event_id,
        came_from, funnel.levels[level], level, attempt.reached, FORWARD, "",
        duration, attempt.dims, hit.dims, value, currency, reporting, order_id, bool(hit.consent),
    ))  # fmt: skip


def counts(funnel: CompiledFunnel, walk: Walk, order_id: str, now: int) -> bool:
    """Whether this order's revenue is taken for the first time (within `window`, by this unit)."""
    if not order_id:
        return True
    orders = {order: ts for order, ts in (walk.orders or {}).items() if now <= ts + funnel.window}
    first = order_id not in orders
    orders.setdefault(order_id, now)
    walk.orders = orders
    return first


def write_edge(
    funnel: CompiledFunnel, walk: Walk, attempt: Attempt, hit: Hit, came_from: str, target: int, out: Rows
) -> None:
    """A move that reached nothing new: back, forward again, or past a required stage."""
    ahead = FORWARD if attempt.reached >> target & 1 else SKIP
    direction = BACK if target < attempt.current else ahead
    out.rows.append(Row(
        funnel.name, funnel.version, attempt.id.hex(), KIND_MOVE, hit.event_id, out.revision, 0,
        out.unit_id, walk.session_start, attempt.number, attempt.recovered, attempt.entry, hit.ts, hit.event_id,
        came_from, funnel.levels[target], target, attempt.reached, direction, "",
        -1, attempt.dims, hit.dims, None, "", None, "", bool(hit.consent),
    ))  # fmt: skip


def write_stray(funnel: CompiledFunnel, walk: Walk, hit: Hit, out: Rows) -> None:
    """A later stage with no attempt alive: a skip from nowhere, under an id of its own."""
    target = hit.mask.bit_length() - 1
    out.rows.append(Row(
        funnel.name, funnel.version, attempt_id(funnel, hit.event_id, out.unit_id).hex(), KIND_MOVE,
        hit.event_id, out.revision, 0, out.unit_id, walk.session_start, 0, NOT_RECOVERED, hit.ts, hit.ts, hit.event_id,
        "", funnel.levels[target], target, 0, SKIP, "",
        -1, hit.dims, hit.dims, None, "", None, "", bool(hit.consent),
    ))  # fmt: skip


def write_refund(funnel: CompiledFunnel, walk: Walk, hit: Hit, out: Rows) -> None:
    """Money given back: a negative row of its own, whatever has become of the attempt that brought it."""
    if hit.money is None:
        return
    money = hit.money
    reporting = -money.reporting if money.reporting is not None else None
    out.rows.append(Row(
        funnel.name, funnel.version, attempt_id(funnel, hit.event_id, out.unit_id).hex(), KIND_REFUND,
        hit.event_id, out.revision, 0, out.unit_id, walk.session_start, 0, NOT_RECOVERED, hit.ts, hit.ts, hit.event_id,
        "", "", 0, 0, "", "", -1, hit.dims, hit.dims, -money.value, money.currency, reporting, money.order_id,
        bool(hit.consent),
    ))  # fmt: skip
