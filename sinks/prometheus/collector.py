"""From plain sums to prometheus-client's families: the only module that knows its types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric as Family
from prometheus_client.core import Sample
from prometheus_client.registry import Collector

from schemas.metrics import Metric, Type
from sinks.prometheus.series import Distribution


class Source(Protocol):
    """What has series to show: FunnelCounters, WorkerHealth."""

    def families(self) -> Iterable[Family]:
        """Every family of this source, each once. Counts as one scrape."""


class Exposition(Collector):
    """The custom collector: all families of the sources, anew for each scrape, without locks or per-child objects."""

    def __init__(self, *sources: Source) -> None:
        self._sources = sources

    def collect(self) -> Iterable[Family]:
        for source in self._sources:
            yield from source.families()


class Snapshot(Collector):
    """Families as one scrape found them: may be rendered on another thread while the sums go on."""

    def __init__(self, families: Iterable[Family]) -> None:
        self._families = list(families)

    def collect(self) -> Iterable[Family]:
        return self._families


def registry(*sources: Source) -> CollectorRegistry:
    """A registry of these sources alone (not the global one, which other libraries write into)."""
    own = CollectorRegistry(auto_describe=False)
    own.register(Exposition(*sources))
    return own


class FamilyBuilder:
    """One family under construction; amounts are in the metric's integer units."""

    __slots__ = ("_name", "_scale", "family")

    def __init__(self, metric: Metric) -> None:
        # The client's families carry no `_total`; its encoders put it back where each format wants it.
        bare = metric.name.removesuffix("_total") if metric.type is Type.COUNTER else metric.name
        self.family = Family(bare, metric.help, metric.type.value)
        self._name, self._scale = metric.name, metric.scale

    def add(self, labels: dict[str, str], amount: float) -> None:
        """One sample. `labels` is kept, not copied."""
        scale = self._scale
        self.family.samples.append(Sample(self._name, labels, amount if scale == 1 else amount / scale))

    def add_distribution(self, labels: Mapping[str, str], values: Distribution) -> None:
        """The samples of one histogram: cumulative buckets, count and sum."""
        name, scale, samples = self._name, self._scale, self.family.samples
        cumulated = 0
        bounds = [format_bound(bound / scale) for bound in values.bounds]
        for bound, count in zip((*bounds, "+Inf"), values.counts, strict=True):
            cumulated += count
            samples.append(Sample(f"{name}_bucket", {**labels, "le": bound}, cumulated))
        samples.append(Sample(f"{name}_count", dict(labels), cumulated))
        samples.append(Sample(f"{name}_sum", dict(labels), values.total / scale))


def format_bound(bound: float) -> str:
    """`le` as OpenMetrics wants it: a float's shortest text (`300.0`), the same in both formats."""
    return repr(float(bound))
