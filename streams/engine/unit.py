"""One unit in one funnel: hits in any order of arrival, duplicates, corrections.

`tip` is the walk over all hits. In order, a hit moves it: O(1). Hits since the horizon stay pending, because an older one may
still come before them; then they are walked again from the base, with and without it, and the difference of the rows is written.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import msgspec

from schemas.reasons import Outcome
from schemas.rows import Row
from streams.engine.match import CompiledFunnel
from streams.engine.state import FunnelState, Hit, Walk, pack, unpack_walk
from streams.engine.unordered import step_unordered
from streams.engine.walk import Rows, expire, step

#: Pending hits of one unit in one funnel. Beyond it the older half is settled before its time (a bot, a broken client).
PENDING = 512
#: In ms. Stored rows lie by the day of their attempt's entry.
DAY = 86_400_000
#: Pending hits from which settled ones are taken out while others still wait.
FOLD = 32


class Changes(Rows):
    """Rows to write, and the former contents of those that they replace or take back (`withdrawn`, for the counters)."""

    __slots__ = ("withdrawn",)

    def __init__(self, unit_id: str = "", revision: int = 0) -> None:
        super().__init__(unit_id, revision)
        self.withdrawn: list[Row] = []


def move(funnel: CompiledFunnel, walk: Walk, hit: Hit, gap: int, unit_id: str, out: Rows | None) -> None:
    """One step in the funnel's mode."""
    (step_unordered if funnel.unordered else step)(funnel, walk, hit, gap, unit_id, out)


def apply(funnel: CompiledFunnel, state: FunnelState, hit: Hit, horizon: int, gap: int, out: Changes) -> Outcome:
    """Takes a hit that is not older than the horizon (ms). Says whether it counted, or was a duplicate, or late."""
    if state.floor is not None and hit.ts <= state.floor:
        return Outcome.LATE
    if state.newest < horizon or not state.count:  # nothing that could still be changed: the walk so far is the base
        state.base, state.pending, state.count = pack(state.tip), b"", 0
    elif hit.ts <= state.newest or hit.event_id.encode() in state.pending:
        outcome = out_of_order(funnel, state, hit, horizon, gap, out)
        if outcome is not None:
            return outcome
    tip = state.tip
    move(funnel, tip, hit, gap, out.unit_id, out)
    state.pending += pack(hit)
    state.newest = hit.ts
    state.count += 1
    attempt = tip.attempt
    state.due = attempt.deadline if attempt is not None else due(funnel, state, gap)
    if state.count > FOLD:
        bound(funnel, state, horizon, gap, out.unit_id)
    return Outcome.MATCHED


def out_of_order(
    funnel: CompiledFunnel, state: FunnelState, hit: Hit, horizon: int, gap: int, out: Changes
) -> Outcome | None:
    """Takes a hit that is older than a pending one, or has come before; None if it only looked like that.

    Hits before the horizon are settled, folded or not: when that is done depends on the past, what comes of it must not.
    """
    pending = state.hits()
    for known in pending:
        if known.event_id == hit.event_id and known.ts >= horizon:
            if hit.before(known):
                pending.remove(known)
                insort(pending, hit, key=Hit.order)
                correct(funnel, state, pending, horizon, gap, out)
            return Outcome.DUPLICATE
    if hit.order() >= pending[-1].order():
        return None
    insort(pending, hit, key=Hit.order)
    correct(funnel, state, pending, horizon, gap, out)
    if state.count > FOLD:
        bound(funnel, state, horizon, gap, out.unit_id)
    return Outcome.MATCHED


def bound(funnel: CompiledFunnel, state: FunnelState, horizon: int, gap: int, unit_id: str) -> None:
    """Keeps the pending hits few: settles now and then those before the horizon, and beyond PENDING half of them all."""
    if state.count % (FOLD // 2) and state.count <= PENDING:
        return
    fold_until(funnel, state, count_before(state.hits(), horizon), gap, unit_id)
    if state.count > PENDING:
        fold_until(funnel, state, PENDING // 2, gap, unit_id)
        state.floor = state.hits()[0].ts - 1


def correct(funnel: CompiledFunnel, state: FunnelState, hits: list[Hit], horizon: int, gap: int, out: Changes) -> None:
    """Puts `hits` in the place of the pending ones: writes what is new or different, takes back what no longer holds."""
    before, _ = walk_over(funnel, state.base, state.hits(), horizon, gap, out)
    after, tip = walk_over(funnel, state.base, hits, horizon, gap, out)
    old = {(row.attempt_id, row.kind, row.item): row for row in before}
    for row in after:
        former = old.pop((row.attempt_id, row.kind, row.item), None)
        if former == row:
            continue
        if former is not None:
            out.withdrawn.append(former)
            # Stored under another day of entry, the former one would not be replaced.
            if former.entry_time // DAY != row.entry_time // DAY:
                out.rows.append(msgspec.structs.replace(former, is_deleted=1))
        out.rows.append(row)
    out.withdrawn.extend(old.values())
    out.rows.extend(msgspec.structs.replace(row, is_deleted=1) for row in old.values())
    state.tip = tip
    state.wait_for(unpack_walk(state.base), hits)
    state.due = due(funnel, state, gap)


def walk_over(
    funnel: CompiledFunnel, base: bytes, hits: Sequence[Hit], horizon: int, gap: int, out: Rows
) -> tuple[list[Row], Walk]:
    """All rows of the hits from the (packed) base on, and the walk at their end."""
    walk, rows = unpack_walk(base), Rows(out.unit_id, out.revision)
    for hit in hits:
        move(funnel, walk, hit, gap, out.unit_id, rows)
    expire(funnel, walk, horizon, rows)
    return rows.rows, walk


def settle(funnel: CompiledFunnel, state: FunnelState, horizon: int, gap: int, out: Changes) -> bool:
    """Brings the unit up to the horizon: ends what is over, settles what can't change. False: nothing is left to keep."""
    expire(funnel, state.tip, horizon, out)
    if state.count:
        if state.newest < horizon:
            state.wait_for(state.tip, ())
        elif state.count > FOLD:
            fold_until(funnel, state, count_before(state.hits(), horizon), gap, out.unit_id)
    state.due = due(funnel, state, gap)
    return state.tip.attempt is not None or state.due >= horizon


def count_before(hits: Sequence[Hit], horizon: int) -> int:
    """How many of the hits, which are in order, are older than the horizon (ms)."""
    return bisect_left(hits, horizon, key=lambda hit: hit.ts)


def fold_until(funnel: CompiledFunnel, state: FunnelState, count: int, gap: int, unit_id: str) -> None:
    """Settles the first `count` pending hits: the base walks over them; their rows were written when they came."""
    if not count:
        return
    base, hits = unpack_walk(state.base), state.hits()
    for hit in hits[:count]:
        move(funnel, base, hit, gap, unit_id, None)
    state.wait_for(base, hits[count:])


def due(funnel: CompiledFunnel, state: FunnelState, gap: int) -> int:
    """When the horizon passes this time (ms), the unit must be settled: an attempt ends, or all can be forgotten."""
    tip = state.tip
    if tip.attempt is not None:
        return tip.attempt.deadline
    last = state.newest if state.count else state.floor or 0
    if tip.ended is not None:
        last = max(last, tip.ended + funnel.window)
    if gap and tip.activity is not None:
        last = max(last, tip.activity + gap)
    return last
