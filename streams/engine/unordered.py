"""Unordered mode: each stage once, in any order, within the window. Level k is "k+1 of n stages done"."""

from __future__ import annotations

from schemas.rows import End
from streams.engine.match import CompiledFunnel
from streams.engine.state import Attempt, Hit, Walk
from streams.engine.walk import NO_DEADLINE, SESSION, WINDOW, Rows, attempt_id, end, up_to, write_enter


def step_unordered(funnel: CompiledFunnel, walk: Walk, hit: Hit, gap: int, unit_id: str, out: Rows | None) -> None:
    """Moves the walk by the next hit in order (as `walk.step` does for the other modes)."""
    attempt, now = up_to(funnel, walk, hit, gap, out), hit.ts
    if hit.mask:
        if attempt is None:
            again = walk.ended is not None and now <= walk.ended + funnel.window
            number = walk.number + 1 if again else 1
            attempt = walk.attempt = Attempt(
                attempt_id(funnel, hit.event_id, unit_id), now, hit.dims, number, again and walk.dropped,
                bool(hit.consent), [], [-1] * (funnel.last + 1), 0, -1, 0, 0, WINDOW,
            )  # fmt: skip
        take(funnel, walk, attempt, hit, out)
    attempt = walk.attempt
    if attempt is not None:
        if hit.consent is not None:
            attempt.consent = hit.consent
        newest = attempt.entry + max(attempt.times)
        session_end = now + gap if gap else NO_DEADLINE
        attempt.deadline, attempt.reason = newest + funnel.window, WINDOW
        if session_end < attempt.deadline:
            attempt.deadline, attempt.reason = session_end, SESSION


def take(funnel: CompiledFunnel, walk: Walk, attempt: Attempt, hit: Hit, out: Rows | None) -> None:
    """Takes the event for one stage: the first that has none in the window, else the one whose event is oldest."""
    now, times = hit.ts - attempt.entry, attempt.times
    newest = max(times)
    fits = [stage for stage in range(funnel.last + 1) if hit.mask >> stage & 1]
    idle = [stage for stage in fits if times[stage] < 0 or now - times[stage] > funnel.window]
    times[idle[0] if idle else min(fits, key=times.__getitem__)] = now
    level = sum(1 for time in times if time >= 0 and now - time <= funnel.window) - 1
    if level <= attempt.highest:
        return
    came_from = funnel.levels[attempt.highest] if attempt.highest >= 0 else ""
    duration = now - newest if attempt.highest >= 0 else -1
    attempt.highest = attempt.current = level
    attempt.reached = (2 << level) - 1
    if hit.money is not None or out is not None:
        write_enter(funnel, walk, attempt, hit, level, came_from, duration, out)
    if level == funnel.last:
        end(funnel, walk, attempt, End.CONVERTED, hit.ts, hit, out)
