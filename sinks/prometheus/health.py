"""What becomes of the events, and how the worker is: the metrics that are not counted from rows."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client.core import Metric as Family

from schemas.annotation import Annotation
from schemas.metrics import (
    ANNOTATION,
    ATTEMPTS_OPEN,
    BUILD_INFO,
    CHUNK_RECORDS,
    CONSUMER_LAG,
    COUNTING_LATENCY,
    DEAD_LETTERS,
    EVENT_LAG,
    EVENTS,
    REBALANCES,
    RECOVERY,
    REGISTRY_ERRORS,
    REGISTRY_WAITING,
    SINK_BATCH,
    SINK_ERRORS,
    SINK_LATENCY,
    SINK_QUEUE_AGE,
    SINK_RETRIES,
    SINK_ROWS,
    STATE_UNITS,
    WATERMARK,
    Metric,
)
from schemas.reasons import Outcome, Reason
from sinks.prometheus.collector import FamilyBuilder
from sinks.prometheus.labels import clean
from sinks.prometheus.series import Cells, Clock, Distribution, monotonic

Labels = tuple[str, ...]


class WorkerHealth:
    """One worker's events, gauges and latencies.

    `funnels`, `sources`, `tables`: the names known from the settings; their series stand at 0 from the start.
    `version`: of the distribution. Five values are read when scraped: assign `attempts_open` (count by funnel),
    `state_units`, `sink_queue_age`, `registry_waiting` (ms) and `annotations` where they are known. Not for use by several
    threads at once.
    """

    def __init__(
        self, site: str, funnels: Sequence[str], sources: Sequence[str], tables: Sequence[str], version: str,
        clock: Clock = monotonic,
    ) -> None:  # fmt: skip
        self.attempts_open: Callable[[], Mapping[str, int]] = dict
        self.state_units: Callable[[], int] = int
        self.sink_queue_age: Callable[[], int] = int
        self.registry_waiting: Callable[[], int] = int
        self.annotations: Callable[[], Iterable[Annotation]] = tuple
        self._site, self._version, self._clock = site, version, clock
        self._funnels = tuple(funnels)
        of_tables = [(table,) for table in tables]
        self._counters: dict[str, Cells[Labels]] = {
            EVENTS.name: Cells((funnel, outcome.value) for funnel in funnels for outcome in Outcome),
            DEAD_LETTERS.name: Cells((source, reason.value) for source in sources for reason in Reason),
            SINK_ROWS.name: Cells(of_tables),
            SINK_ERRORS.name: Cells(of_tables),
            SINK_RETRIES.name: Cells(of_tables),
            REBALANCES.name: Cells([()]),
            REGISTRY_ERRORS.name: Cells([()]),
        }
        self._gauges: dict[str, dict[Labels, int | float]] = {
            metric.name: {} for metric in (WATERMARK, CONSUMER_LAG, RECOVERY)
        }
        self._distributions: dict[str, dict[Labels, Distribution]] = {
            EVENT_LAG.name: {(source,): Distribution(EVENT_LAG.buckets) for source in sources},
            COUNTING_LATENCY.name: {(): Distribution(COUNTING_LATENCY.buckets)},
            SINK_LATENCY.name: {table: Distribution(SINK_LATENCY.buckets) for table in of_tables},
            CHUNK_RECORDS.name: {(): Distribution(CHUNK_RECORDS.buckets)},
            SINK_BATCH.name: {table: Distribution(SINK_BATCH.buckets) for table in of_tables},
        }

    # -- events

    def count_events(self, funnel: str, outcomes: Mapping[Outcome, int]) -> None:
        """Add a chunk's records by what became of them for one funnel."""
        self._add(EVENTS, {(funnel, outcome.value): n for outcome, n in outcomes.items()})

    def count_dead_letters(self, source: str, reasons: Mapping[Reason, int]) -> None:
        """Add a chunk's refused records of one source."""
        self._add(DEAD_LETTERS, {(source, reason.value): n for reason, n in reasons.items()})

    def observe_event_lags(self, source: str, lags: Iterable[int]) -> None:
        """Append time minus event time of a chunk's events, in ms; events dated ahead count as 0."""
        self._observe(EVENT_LAG, (source,), (max(0, lag) for lag in lags))

    # -- the worker's way through the log

    def observe_chunk(self, records: int, latencies: Iterable[int]) -> None:
        """One chunk is counted: its size, and the ms from Kafka's append to now of its records (or of some of them)."""
        self._observe(CHUNK_RECORDS, (), (records,))
        self._observe(COUNTING_LATENCY, (), latencies)

    def set_watermark(self, log: str, partition: int, event_time: int) -> None:
        """Event time, ms since 1970 UTC, that a log partition has reached."""
        self._gauges[WATERMARK.name][log, str(partition)] = event_time

    def set_consumer_lag(self, topic: str, partition: int, records: int) -> None:
        self._gauges[CONSUMER_LAG.name][topic, str(partition)] = records

    def forget_partition(self, topic: str, partition: int) -> None:
        """A partition was revoked: its gauges are the next owner's, and would stand still here."""
        for metric in (WATERMARK, CONSUMER_LAG):
            self._gauges[metric.name].pop((topic, str(partition)), None)

    def count_rebalance(self) -> None:
        self._add(REBALANCES, {(): 1})

    def set_recovery(self, duration: int) -> None:
        """How long the last recovery took, in ms."""
        self._gauges[RECOVERY.name][()] = duration

    def count_registry_error(self) -> None:
        self._add(REGISTRY_ERRORS, {(): 1})

    # -- what the live page asks

    def lag(self) -> int | None:
        """Records not yet applied, over all of this worker's partitions; None while unknown."""
        lags = self._gauges[CONSUMER_LAG.name].values()
        return int(sum(lags)) if lags else None

    def watermark(self) -> int | None:
        """Event time (ms) that the slowest of this worker's partitions has reached; None while unknown."""
        return int(min(self._gauges[WATERMARK.name].values(), default=0)) or None

    def events(self) -> dict[tuple[str, ...], int]:
        """(funnel, outcome) → records since the start."""
        return self._counters[EVENTS.name].totals()

    # -- the sink

    def count_sink_rows(self, table: str, rows: int, latencies: Iterable[int] = ()) -> None:
        """Rows that ClickHouse acknowledged together; `latencies`: ms from Kafka's append to now, of some or all of them."""
        self._add(SINK_ROWS, {(table,): rows})
        self._observe(SINK_BATCH, (table,), (rows,))
        self._observe(SINK_LATENCY, (table,), latencies)

    def count_sink_error(self, table: str) -> None:
        self._add(SINK_ERRORS, {(table,): 1})

    def count_sink_retry(self, table: str) -> None:
        self._add(SINK_RETRIES, {(table,): 1})

    # -- the scrape

    def families(self) -> Iterator[Family]:
        """All families, for one scrape."""
        now = self._clock()
        for metric in (EVENTS, DEAD_LETTERS, SINK_ROWS, SINK_ERRORS, SINK_RETRIES, REBALANCES, REGISTRY_ERRORS):
            yield self._family(metric, self._counters[metric.name].scrape(now))
        for metric in (WATERMARK, CONSUMER_LAG, RECOVERY):
            yield self._family(metric, self._gauges[metric.name].items())
        counts = self.attempts_open()
        yield self._family(ATTEMPTS_OPEN, (((funnel,), counts.get(funnel, 0)) for funnel in self._funnels))
        yield self._family(STATE_UNITS, [((), self.state_units())])
        yield self._family(SINK_QUEUE_AGE, [((), self.sink_queue_age())])
        yield self._family(REGISTRY_WAITING, [((), self.registry_waiting())])
        yield self._family(ANNOTATION, (((one.name, one.kind.value), one.at) for one in self.annotations()))
        yield self._family(BUILD_INFO, [((self._version, platform.python_version()), 1)])
        for metric in (EVENT_LAG, COUNTING_LATENCY, SINK_LATENCY, CHUNK_RECORDS, SINK_BATCH):
            builder = FamilyBuilder(metric)
            for labels, distribution in self._distributions[metric.name].items():
                builder.add_distribution(self._labels(metric, labels), distribution)
            yield builder.family

    def _add(self, metric: Metric, amounts: Mapping[Labels, int]) -> None:
        self._counters[metric.name].add(amounts, self._clock())

    def _observe(self, metric: Metric, labels: Labels, values: Iterable[int]) -> None:
        distributions = self._distributions[metric.name]
        if labels not in distributions:
            distributions[labels] = Distribution(metric.buckets)
        distributions[labels].observe(values)

    def _labels(self, metric: Metric, values: Labels) -> dict[str, str]:
        return dict(zip(metric.labels, map(clean, (self._site, *values)), strict=True))

    def _family(self, metric: Metric, series: Iterable[tuple[Labels, int | float]]) -> Family:
        builder = FamilyBuilder(metric)
        for labels, amount in series:
            builder.add(self._labels(metric, labels), amount)
        return builder.family
