"""Recording rules for people: rates, drop-off, what a conversion is worth, and revenue at risk."""

from __future__ import annotations

from itertools import pairwise

from schemas.durations import format_duration
from schemas.metrics import (
    ALL,
    ATTEMPTS_STARTED,
    CONVERSION_VALUE,
    CONVERSIONS,
    DIMENSION,
    FUNNEL,
    SITE,
    STAGE,
    STAGE_DROPPED,
    STAGE_ENTERED,
)
from schemas.rules import names as n
from schemas.rules.model import DAY, HOUR, WEEK, Record, Scale
from schemas.rules.promql import lines, net_increase, select
from schemas.rules.windows import NOT_CROSSED
from schemas.settings.rates import Rate, Rates

SPANS = (HOUR, DAY)
_OF_FUNNEL = f"{SITE}, {FUNNEL}"


def ratios(site: str, scale: Scale) -> list[Record]:
    """Conversions per entry to the next required stage, drop-offs per entry, conversions per attempt: 1h and 1d."""
    records = []
    for span in SPANS:
        window, over = format_duration(span), f"[{scale.duration(span)}]"
        whole = {SITE: site, DIMENSION: ALL}
        records += [
            Record(
                n.CONVERSION_RATIO,
                f"{select(n.OBSERVED, NOT_CROSSED, **{SITE: site, n.WINDOW: window})}\n"
                f"/ ({select(n.ENTERED, NOT_CROSSED, **{SITE: site, n.WINDOW: window})} > 0)",
                {n.WINDOW: window},
            ),
            Record(
                n.DROPOFF_RATIO,
                f"{net_increase(STAGE_DROPPED, n.STAGES, over, **whole)}\n"
                f"/ ({net_increase(STAGE_ENTERED, n.STAGES, over, **whole)} > 0)",
                {n.WINDOW: window},
            ),
            Record(n.OVERALL_RATIO, _overall(over, whole), {n.WINDOW: window}),
        ]
    return records


def money(site: str, rates: Rates, scale: Scale) -> list[Record]:
    """What a conversion of each stage is worth in the reporting currency, by last week's revenue per entry of the next."""
    over, whole = f"[{scale.duration(WEEK)}]", {SITE: site, DIMENSION: ALL}
    revenue = net_increase(CONVERSION_VALUE, f"{_OF_FUNNEL}, currency", over, **whole)
    rate = select(n.CURRENCY_RATE, **{SITE: site})
    next_value = f'label_replace({select(n.ENTRY_VALUE, **{SITE: site})}, "{n.NEXT}", "$1", "{STAGE}", "(.+)")'
    return [
        *currency_rates(site, rates),
        Record(
            n.ENTRY_VALUE,
            lines(
                f"sum by ({_OF_FUNNEL}) (",
                f"{revenue}",
                f"* on ({SITE}, currency) group_left () {rate}",
                ")",
                f"/ on ({_OF_FUNNEL}) group_right ()",
                f"({net_increase(STAGE_ENTERED, n.STAGES, over, **whole)} > 0)",
            ),
        ),
        Record(
            n.STEP_VALUE,
            f"0 * {select(n.THRESHOLD, **{SITE: site})}\n"
            f"+ on ({_OF_FUNNEL}, {n.NEXT}) group_left () sum by ({_OF_FUNNEL}, {n.NEXT}) ({next_value})",
        ),
    ]


def at_risk(site: str) -> Record:
    """Revenue at risk: conversions missing since the fall began, times their worth."""
    worth = f"max by ({n.STAGES}) ({select(n.STEP_VALUE, **{SITE: site})})"
    return Record(n.MISSING_VALUE, f"{select(n.MISSING, **{SITE: site})} * on ({n.STAGES}) group_left () {worth}")


def currency_rates(site: str, rates: Rates) -> list[Record]:
    """The rate in force now of each currency: a step at each date of the settings, none before the first."""
    own = Record(n.CURRENCY_RATE, "vector(1)", {SITE: site, "currency": rates.currency})
    return [
        own,
        *(Record(n.CURRENCY_RATE, _rate(dated), {SITE: site, "currency": name}) for name, dated in rates.by_currency),
    ]


def _rate(dated: tuple[Rate, ...]) -> str:
    first, steps = dated[0], []
    for before, after in pairwise(dated):
        steps.append(f" + ({_number(after)} - {_number(before)}) * (time() >= bool {after.start // 1000})")
    return f"vector({_number(first)}{''.join(steps)}) and on () (vector(time()) >= {first.start // 1000})"


def _number(rate: Rate) -> str:
    return f"{rate.numerator / rate.denominator:.12g}"


def _overall(over: str, whole: dict[str, str]) -> str:
    started = net_increase(ATTEMPTS_STARTED, _OF_FUNNEL, over, **whole)
    return f"{net_increase(CONVERSIONS, _OF_FUNNEL, over, **whole)}\n/ ({started} > 0)"
