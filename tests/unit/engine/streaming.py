"""The streaming engine as the oracle's judges take an engine: funnel, one unit's events, horizon → final rows."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec

from schemas.event import Event
from schemas.funnel import Funnel
from schemas.rows import Row
from tests.unit.engine.feeding import Run, delayed, heartbeat, in_cuts


def evaluate(definition: Funnel, seen: Sequence[Event], horizon: int | None = None) -> list[Row]:
    """Feeds a Partition out of order within a lateness of its own, in random chunks, and ends with a heartbeat.

    The lateness covers the delay and the copies that bear a later time, so that nothing is late. Disorder and cuts are
    drawn from the order in which the events are given.
    """
    rng = Random(" ".join(f"{one.event_id}@{one.ts}" for one in seen))
    delay = rng.choice((0, 3, 10, 40))
    made = Run(msgspec.structs.replace(definition, lateness=delay + longest_shift(seen)))
    for chunk in in_cuts(rng, delayed(rng, seen, delay)):
        made.feed(chunk).chunk()
    made.feed([heartbeat(max(one.ts for one in seen) if horizon is None else horizon)])
    rows = made.final()
    assert "late" not in made.counts()
    return rows


def longest_shift(seen: Sequence[Event]) -> int:
    """How far the times of one event's copies lie apart, ms."""
    first: dict[str, int] = {}
    for one in seen:
        first[one.event_id] = min(one.ts, first.get(one.event_id, one.ts))
    return max(one.ts - first[one.event_id] for one in seen)
