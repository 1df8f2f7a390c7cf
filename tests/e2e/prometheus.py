"""The worker's counters against a report and rows: counter minus retracted equals both."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping

from prometheus_client.parser import text_string_to_metric_families

from schemas import metrics as m
from schemas.event import MONEY_SCALE
from schemas.funnel import Funnel
from schemas.metrics import Metric
from schemas.report import Report, previous_required
from schemas.rows import NONE, Direction, End, Kind, Row
from tests.e2e.child import Child

#: (counter, funnel, dimension, value, further labels as sorted pairs) → amount.
Series = tuple[str, str, str, str, tuple[tuple[str, str], ...]]

_COUNTERS = (
    m.ATTEMPTS_STARTED, m.STAGE_ENTERED, m.STAGE_DROPPED, m.CONVERSIONS, m.RECOVERED, m.TRANSITIONS, m.CONVERSION_VALUE,
    m.REFUND_VALUE, m.STAGE_CONVERSIONS,
)  # fmt: skip
EVERYTHING = (m.ALL, m.ALL)
_SHARED = (m.SITE, m.FUNNEL, m.DIMENSION, m.VALUE, m.COUNTER)


def net_counters(worker: Child, dimensions: Iterable[str]) -> dict[Series, int]:
    """Counters minus retractions, but those at 0, of all traffic and of single `dimensions`; money in 1/MONEY_SCALE."""
    status, text = worker.get("/metrics")
    assert status == 200, text
    return {place: amount for place, amount in net_samples(text, dimensions).items() if amount}


def net_samples(text: str, dimensions: Iterable[str]) -> Counter[Series]:
    """The same of a page, with those at 0."""
    wanted, net = {m.ALL, *dimensions}, Counter[Series]()
    names = {metric.name for metric in _COUNTERS}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = sample.labels
            taken_back = sample.name in (m.RETRACTED.name, m.RETRACTED_VALUE.name)
            name = labels[m.COUNTER] if taken_back else sample.name
            if name not in names or labels[m.DIMENSION] not in wanted:
                continue
            scale = MONEY_SCALE if name in (m.CONVERSION_VALUE.name, m.REFUND_VALUE.name) else 1
            more = tuple(sorted((key, text) for key, text in labels.items() if key not in _SHARED and text))
            place = name, labels[m.FUNNEL], labels[m.DIMENSION], labels[m.VALUE], more
            net[place] += round(sample.value * scale) * (-1 if taken_back else 1)
    return net


def event_counters(worker: Child) -> dict[tuple[str, str], int]:
    """(funnel, outcome) → records, but those at 0."""
    found = {}
    for family in text_string_to_metric_families(worker.get("/metrics")[1]):
        for sample in family.samples:
            if sample.name == m.EVENTS.name and sample.value:
                found[sample.labels[m.FUNNEL], sample.labels["outcome"]] = int(sample.value)
    return found


class Wanted:
    """Sums of what the counters must be. Levels come from the reports, edges and money from the rows."""

    def __init__(self, funnels: Iterable[Funnel]) -> None:
        self.funnels = {funnel.name: funnel for funnel in funnels}
        self.sums = Counter[Series]()

    def add(
        self, metric: Metric, funnel: str, amount: int, segment: tuple[str, str] = EVERYTHING, **labels: str
    ) -> None:
        """Adds to one series."""
        self.sums[metric.name, funnel, *segment, tuple(sorted(labels.items()))] += amount

    def report(self, report: Report) -> None:
        """Attempts, stages, drop-offs by reason."""
        name = report.funnel
        self.add(m.CONVERSIONS, name, report.converted)
        self.add(m.RECOVERED, name, report.recovered)
        segments = {EVERYTHING: report.stages}
        for dimension, values in report.by.items():
            segments |= {(dimension, value): stages for value, stages in values.items()}
        for segment, stages in segments.items():
            self.add(m.ATTEMPTS_STARTED, name, stages[0].attempts, segment)
            for figures in stages:
                self.add(m.STAGE_ENTERED, name, figures.attempts, segment, funnel_stage=figures.stage)
                for reason, count in figures.dropped_by.items():
                    self.add(m.STAGE_DROPPED, name, count, segment, funnel_stage=figures.stage, reason=reason)

    def row(self, row: Row) -> None:
        """Edges, money, and of single segments what reports don't have."""
        segments = list(zip(self.funnels[row.funnel].dimensions, row.entry_dims, strict=True))
        if row.kind == Kind.END and row.outcome == End.CONVERTED:
            for segment in segments:
                self.add(m.CONVERSIONS, row.funnel, 1, segment)
        elif row.kind in (Kind.ENTER, Kind.MOVE):
            way = Direction.FORWARD.value if row.kind == Kind.ENTER else row.direction
            before = row.from_stage or NONE
            self.add(m.TRANSITIONS, row.funnel, 1, from_stage=before, to_stage=row.to_stage, direction=way)
        if row.kind == Kind.ENTER:
            self.entered(row, segments)
        if row.value:
            metric = m.CONVERSION_VALUE if row.value > 0 else m.REFUND_VALUE
            for segment in [EVERYTHING, *segments]:
                self.add(metric, row.funnel, abs(row.value), segment, currency=row.currency)

    def entered(self, row: Row, segments: list[tuple[str, str]]) -> None:
        """A stage reached: it converts those before it."""
        if row.stage == 0 and row.recovered:
            for segment in segments:
                self.add(m.RECOVERED, row.funnel, 1, segment)
        for level in converted_from(self.funnels[row.funnel], row):
            for segment in [EVERYTHING, *segments]:
                self.add(m.STAGE_CONVERSIONS, row.funnel, 1, segment, funnel_stage=level)


def counters_of(funnels: Iterable[Funnel], reports: Mapping[str, Report], rows: Iterable[Row]) -> dict[Series, int]:
    """What the counters must be, but those at 0."""
    wanted = Wanted(funnels)
    for report in reports.values():
        wanted.report(report)
    for row in rows:
        wanted.row(row)
    return {place: amount for place, amount in wanted.sums.items() if amount}


def converted_from(funnel: Funnel, row: Row) -> list[str]:
    """The stages that this row of a required stage converts: the required one before it, and reached optional ones between."""
    if row.stage == 0 or funnel.stages[row.stage].optional:
        return []
    before = previous_required(funnel, row.stage)
    between = [level for level in range(before + 1, row.stage) if row.reached >> level & 1]
    return [funnel.levels[level] for level in (before, *between)]


def assert_counters(
    worker: Child, funnels: Iterable[Funnel], reports: Mapping[str, Report], rows: Iterable[Row]
) -> None:
    """Waits until the counters show everything (a new series shows 0 first), and compares every one."""
    funnels = list(funnels)
    wanted = counters_of(funnels, reports, rows)
    dimensions = {dimension for funnel in funnels for dimension in funnel.dimensions}
    deadline = time.monotonic() + 10
    while (found := net_counters(worker, dimensions)) != wanted and time.monotonic() < deadline:
        time.sleep(0.2)
    wrong = {
        place: (found.get(place, 0), wanted.get(place, 0))
        for place in found.keys() | wanted.keys()
        if found.get(place, 0) != wanted.get(place, 0)
    }
    assert not wrong, f"{len(wrong)} of {len(wanted)} counters differ (found, wanted): {dict(list(wrong.items())[:8])}"
