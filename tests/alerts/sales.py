"""Declared sales: neither the sale nor the week after it pages, and a real outage inside one does."""

from __future__ import annotations

from schemas import metrics as m
from schemas.expectation.calendar import Calendar, Occasion
from schemas.rules import names as n
from tests.alerts.falls import FALLS
from tests.alerts.others import THRESHOLDS, WEEKS
from tests.alerts.promtool import Moment, Phase, Scenario, Series
from tests.alerts.shop import (
    CHECKOUT,
    CHECKOUT_DROP,
    FUNNELS,
    SITE,
    WHOLE,
    alert,
    background,
    checkout,
    series,
    started,
    steady,
)

_MINUTE = 60_000
_STEP = 10 * _MINUTE
_WEEK = 1008  # steps
#: Steps of ten minutes: a week's sale, six hours as usual, and a sale of six hours.
_USUAL, _SECOND, _END = _WEEK, _WEEK + 36, _WEEK + 72

#: Eight times the traffic and 20 % less of it converts; the first in the funnel of the scenario `sales`, the second, a short one, in all.
SALES = Calendar(
    (
        Occasion("Summer sale", 0, _USUAL * _STEP, "sales", traffic=8, rate=0.8),
        Occasion("Flash sale", _SECOND * _STEP, _END * _STEP, traffic=8, rate=0.8),
    )
)
_OUTAGE = alert(n.TRAFFIC_OUTAGE, ("severity", "page"), ("funnel_site", SITE), ("funnel", "purchase"))


def _well(steps: int) -> list[Series]:
    """A worker that is well, in steps of ten minutes; entries into the funnel of purchases are the scenario's own."""
    kept = [one for one in background(steps) if one.metric not in (m.ATTEMPTS_STARTED.name, m.WATERMARK.name)]
    kept.append(series(m.WATERMARK, steady(steps, 600), ("log", "clickstream"), ("partition", "0")))
    return [*kept, *(started(one, steady(steps, 300)) for one in FUNNELS if one != "purchase")]


def _after_a_sale() -> Scenario:
    """A sale of a week, then days as usual, then another sale; in the middle of that one nobody comes any more."""
    entries = (Phase(_USUAL, 2400), Phase(36, 300), Phase(18, 2400), Phase(18, 0))
    quiet = (_USUAL - 1, _USUAL + 2, _USUAL + 18, _SECOND - 1, _SECOND + 2, _SECOND + 17)
    moments = (*(Moment(10 * step, ()) for step in quiet), Moment(10 * (_SECOND + 22), (_OUTAGE,)))
    scraped = (*_well(_END), started("purchase", entries))
    return Scenario("sales", scraped, moments, interval=10, groups=("definitions", "traffic"), without=THRESHOLDS)


def _sale_of_rates() -> Scenario:
    """Eight times the traffic, of which 20 % less converts, as declared; in the middle of it nothing converts any more."""
    usual, entries = 0.5, (Phase(60, 10), Phase(120, 80), Phase(60, 80))
    factor = SALES.factor("sales", CHECKOUT, WHOLE, 30 * _MINUTE)
    expected = {WHOLE: tuple(Phase(one.steps, usual * factor * one.rate) for one in entries)}
    observed = {WHOLE: (*(Phase(one.steps, 0.4 * one.rate) for one in entries[:2]), Phase(60, 0))}
    moments = (Moment(61, ()), Moment(80, ()), Moment(179, ()), Moment(195, (alert(n.DROP, *CHECKOUT_DROP),)))
    return Scenario("sale-of-rates", (*background(240), *checkout(observed, expected)), moments, groups=FALLS)


def _clock_change() -> Scenario:
    """The clocks went forward: a day seven times as busy as the night begins an hour early, by the clock of a week ago."""
    day = (Phase(42, 42), Phase(6, 120), Phase(90, 300), Phase(6, 42))
    changed = (Phase(36, 42), Phase(6, 120), Phase(90, 300), Phase(12, 42))
    entries = (*day * 7, *changed)
    moments = tuple(Moment(10 * (_WEEK + step), ()) for step in (20, 38, 45, 100, 133, 136, 143))
    scraped = (*_well(_WEEK + 144), started("purchase", entries))
    return Scenario("clock-change", scraped, moments, interval=10, groups=WEEKS, without=THRESHOLDS)


AFTER_A_SALE, SALE_OF_RATES, CLOCK_CHANGE = _after_a_sale(), _sale_of_rates(), _clock_change()
