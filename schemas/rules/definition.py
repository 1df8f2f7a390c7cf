"""What the definitions say to the rules: which stages are watched, who is told, in which order the stages stand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from schemas.funnel import Funnel, Mode, Stage
from schemas.metrics import FUNNEL, SITE, STAGE
from schemas.report import following_required, previous_required
from schemas.rules import names as n
from schemas.rules.model import Record

REQUIRED, OPTIONAL = "required", "optional"


class Step(msgspec.Struct, frozen=True):
    """The way from one level to the next required one, under the name of the stage that is to be reached.

    `floor`, `minimum`: below this share of the entries of `level` somebody is paged, from so many entries on.
    """

    funnel: Funnel
    level: str
    following: str
    team: str
    owner: str
    floor: float | None = None
    minimum: int = 0

    def labels(self, site: str) -> dict[str, str]:
        """Labels of what is recorded about the step; empty ones are absent to Prometheus anyhow."""
        named = {n.NEXT: self.following, n.TEAM: self.team, n.OWNER: self.owner}
        given = {label: value for label, value in named.items() if value}
        return {SITE: site, FUNNEL: self.funnel.name, STAGE: self.level, **given}


def watched(funnel: Funnel) -> Iterator[Step]:
    """The steps between required levels whose rate alerts. A stage speaks for the step that leads to it."""
    levels = funnel.levels
    for level in range(len(levels) - 1):
        following = following_required(funnel, level)
        if _required(funnel, level) and _alerting(funnel, following):
            yield Step(funnel, levels[level], levels[following], *_told(funnel, following))


def floors(funnel: Funnel) -> Iterator[Step]:
    """The steps to stages that have a floor. In unordered mode levels are no stages, and none has one."""
    for position, stage in enumerate(funnel.stages):
        if stage.floor is not None and stage.alert and funnel.mode is not Mode.UNORDERED:
            before = funnel.levels[previous_required(funnel, position)]
            told = _told(funnel, position)
            yield Step(funnel, before, stage.name, *told, floor=stage.floor, minimum=stage.floor_minimum)


def orders(site: str, funnels: Sequence[Funnel]) -> list[Record]:
    """The number of each stage of funnels that have an order."""
    return [
        Record(n.ORDER, f"vector({position})", _order_labels(site, funnel, position, stage))
        for funnel in funnels
        if funnel.mode is not Mode.UNORDERED and len(funnel.stages) > 1
        for position, stage in enumerate(funnel.stages)
    ]


def _order_labels(site: str, funnel: Funnel, position: int, stage: Stage) -> dict[str, str]:
    team, owner = _told(funnel, position)
    told = {label: value for label, value in ((n.TEAM, team), (n.OWNER, owner)) if value}
    return {
        SITE: site,
        FUNNEL: funnel.name,
        STAGE: stage.name,
        n.NEED: OPTIONAL if stage.optional else REQUIRED,
        **told,
    }


def _required(funnel: Funnel, level: int) -> bool:
    return funnel.mode is Mode.UNORDERED or not funnel.stages[level].optional


def _alerting(funnel: Funnel, level: int) -> bool:
    """In unordered mode a level is no single stage: it alerts unless all of them are told not to."""
    return any(stage.alert for stage in funnel.stages) if funnel.mode is Mode.UNORDERED else funnel.stages[level].alert


def _told(funnel: Funnel, level: int) -> tuple[str, str]:
    """Team and owner: the stage's own, else the funnel's."""
    if funnel.mode is Mode.UNORDERED:
        return funnel.team, funnel.owner
    stage = funnel.stages[level]
    return stage.team or funnel.team, stage.owner or funnel.owner
