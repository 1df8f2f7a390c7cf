"""PromQL of the panels, built from the metrics' own names and labels. Nothing here reads a series per session."""

from __future__ import annotations

from schemas.event import MONEY_SCALE
from schemas.metrics import (
    ALL,
    ATTEMPTS_STARTED,
    CONVERSION_VALUE,
    CONVERSIONS,
    COUNTER,
    DIMENSION,
    FUNNEL,
    RETRACTED,
    RETRACTED_VALUE,
    SITE,
    STAGE,
    STAGE_CONVERSIONS,
    STAGE_ENTERED,
    STAGE_EXPECTED_CONVERSIONS,
    VALUE,
    Metric,
)

RANGE = "$__range"  # the dashboard's whole range
SMOOTH = "$smooth"  # the variable "Smoothed over"
DAY = "1d"  # long enough for steady shares; a week at a scrape each 15 s would be 40,000 samples a series

THIS_SITE = f'{SITE}=~"$site"'
#: All traffic of the funnels chosen on the overview.
FUNNELS = (THIS_SITE, f'{FUNNEL}=~"$funnels"', f'{DIMENSION}="{ALL}"')
#: One segment of one funnel.
SEGMENT = (THIS_SITE, f'{FUNNEL}="$funnel"', f'{DIMENSION}="$dimension"', f'{VALUE}="$value"')
#: All traffic of one funnel.
WHOLE = (THIS_SITE, f'{FUNNEL}="$funnel"', f'{DIMENSION}="{ALL}"')
#: Every value of one dimension of one funnel.
VALUES = (THIS_SITE, f'{FUNNEL}="$funnel"', f'{DIMENSION}="$dimension"')
THESE_STAGES = f'{STAGE}=~"$stage"'

ALERTS_OF_FUNNEL = (f'{SITE}=~"$site|"', WHOLE[1])  # a rule may leave the site out
OF_AN_ALERT = ("alertname", "severity", FUNNEL, STAGE, DIMENSION, VALUE)
FIRING = 'alertstate="firing"'

Matchers = tuple[str, ...]


def select(name: str, matchers: Matchers) -> str:
    """The selector of a metric's series."""
    return f"{name}{{{', '.join(matchers)}}}"


def rise(metric: Metric, by: tuple[str, ...], window: str, matchers: Matchers) -> str:
    """By how much a counter rose, retractions not looked at."""
    return f"sum by ({', '.join(by)}) (increase({select(metric.name, matchers)}[{window}]))"


def net(metric: Metric, by: tuple[str, ...], window: str, matchers: Matchers) -> str:
    """By how much a counter rose, less what was taken back of it meanwhile."""
    back = RETRACTED_VALUE if metric.scale == MONEY_SCALE else RETRACTED
    taken = rise(back, by, window, (*matchers, f'{COUNTER}="{metric.name}"'))
    return f"({rise(metric, by, window, matchers)} - {taken})"


def ratio(part: str, whole: str, match: str = "") -> str:
    """A share, without a result where the whole is 0."""
    return f"{part} / {match} ({whole} > 0)" if match else f"{part} / ({whole} > 0)"


def onward(by: tuple[str, ...], window: str, matchers: Matchers) -> str:
    """The share of a stage's attempts that went on to the next required stage."""
    return ratio(net(STAGE_CONVERSIONS, by, window, matchers), net(STAGE_ENTERED, by, window, matchers))


def expected(by: tuple[str, ...], window: str, matchers: Matchers, whole: Matchers = ()) -> str:
    """Conversions that the baseline leads one to expect; no series while it learns.

    `by` has funnel and stage. Nor of a stage that was still learned in part of the window: an hour's expectation beside a day's conversions would
    be no figure at all. `whole`: series that tell how long, `matchers` themselves if none are given.
    """
    stages, long = f"{FUNNEL}, {STAGE}", whole or matchers
    counted, known = (
        f"sum by ({stages}) (count_over_time({select(metric.name, long)}[{window}]))"
        for metric in (STAGE_CONVERSIONS, STAGE_EXPECTED_CONVERSIONS)
    )
    return f"({rise(STAGE_EXPECTED_CONVERSIONS, by, window, matchers)} and on ({stages}) {known} > 0.95 * {counted})"


def missing(by: tuple[str, ...], window: str, matchers: Matchers, whole: Matchers) -> str:
    """Expected conversions of a stage that did not come; below 0 where more came.

    Retractions, few as they are, are left out: over all segments of a day they would be a third of the samples read.
    """
    return f"({expected(by, window, matchers, whole)} - {rise(STAGE_CONVERSIONS, by, window, matchers)})"


def lost_conversions(by: tuple[str, ...], window: str, matchers: Matchers, whole: Matchers) -> str:
    """What each stage's missing conversions are in conversions of the whole funnel, at the last day's further rates.

    `by`: the labels that name the funnel or segment, without the stage; the result has the stage as well. The further
    rates are those of all traffic (`whole`): a segment's own would be few attempts' chance.
    """
    reached = f"({net(STAGE_CONVERSIONS, (FUNNEL, STAGE), DAY, whole)} > 0)"
    further = f"((1 / {reached}) * on ({FUNNEL}) group_left () {net(CONVERSIONS, (FUNNEL,), DAY, whole)})"
    return f"({missing((*by, STAGE), window, matchers, whole)} * on ({FUNNEL}, {STAGE}) group_left () {further})"


def worst_loss(by: tuple[str, ...], window: str, matchers: Matchers, whole: Matchers) -> str:
    """The lost conversions of the stage that loses most (stages overlap: a sum would count a loss twice)."""
    return f"max by ({', '.join(by)}) {lost_conversions(by, window, matchers, whole)}"


def basket(by: tuple[str, ...], window: str, matchers: Matchers) -> str:
    """Revenue for each conversion, by currency as well."""
    earned = net(CONVERSION_VALUE, (*by, "currency"), window, matchers)
    return ratio(earned, net(CONVERSIONS, by, window, matchers), f"on ({', '.join(by)}) group_left ()")


def at_risk(by: tuple[str, ...], window: str, matchers: Matchers) -> str:
    """Money of the lost conversions of all traffic, at the last day's average basket, by currency."""
    loss = f"clamp_min({worst_loss(by, window, matchers, matchers)}, 0)"
    return f"({basket(by, DAY, matchers)}) * on ({', '.join(by)}) group_left () {loss}"


def conversion(by: tuple[str, ...], window: str, matchers: Matchers) -> str:
    """Conversions for each attempt started."""
    return ratio(net(CONVERSIONS, by, window, matchers), net(ATTEMPTS_STARTED, by, window, matchers))


def expected_conversion(by: tuple[str, ...], window: str, matchers: Matchers, whole: Matchers) -> str:
    """What the conversion would be, had the stage that loses most kept its expectation."""
    reached = f"({net(CONVERSIONS, by, window, matchers)} + {worst_loss(by, window, matchers, whole)})"
    return ratio(reached, net(ATTEMPTS_STARTED, by, window, matchers))


def quantile(share: float, metric: Metric, by: tuple[str, ...], window: str, matchers: Matchers) -> str:
    """A quantile of a histogram, in its unit."""
    inner = f"sum by ({', '.join((*by, 'le'))}) (rate({select(metric.name + '_bucket', matchers)}[{window}]))"
    return f"histogram_quantile({share}, {inner})"


def firing(matchers: Matchers, by: tuple[str, ...]) -> str:
    """When the firing alerts began, in ms since 1970."""
    firing_now = select("ALERTS", (FIRING, *matchers))
    labels = ", ".join(by)
    return f"max by ({labels}) ({select('ALERTS_FOR_STATE', matchers)}) * 1000 and on ({labels}) {firing_now}"
