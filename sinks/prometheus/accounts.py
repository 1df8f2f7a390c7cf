"""An account: one counter of one funnel by segment, with what was taken back of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from schemas.event import MONEY_SCALE
from schemas.metrics import COUNTER, DIMENSION, RETRACTED, RETRACTED_VALUE, STAGE_DURATION, VALUE, Metric
from sinks.prometheus.collector import FamilyBuilder
from sinks.prometheus.labels import EVERYTHING, Segment
from sinks.prometheus.series import Cells, Distribution

Builders = Mapping[str, FamilyBuilder]


class Account:
    """The sums of `metric` under `labels` (all but the segment's), and their retractions.

    `segments`: those that stand at 0 from the start. `segmented`: False = all traffic only.
    """

    __slots__ = ("_labels", "_metric", "_retractions", "counted", "retracted", "segmented")

    def __init__(
        self, metric: Metric, labels: Mapping[str, str], segments: Iterable[Segment], *, segmented: bool
    ) -> None:
        self._metric, self._labels, self.segmented = metric, labels, segmented
        self._retractions = RETRACTED_VALUE if metric.scale == MONEY_SCALE else RETRACTED
        opened = list(segments)
        self.counted: Cells[Segment] = Cells(opened)
        self.retracted: Cells[Segment] = Cells(opened)

    def open(self, segment: Segment, now: int) -> None:
        """Let a learned segment stand at 0, in the counter and in its retractions."""
        self.counted.open(segment, now)
        self.retracted.open(segment, now)

    def add(self, amounts: Mapping[Segment, int], now: int, *, taken_back: bool) -> None:
        (self.retracted if taken_back else self.counted).add(amounts, now)

    def net(self) -> dict[Segment, int]:
        """Counted minus retracted, by segment; a copy."""
        totals, taken = self.counted.totals(), self.retracted.totals()
        if any(taken.values()):
            for segment, amount in taken.items():
                totals[segment] -= amount
        return totals

    def export(self, builders: Builders, now: int) -> None:
        counted, retracted = builders[self._metric.name], builders[self._retractions.name]
        labels = self._labels
        for (dimension, value), amount in self.counted.scrape(now):
            counted.add({**labels, DIMENSION: dimension, VALUE: value}, amount)
        for (dimension, value), amount in self.retracted.scrape(now):
            retracted.add({**labels, DIMENSION: dimension, VALUE: value, COUNTER: self._metric.name}, amount)


class Durations:
    """The durations of one stage, all traffic. Buckets can't fall, so retractions keep the count and the sum alone."""

    __slots__ = ("_labels", "counted", "retracted")

    def __init__(self, labels: Mapping[str, str]) -> None:
        self._labels = {**labels, DIMENSION: EVERYTHING.dimension, VALUE: EVERYTHING.value}
        self.counted = Distribution(STAGE_DURATION.buckets)
        self.retracted = Distribution(())

    def export(self, builders: Builders) -> None:
        builders[STAGE_DURATION.name].add_distribution(self._labels, self.counted)
        taken = builders[RETRACTED.name]
        name = STAGE_DURATION.name
        taken.add({**self._labels, COUNTER: f"{name}_count"}, sum(self.retracted.counts))
        taken.add({**self._labels, COUNTER: f"{name}_sum"}, self.retracted.total / STAGE_DURATION.scale)
