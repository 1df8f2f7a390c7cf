"""The example shop as Prometheus scrapes it: healthy, and with something wrong from some minute on.

Its scrape targets carry labels `stage` and `site` of their own, as many do.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from schemas import metrics as m
from tests.alerts.promtool import Labels, Phase, Series

SITE = "shop.example"
TARGET: Labels = (("job", "funnelwatch"), ("instance", "worker-1:6066"), ("stage", "production"), ("site", "eu"))
OTHER_TARGET: Labels = (("job", "funnelwatch"), ("instance", "worker-2:6066"), ("stage", "production"), ("site", "eu"))
WHOLE = (m.ALL, m.ALL)
FUNNELS = ("purchase", "newsletter", "lead-form")
CHECKOUT = "begin_checkout"
CHECKOUT_DROP: Labels = (
    ("funnel", "purchase"), ("funnel_site", SITE), ("funnel_stage", CHECKOUT), ("next_stage", "purchase"),
    ("severity", "page"), ("team", "shop"),
)  # fmt: skip

Segment = tuple[str, str]


def phases(healthy: int, wrong: int, rate: float, fallen: float, after: int = 0) -> tuple[Phase, ...]:
    """Well for a while, then wrong, then (perhaps) well again."""
    wrong_for = (Phase(healthy, rate), Phase(wrong, fallen))
    return (*wrong_for, Phase(after, rate)) if after else wrong_for


def steady(minutes: int, rate: float) -> tuple[Phase, ...]:
    return (Phase(minutes, rate),)


def series(
    metric: m.Metric | str, phases: Iterable[Phase], *labels: tuple[str, str], target: Labels = TARGET, start: float = 0
) -> Series:
    name = metric if isinstance(metric, str) else metric.name
    return Series(name, (("funnel_site", SITE), *labels, *target), tuple(phases), start)


def background(minutes: int, *, without: frozenset[str] = frozenset()) -> list[Series]:
    """A worker that is well: 30 visits a minute in each funnel, records that come, a sink that writes."""
    every = (
        series(m.BUILD_INFO, steady(minutes, 0), ("version", "1"), ("python", "3.11"), start=1),
        series(m.WATERMARK, steady(minutes, 60), ("log", "clickstream"), ("partition", "0")),
        series(m.CONSUMER_LAG, steady(minutes, 0), ("topic", "clickstream"), ("partition", "0")),
        series(f"{m.CHUNK_RECORDS.name}_count", steady(minutes, 12)),
        series(m.SINK_ROWS, steady(minutes, 100), ("table", "transitions")),
        series(m.SINK_ERRORS, steady(minutes, 0), ("table", "transitions")),
        series(m.SINK_QUEUE_AGE, steady(minutes, 0), start=1),
        series(m.DEAD_LETTERS, steady(minutes, 0.2), ("source", "clickstream"), ("reason", "not_json")),
        *(
            one
            for funnel in FUNNELS
            for one in (
                started(funnel, steady(minutes, 30)),
                series(m.EVENTS, steady(minutes, 200), ("funnel", funnel), ("outcome", "matched")),
                learning(funnel, minutes, until=1_000_000_000),
            )
        ),
    )
    return [one for one in every if one.metric not in without]


def learning(funnel: str, minutes: int, until: int) -> Series:
    """When the funnel has enough history (s)."""
    return series(m.EXPECTATION_READY, steady(minutes, 0), ("funnel", funnel), ("funnel_stage", "first"), start=until)


def started(funnel: str, phases: Iterable[Phase]) -> Series:
    return series(m.ATTEMPTS_STARTED, phases, ("funnel", funnel), ("dimension", m.ALL), ("value", m.ALL))


def checkout(
    observed: Mapping[Segment, tuple[Phase, ...]],
    expected: Mapping[Segment, tuple[Phase, ...]],
    *,
    stage: str = CHECKOUT,
    target: Labels = TARGET,
    counted: Mapping[Segment, tuple[Phase, ...]] | None = None,
) -> list[Series]:
    """Entries (twice the expected conversions), conversions and expected conversions of one stage, by segment. `counted`: what is
    expected where more stay at risk than in health."""
    result = []
    for segment, phases in expected.items():
        labels = (("funnel", "purchase"), ("funnel_stage", stage), ("dimension", segment[0]), ("value", segment[1]))
        entries = tuple(Phase(one.steps, 2 * one.rate, one.absent, one.reset) for one in phases)
        result += [
            series(m.STAGE_ENTERED, entries, *labels, target=target),
            series(m.STAGE_CONVERSIONS, observed[segment], *labels, target=target),
            series(m.STAGE_EXPECTED_CONVERSIONS, (counted or expected)[segment], *labels, target=target),
            series(m.RETRACTED, steady(sum(one.steps for one in phases), 0), *labels,
                   ("counter", m.STAGE_CONVERSIONS.name), target=target),
        ]  # fmt: skip
    return result


def at_risk(usual: float, observed: float) -> float:
    """Conversions a minute that are expected where `observed` are left of the `usual` ones, of twice as many entries: those who don't
    convert stay at risk."""
    entered = 2 * usual
    return observed * math.log(1 - usual / entered) / math.log(1 - observed / entered)


def alert(name: str, *labels: tuple[str, str]) -> Labels:
    return (("alertname", name), *labels)
