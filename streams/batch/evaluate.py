"""One unit after the other: repeats taken out, in order, walked, counted."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter

from schemas.reasons import Outcome
from schemas.report import Report
from streams.batch.counting import Counting
from streams.batch.grouped import UnitEvents
from streams.batch.intake import Intake, Lane
from streams.engine.batch import walk_hits
from streams.engine.match import CompiledFunnel
from streams.engine.state import Hit

_time = attrgetter("ts")
_event_id = attrgetter("event_id")


class Evaluation:
    """How far it is, over all funnels: `done` of their events. For whoever watches."""

    __slots__ = ("done",)

    def __init__(self) -> None:
        self.done = 0


def evaluate(lane: Lane, intake: Intake, by: Sequence[str], evaluation: Evaluation) -> Report:
    """The report of one lane, whose events are used up. Raises ConfigError for an unknown dimension."""
    matched = ignored = bots = total = 0
    funnel, horizon = lane.funnel, intake.horizon or 0
    counting = Counting(funnel, by, intake.horizon)
    for key, events in lane.events.groups():
        number = events.count()
        total += number
        evaluation.done += number
        hits = unique(events.hits)
        looked_at = fitting(funnel, key, hits)
        others, robots = left_over(hits, events)
        matched += looked_at
        ignored += len(hits) - looked_at + others
        bots += robots
        if hits:
            counting.unit(walk_hits(funnel, key, in_order(hits), horizon))
    outcomes = {
        Outcome.MATCHED: matched,
        Outcome.IGNORED: ignored,
        Outcome.BOT: bots,
        Outcome.DUPLICATE: total - matched - ignored - bots,
        Outcome.INVALID: intake.refused.total(),
    }
    return counting.report({"read": intake.read} | {outcome.value: count for outcome, count in outcomes.items()})


def unique(hits: list[Hit]) -> list[Hit]:
    """One hit for each event id: the one that counts (`Hit.before`)."""
    if len(hits) < 2 or len(set(map(_event_id, hits))) == len(hits):
        return hits
    kept: dict[str, Hit] = {}
    for hit in hits:
        known = kept.get(hit.event_id)
        if known is None or hit.before(known):
            kept[hit.event_id] = hit
    return list(kept.values())


def in_order(hits: list[Hit]) -> list[Hit]:
    """`hits`, sorted in place by `Hit.order`; where no two share an instant, by time alone, which is quicker."""
    if len(hits) > 1:
        hits.sort(key=_time if len(set(map(_time, hits))) == len(hits) else Hit.order)
    return hits


def fitting(funnel: CompiledFunnel, key: str, hits: Sequence[Hit]) -> int:
    """How many of `hits` fit something of the funnel; the others only break or extend an attempt, by being there."""
    if not funnel.strict and key[0] != "~":
        return len(hits)
    return sum(1 for hit in hits if hit.mask or hit.exclude or hit.refund)


def left_over(hits: Sequence[Hit], events: UnitEvents) -> tuple[int, int]:
    """Distinct ignored events, and distinct events of bots. One with the id of a hit, or a bot's with the id of another, is
    its repeat."""
    if not events.ignored and not events.bots:
        return 0, 0
    ids = set(map(_event_id, hits))
    alone = len(ids)
    ids.update(events.ignored)
    ignored = len(ids) - alone
    ids.update(events.bots)
    return ignored, len(ids) - alone - ignored
