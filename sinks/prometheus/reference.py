"""docs/metrics.md, from schemas/metrics.py: `python -m sinks.prometheus.reference > docs/metrics.md`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from schemas import metrics
from schemas.metrics import Metric, Type

_INTRODUCTION = """\
# Metrics

Generated from `schemas/metrics.py` by `python -m sinks.prometheus.reference`; a test keeps the two alike.

## How to read them

- **Segments.** `dimension` and `value` name one: `all`/`all`, `channel`/`paid`, or a listed cross such as
  `channel{X}device`/`paid{X}mobile`. Segments overlap, so select one `dimension` before a sum. A dimension's values are
  an allow-list (or the first few that come, each worker its own); the rest is `other`, missing ones are `(none)`. Ids
  of persons, sessions and orders are never labels.
- **Zero first.** All series of known stages, reasons and listed values stand at 0 from the start. What a counter counts
  before its first scrape (a worker that comes into a backlog, a value that is learned later) is held back: it shows 0 for
  one scrape (or after 60 s is let go), then what it has counted meanwhile, so that `increase()` misses nothing. One scrape
  is one GET of `/metrics`, whoever sends it: of two Prometheus servers, the later one may find a series already risen.
- **Corrections.** Counters never fall. What a late event takes back adds to `funnel_retracted_total` (money:
  `funnel_retracted_value_total`) under the labels of the counter that had counted it, and its name in `counter`:

      funnel_stage_entered_total
        - ignoring(counter) funnel_retracted_total{counter="funnel_stage_entered_total"}

  equals the rows. For learned values this holds within one life of a worker; listed values keep it over restarts.
  Of `funnel_stage_duration_seconds`, the `_count` and the `_sum` are corrected so, the buckets are not.
- **A conversion of a stage** is counted when the next required stage is reached by an attempt that had reached this
  one. An optional stage that is reached only after the next required one has no conversion.
- **Labels that don't apply** to a counter are absent from its retractions.
"""


def markdown() -> str:
    """The whole page."""
    return "\n".join((
        _INTRODUCTION.replace("{X}", metrics.CROSS),
        *_section("Funnels", metrics.OF_FUNNELS),
        *_section("Events", metrics.OF_EVENTS),
        *_section("Worker", metrics.OF_WORKERS),
    ))  # fmt: skip


def _section(title: str, family: Sequence[Metric]) -> Iterator[str]:
    yield f"## {title}\n"
    yield "| metric | type | labels | what |\n|---|---|---|---|"
    for metric in family:
        labels = ", ".join(f"`{label}`" for label in metric.labels)
        text = metric.help if metric.exported else f"{metric.help} **Not exported yet.**"
        yield f"| `{metric.name}` | {metric.type.value} | {labels} | {text}{_buckets(metric)} |"
    yield ""


def _buckets(metric: Metric) -> str:
    if metric.type is not Type.HISTOGRAM:
        return ""
    return " Buckets: " + ", ".join(f"{bound / metric.scale:g}" for bound in metric.buckets) + "."


if __name__ == "__main__":
    sys.stdout.write(markdown())
