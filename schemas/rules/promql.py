"""Pieces of PromQL that several rules share. Label values are quoted here and nowhere else."""

from __future__ import annotations

import json

from schemas.event import MONEY_SCALE
from schemas.metrics import COUNTER, RETRACTED, RETRACTED_VALUE, Metric


def quote(text: str) -> str:
    """`text` as a PromQL string: JSON's escapes are a subset of its own (with characters above U+FFFF left alone)."""
    return json.dumps(text, ensure_ascii=False)


def select(name: str | Metric, *matchers: str, **equal: str) -> str:
    """A selector of equal labels, with further matchers (`dimension!="all"`) as they are."""
    metric = name.name if isinstance(name, Metric) else name
    parts = [f"{label}={quote(value)}" for label, value in equal.items()]
    return metric + "{" + ",".join([*parts, *matchers]) + "}"


def net_increase(metric: Metric, labels: str, over: str, **equal: str) -> str:
    """What `metric` counted, minus what was taken back, over the range `over` ("[1h]", "[1h] offset 1w"), by `labels`.

    `or` keeps both: the retractions' series carry one label more.
    """
    taken = RETRACTED_VALUE if metric.scale == MONEY_SCALE else RETRACTED
    counted = f"increase({select(metric, **equal)}{over})"
    back = f"increase({select(taken, **equal, **{COUNTER: metric.name})}{over})"
    return f"sum by ({labels}) (\n  {counted}\n  or -{back}\n)"


def net_step(metric: Metric, labels: str, since: str, until: str, site: dict[str, str]) -> str:
    """What `metric` counted, minus what was taken back, from `since` to `until` ago, by `labels`, summed over workers.

    Differences of one moment to the next telescope: no count falls between two evaluations, as it would with
    `increase()` of a range that holds few scrapes. `>= 0` leaves out a counter that began anew; a series seen for the
    first time has no difference yet and stands at 0 then. Both are lost for observed and expected alike.
    """
    counted, back = select(metric, **site), select(RETRACTED, **site, **{COUNTER: metric.name})
    return (
        f"sum by ({labels}) (\n  ({counted} offset {until} - {counted} offset {since}) >= 0\n"
        f"  or -(({back} offset {until} - {back} offset {since}) >= 0)\n)"
    )


def lines(*parts: str) -> str:
    """An expression of several lines."""
    return "\n".join(parts)
