"""Scenarios side by side in one run of promtool, each in a funnel of its own: a rule is evaluated once for all of them.

Rules of drops and of traffic tell funnels apart by their labels, so that a scenario says the same there as on its own.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.funnel import Funnel
from tests.alerts.promtool import Labels, Moment, Scenario, Series

#: The funnel that scenarios are written for.
OWN = "purchase"


def together(name: str, scenarios: Sequence[Scenario]) -> Scenario:
    """All of them at once. Other funnels, and what has none (the worker, the site), they share: the longest series is taken, and one
    scenario at most may expect an alert of these."""
    series: dict[tuple[str, Labels], Series] = {}
    moments: list[Moment] = []
    for scenario in scenarios:
        for one in scenario.series:
            labels = _moved(one.labels, scenario.name)
            known = series.get((one.metric, labels))
            if known is None or _steps(known) < _steps(one):
                series[one.metric, labels] = msgspec.structs.replace(one, labels=labels)
        for moment in scenario.moments:
            mine = tuple(_moved(labels, scenario.name) for labels in moment.firing if _own(labels))
            moments.append(Moment(moment.minute, mine, f'funnel="{scenario.name}"'))
    moments += _of_the_site(scenarios)
    first = scenarios[0]
    assert {(one.interval, one.groups, one.without) for one in scenarios} == {
        (first.interval, first.groups, first.without)
    }
    return msgspec.structs.replace(first, name=name, series=tuple(series.values()), moments=tuple(moments))


def named(funnels: Sequence[Funnel], scenarios: Sequence[Scenario]) -> list[Funnel]:
    """The definitions with a copy of the funnel for each scenario, in its place."""
    (own,) = (funnel for funnel in funnels if funnel.name == OWN)
    copies = [msgspec.structs.replace(own, name=scenario.name) for scenario in scenarios]
    return [*(funnel for funnel in funnels if funnel.name != OWN), *copies]


def _of_the_site(scenarios: Sequence[Scenario]) -> list[Moment]:
    """Nothing of the site fires, unless one of them says so: then it is the one that is asked."""
    speaking = [one for one in scenarios if any(not _own(labels) for each in one.moments for labels in each.firing)]
    assert len(speaking) <= 1, "each needs a site of its own"
    others = f'funnel!~"{"|".join(scenario.name for scenario in scenarios)}"'
    found: dict[int, Moment] = {}
    for scenario in speaking or scenarios:
        for moment in scenario.moments:
            firing = tuple(labels for labels in moment.firing if not _own(labels))
            found[moment.minute] = Moment(moment.minute, firing, others)
    return list(found.values())


def _own(labels: Labels) -> bool:
    return ("funnel", OWN) in labels


def _moved(labels: Labels, funnel: str) -> Labels:
    return tuple(("funnel", funnel) if pair == ("funnel", OWN) else pair for pair in labels)


def _steps(one: Series) -> int:
    return sum(phase.steps for phase in one.phases)
