"""One unit in one funnel: hits in any order of arrival, duplicates, corrections.

The walk up to the horizon is settled (`base`); hits since then stay `pending`, because an older one may still come before
them; `tip` is the walk over both. In order, a hit moves the tip: O(1). Out of order, the pending hits are walked again
from the base, with and without it, and the difference of the rows is written.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence

import msgspec

from schemas.reasons import Outcome
from schemas.rows import Row
from streams.engine.match import CompiledFunnel
from streams.engine.state import FunnelState, Hit, Walk
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


def new_state() -> FunnelState:
    """A unit that this funnel has not met."""
    return FunnelState(Walk(), [])


def move(funnel: CompiledFunnel, walk: Walk, hit: Hit, gap: int, unit_id: str, out: Rows | None) -> None:
    """One step in the funnel's mode."""
    (step_unordered if funnel.unordered else step)(funnel, walk, hit, gap, unit_id, out)


def apply(funnel: CompiledFunnel, state: FunnelState, hit: Hit, horizon: int, gap: int, out: Changes) -> Outcome:
    """Takes a hit that is not older than the horizon (ms). Says whether it counted, or was a duplicate, or late.

    Hits before the horizon are settled, folded or not: when that is done depends on chunks, what comes of it must not.
    """
    pending = state.pending
    if state.floor is not None and hit.ts <= state.floor:
        return Outcome.LATE
    event_id = hit.event_id
    for known in pending:
        if known.event_id == event_id and known.ts >= horizon:
            if hit.before(known):
                others = [other for other in pending if other is not known]
                correct(funnel, state, sorted([hit, *others], key=Hit.order), horizon, gap, out)
            return Outcome.DUPLICATE
    if pending and (hit.ts < pending[-1].ts or (hit.ts == pending[-1].ts and hit.order() < pending[-1].order())):
        later = pending[:]
        insort(later, hit, key=Hit.order)
        correct(funnel, state, later, horizon, gap, out)
    else:
        if state.tip is None:
            state.tip = state.base.copy()
        (step_unordered if funnel.unordered else step)(funnel, state.tip, hit, gap, out.unit_id, out)
        pending.append(hit)
    if len(state.pending) > PENDING:
        fold_until(funnel, state, count_before(state.pending, horizon), gap, out.unit_id)
    if len(state.pending) > PENDING:
        fold_until(funnel, state, PENDING // 2, gap, out.unit_id)
        state.floor = state.pending[0].ts - 1
    return Outcome.MATCHED


def correct(funnel: CompiledFunnel, state: FunnelState, hits: list[Hit], horizon: int, gap: int, out: Changes) -> None:
    """Puts `hits` in the place of the pending ones: writes what is new or different, takes back what no longer holds."""
    before, _ = walk_over(funnel, state.base, state.pending, horizon, gap, out)
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
    state.pending, state.tip = hits, tip


def walk_over(
    funnel: CompiledFunnel, base: Walk, hits: Sequence[Hit], horizon: int, gap: int, out: Rows
) -> tuple[list[Row], Walk]:
    """All rows of the hits from the base on, and the walk at their end."""
    walk, rows = base.copy(), Rows(out.unit_id, out.revision)
    for hit in hits:
        move(funnel, walk, hit, gap, out.unit_id, rows)
    expire(funnel, walk, horizon, rows)
    return rows.rows, walk


def settle(funnel: CompiledFunnel, state: FunnelState, horizon: int, gap: int, out: Changes) -> bool:
    """Brings the unit up to the horizon: ends what is over, settles what can't change. False: nothing is left to keep."""
    tip = state.tip if state.tip is not None else state.base
    expire(funnel, tip, horizon, out)
    pending = state.pending
    if pending and pending[-1].ts < horizon:
        state.base, state.tip, state.pending = tip, None, []
    elif len(pending) > FOLD and pending[FOLD // 2].ts < horizon:
        fold_until(funnel, state, count_before(pending, horizon), gap, out.unit_id)
    state.due = due(funnel, state, gap)
    return tip.attempt is not None or state.due >= horizon


def count_before(hits: Sequence[Hit], horizon: int) -> int:
    """How many of the hits, which are in order, are older than the horizon (ms)."""
    return bisect_left(hits, horizon, key=lambda hit: hit.ts)


def fold_until(funnel: CompiledFunnel, state: FunnelState, count: int, gap: int, unit_id: str) -> None:
    """Settles the first `count` pending hits: the base walks over them; their rows were written when they came."""
    for hit in state.pending[:count]:
        move(funnel, state.base, hit, gap, unit_id, None)
    state.pending = state.pending[count:]


def due(funnel: CompiledFunnel, state: FunnelState, gap: int) -> int:
    """When the horizon passes this time (ms), the unit must be settled: an attempt ends, or all can be forgotten."""
    tip = state.tip if state.tip is not None else state.base
    if tip.attempt is not None:
        return tip.attempt.deadline
    last = state.pending[-1].ts if state.pending else state.floor or 0
    if tip.ended is not None:
        last = max(last, tip.ended + funnel.window)
    if gap and tip.activity is not None:
        last = max(last, tip.activity + gap)
    return last
