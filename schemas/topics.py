"""Names of the topics that funnelwatch makes, and which log feeds each kind of unit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from schemas.funnel import Funnel, Unit
from schemas.settings.sections import Source


class Feed(msgspec.Struct, frozen=True):
    """The one log that feeds all units of a kind. `direct`: it is the source topic itself, keyed by that unit."""

    unit: Unit
    topic: str
    direct: bool


def unit_log(prefix: str, unit: Unit) -> str:
    """The internal topic whose records are keyed by that unit."""
    return f"{prefix}log.{unit.value}"


def state_log(prefix: str, unit: Unit) -> str:
    """The compacted topic with the units' state."""
    return f"{prefix}state.{unit.value}"


def transitions(prefix: str) -> str:
    return f"{prefix}transitions"


def drop_offs(prefix: str) -> str:
    return f"{prefix}drop-offs"


def dead_letters(prefix: str) -> str:
    return f"{prefix}dead-letters"


def annotation_log(prefix: str) -> str:
    """The compacted topic of what people did: one partition, which every worker reads."""
    return f"{prefix}annotations"


def live(prefix: str) -> str:
    """The compacted topic by which every worker knows what all have counted, for the live page."""
    return f"{prefix}live"


def baselines(prefix: str) -> str:
    """The compacted topic with what is to be expected of each step: one partition, which every worker reads."""
    return f"{prefix}baselines"


def feeds(sources: Sequence[Source], funnels: Iterable[Funnel], prefix: str) -> tuple[Feed, ...]:
    """One feed for each kind of unit that the funnels follow.

    A source is used directly only if it is the only one and declared `keyed_by` that unit: then each unit has one
    partition already. All else passes an internal topic.
    """
    wanted = {funnel.unit for funnel in funnels}
    found = []
    for unit in (unit for unit in Unit if unit in wanted):
        direct = len(sources) == 1 and sources[0].keyed_by is unit
        found.append(Feed(unit, sources[0].topic if direct else unit_log(prefix, unit), direct))
    return tuple(found)


def created_topics(feeds: Iterable[Feed], prefix: str) -> tuple[str, ...]:
    """All topics that funnelwatch makes for these feeds."""
    logs = [name for feed in feeds for name in ([] if feed.direct else [feed.topic]) + [state_log(prefix, feed.unit)]]
    outputs = (
        transitions(prefix),
        drop_offs(prefix),
        dead_letters(prefix),
        annotation_log(prefix),
        live(prefix),
        baselines(prefix),
    )
    return (*logs, *outputs)
