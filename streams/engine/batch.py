"""The engine over a known, complete input: one unit's events are sorted, walked once, and ended at the horizon."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from schemas.event import Event
from schemas.funnel import Funnel, Unit
from schemas.rows import Row
from streams.engine.match import CompiledFunnel, Matcher, unit_key
from streams.engine.state import Hit, Walk
from streams.engine.unit import move
from streams.engine.walk import Rows, expire


def walk_hits(funnel: CompiledFunnel, key: str, hits: Iterable[Hit], horizon: int) -> list[Row]:
    """All rows of one unit, given its hits in order, without duplicates. `key`: as `match.unit_key` gives it."""
    gap = funnel.gap if key[0] == "~" else 0
    walk, out = Walk(), Rows(key[1:])
    for hit in hits:
        move(funnel, walk, hit, gap, out.unit_id, out)
    expire(funnel, walk, horizon, out)
    return out.rows


def walk_unit(definition: Funnel, events: Sequence[Event], horizon: int | None = None) -> list[Row]:
    """Final rows of one unit, its events in any order. `horizon`: ms, default the newest event's time."""
    funnel = CompiledFunnel(definition)
    hits: dict[str, Hit] = {}
    key = ""
    for event in events:
        key = unit_key(Unit(definition.unit), event) or key
        hit = relevant_hit(funnel, event, key)
        if hit is not None and (hit.event_id not in hits or hit.before(hits[hit.event_id])):
            hits[hit.event_id] = hit
    if horizon is None:
        horizon = max((event.ts for event in events), default=0)
    return walk_hits(funnel, key, sorted(hits.values(), key=Hit.order), horizon) if key else []


def relevant_hit(funnel: CompiledFunnel, event: Event, key: str) -> Hit | None:
    """The event as the funnel sees it; None if it does not look at it."""
    matcher = Matcher(funnel, event.event)
    mask = matcher.look(event)
    if mask is not None:
        return matcher.hit(event, mask)
    return Hit(event.ts, event.event_id) if funnel.strict or key[0] == "~" else None
