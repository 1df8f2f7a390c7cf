"""The rule file of one site: which rules stand in which group, in the order in which they read each other."""

from __future__ import annotations

from collections.abc import Sequence

from schemas.expectation.calendar import Calendar
from schemas.funnel import Funnel
from schemas.rules import drop, windows
from schemas.rules.calibration import EVERY, calibration, thresholds, tolerated
from schemas.rules.definition import orders
from schemas.rules.drop_alerts import drops, floor_alerts
from schemas.rules.figures import at_risk, money, ratios
from schemas.rules.model import Alert, Group, Links, Record, RuleFile, Scale
from schemas.rules.pipeline import Pipeline
from schemas.rules.responsible import blame
from schemas.rules.texts import Texts
from schemas.rules.traffic import arrivals, calendar_shares, outage, silence, tracking
from schemas.rules.windows import STEP
from schemas.rules.zone import LAST_YEAR, clocks
from schemas.settings.sections import Site

#: The calendar of who declares none.
_NOTHING_DECLARED = Calendar()


def rule_file(
    funnels: Sequence[Funnel], site: Site, links: Links, scale: Scale, calendar: Calendar = _NOTHING_DECLARED
) -> RuleFile:
    """All rules for `funnels`. `site.name` must be the label `funnel_site` as the worker exports it. Pure.

    All durations are divided by `scale`, and nothing else depends on it.
    """
    texts = Texts(site.timezone, site.currency, links, scale)
    name, often = site.name, scale.duration(STEP)
    valued = [funnel for funnel in funnels if any(stage.value for stage in funnel.stages)]
    paid = bool(valued) and bool(site.currency)
    groups = (
        ("definitions", often, _definitions(funnels, site, scale)),
        ("steps", often, windows.steps(name, scale)),
        ("long windows", scale.duration(windows.SLOW_STEP), _long(site, scale, paid=paid)),
        ("drops", often, _drops(funnels, site, texts, scale, paid=paid)),
        ("calibration", scale.duration(EVERY), calibration(name, scale)),
        ("traffic", often, _traffic(name, texts, scale, calendar_shares(name, funnels, calendar, scale))),
        ("pipeline", often, Pipeline(name, texts, links, scale).alerts(funnels)),
        ("figures", often, ratios(name, scale)),
    )
    heading = (
        f"Rules for the funnels of {_one_line(name)}: made by `funnelwatch rules`, so change the definitions and run it again.",
        f"Clock changes of {site.timezone} are known up to {LAST_YEAR}. What each alert means: docs/alerts.md.",
    )
    return RuleFile(
        heading, tuple(Group(f"{name}: {part}", interval, tuple(rules)) for part, interval, rules in groups)
    )


def _definitions(funnels: Sequence[Funnel], site: Site, scale: Scale) -> list[Record | Alert]:
    return [*windows.lengths(site.name, scale), *thresholds(site.name, funnels, scale), *orders(site.name, funnels)]


def _long(site: Site, scale: Scale, *, paid: bool) -> list[Record | Alert]:
    sums = windows.sums(site.name, scale, slow=True) + windows.crossed_sums(site.name, scale, slow=True)
    return [*sums, *(money(site.name, site.rates, scale) if paid else ())]


def _drops(funnels: Sequence[Funnel], site: Site, texts: Texts, scale: Scale, *, paid: bool) -> list[Record | Alert]:
    """Reads from top to bottom: sums, scores, what has recovered, what stands, since when, who, how much; alerts last."""
    name = site.name
    return [
        *windows.sums(name, scale, slow=False),
        drop.family(name),
        tolerated(name, scale),
        *drop.slopes(name),
        *windows.crossed_sums(name, scale, slow=False),
        *drop.recovery(name),
        *drop.live(name, scale),
        *clocks(name, site.timezone),
        *blame(name),
        *([at_risk(name)] if paid else ()),
        *drops(name, texts, scale),
        *floor_alerts(name, funnels, texts, scale),
    ]


def _traffic(site: str, texts: Texts, scale: Scale, shares: list[Record]) -> list[Record | Alert]:
    return [
        *shares,
        *arrivals(site, scale, declared=bool(shares)),
        *silence(site, scale),
        outage(site, texts, scale),
        tracking(site, texts, scale),
    ]


def _one_line(text: str) -> str:
    return " ".join(text.split())
