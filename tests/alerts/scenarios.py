"""What each rule must do: fire, keep silent, resolve. One list, for the shipped rules and for their mutants."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from schemas.funnel import Funnel
from schemas.rules import Links, Scale, render, rule_file
from tests.alerts.falls import FALLS, OF_DAYS, OF_FALLS, TOTAL_FALL, WITH_FLOOR
from tests.alerts.others import OF_PIPELINES, OF_WEEKS, STALL
from tests.alerts.promtool import Scenario
from tests.alerts.sales import AFTER_A_SALE, CLOCK_CHANGE, SALE_OF_RATES, SALES
from tests.alerts.shipped import FUNNELS, SETTINGS, with_floor
from tests.alerts.shop import CHECKOUT
from tests.alerts.together import named

#: What runs side by side. The pipeline is the site's, and a site has one.
RUNS: dict[str, tuple[Scenario, ...]] = {
    "falls": (*OF_FALLS, SALE_OF_RATES),
    "floors": WITH_FLOOR,
    "days": OF_DAYS,
    "weeks": (*OF_WEEKS, CLOCK_CHANGE),
    "sales": (AFTER_A_SALE,),
    **{one.name: (one,) for one in (TOTAL_FALL, STALL, *OF_PIPELINES)},
}
BY_NAME = {one.name: one for scenarios in RUNS.values() for one in scenarios}
#: The one run that evaluates every rule of the file, read by an alert or not.
EVERYTHING = TOTAL_FALL.name


def rules_for(scenarios: Sequence[Scenario]) -> str:
    """The rules for the definitions with a funnel for each scenario: a floor in those of floors, a calendar for those of sales."""
    funnels = named(FUNNELS, scenarios)
    if (
        scenarios[0].groups == FALLS or AFTER_A_SALE in scenarios
    ):  # nothing there looks at other funnels, or at other steps
        funnels = [_from(CHECKOUT, one) for one in funnels if one.name in BY_NAME]
    if scenarios[0] in WITH_FLOOR:
        funnels = [with_floor(one) for one in funnels]
    calendar = (SALES,) if AFTER_A_SALE in scenarios else ()
    return render(rule_file(funnels, SETTINGS.site, Links(), Scale(), *calendar))


def _from(stage: str, funnel: Funnel) -> Funnel:
    first = [one.name for one in funnel.stages].index(stage)
    return msgspec.structs.replace(funnel, stages=funnel.stages[first:])
