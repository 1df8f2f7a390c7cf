"""Tells all workers what this one counts: every two seconds one record, that of the running minute."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from schemas import metrics as m
from schemas.errors import SinkError
from schemas.funnel import Funnel
from schemas.live import MINUTE, Account, Counts, Published, encode
from schemas.topics import live
from sinks.kafka import BatchWriter
from sinks.prometheus.counters import FunnelCounters
from sinks.prometheus.health import WorkerHealth
from sinks.prometheus.labels import EVERYTHING, Segment

log = logging.getLogger("funnelwatch.live")

#: Seconds between two records.
EVERY = 2.0
SHOWN = frozenset(
    metric.name
    for metric in (
        m.STAGE_ENTERED, m.STAGE_CONVERSIONS, m.STAGE_EXPECTED_CONVERSIONS, m.STAGE_DROPPED, m.CONVERSIONS,
        m.CONVERSION_VALUE, m.REFUND_VALUE, m.RECOVERED,
    )
)  # fmt: skip

#: (funnel, metric, labels) → amounts by segment.
Sums = dict[tuple[str, str, tuple[str, ...]], dict[Segment, int]]


class Publisher:
    """Writes into the topic of the live page. `worker`: this one's name; `born`: ms UTC, tells its lives apart.

    A minute is left only once all of it is durable: while no broker answers, what is counted stays in the minute at which
    the writing failed, and nothing is lost or told twice.
    """

    def __init__(
        self, worker: str, born: int, funnels: Sequence[Funnel], counters: FunnelCounters, health: WorkerHealth,
        writer: BatchWriter, prefix: str,
    ) -> None:  # fmt: skip
        self._worker, self._born, self._topic = worker, born, live(prefix)
        self._funnels, self._counters, self._health, self._writer = tuple(funnels), counters, health, writer
        self._minute = born // MINUTE * MINUTE
        self._told: Sums = self.sums()  # at the end of the minute before
        self._durable: Sums = self._told  # what the last record that was taken led to
        self._failing = False

    def sums(self) -> Sums:
        """All that was counted since the start."""
        found: Sums = {}
        for funnel in self._funnels:
            for name, labels, amounts in self._counters.nets(funnel.name, SHOWN):
                found[funnel.name, name, labels] = amounts
        for (funnel_name, outcome), records in self._health.events().items():
            found[funnel_name, m.EVENTS.name, (outcome,)] = {EVERYTHING: records}
        return found

    async def publish(self, now: int, *, ended: bool = False) -> bool:
        """Writes the running minute's record; `now`: ms UTC. False: no broker took it, and the next one tries again."""
        minute = now // MINUTE * MINUTE
        if minute > self._minute and not self._failing:
            self._minute, self._told = minute, self._durable
        sums = self.sums()
        record = self._record(now, sums, ended=ended)
        try:
            await self._writer.write(self._topic, 0, [(record.key(), encode(record))])
        except SinkError as error:
            if not self._failing:
                log.warning("the live page of other workers lacks this one's counts for now: %s", error)
            self._failing = True
            return False
        self._failing, self._durable = False, sums
        return True

    def _record(self, now: int, sums: Sums, *, ended: bool) -> Published:
        accounts: dict[str, list[Account]] = {funnel.name: [] for funnel in self._funnels}
        for (funnel, name, labels), amounts in sums.items():
            before = self._told.get((funnel, name, labels), {})
            if amounts != before and funnel in accounts:
                accounts[funnel].append(Account(name, labels, nested(risen(before, amounts))))
        return Published(
            self._worker, self._born, self._minute, now, ended, self._health.lag(), self._health.watermark(),
            dict(self._health.attempts_open()),
            tuple(
                Counts(funnel.name, funnel.version, self._counters.ready(funnel.name), tuple(accounts[funnel.name]))
                for funnel in self._funnels
            ),
        )  # fmt: skip


def risen(before: dict[Segment, int], after: dict[Segment, int]) -> Iterator[tuple[Segment, int]]:
    """By how much each segment's amount has changed, where it has."""
    get = before.get
    for segment, amount in after.items():
        if amount and amount != get(segment):  # most segments of a stage never counted
            yield segment, amount - get(segment, 0)


def nested(amounts: Iterator[tuple[Segment, int]]) -> dict[str, dict[str, int]]:
    """dimension → value → amount."""
    found: dict[str, dict[str, int]] = {}
    for (dimension, value), amount in amounts:
        found.setdefault(dimension, {})[value] = amount
    return found
