"""What all workers have counted, by the minute for two hours and by the quarter of an hour for two days. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec

from schemas.live import MINUTE, Counts, Published

QUARTER = 15 * MINUTE
#: How long minutes are kept: an hour, and the one before it to compare with.
MINUTES_KEPT = 125 * MINUTE
#: How long quarters of an hour are kept: a day, the one before it, and a change of clocks.
KEPT = 50 * 60 * MINUTE
#: Sums that are remembered, for so many questions.
REMEMBERED = 200


class Place(NamedTuple):
    """Where counts belong: one dimension of one version of a funnel."""

    funnel: str
    version: str
    dimension: str


class Series(NamedTuple):
    """One of a place's sums."""

    metric: str
    labels: tuple[str, ...]
    value: str


Amounts = dict[Series, int]
Bucket = dict[Place, Amounts]


class Span(NamedTuple):
    """From `since` up to, not including, `until`, ms UTC. Whole minutes, and beyond the last two hours whole quarters of an hour."""

    since: int
    until: int


class Running(msgspec.Struct, frozen=True):
    """The minute of one worker that may still be written anew."""

    record: Published
    bucket: Bucket


class History:
    """Takes every record of the topic in order, and answers with sums over all workers.

    A minute is final when its worker's next one comes, or the worker's next life; it then joins the others', and what stays in
    memory does not grow with the number of workers.
    """

    def __init__(self) -> None:
        self._minutes: dict[int, Bucket] = {}
        self._quarters: dict[int, Bucket] = {}
        self._running: dict[str, Running] = {}
        self._closed: dict[tuple[str, int], int] = {}  # former lives → their last minute
        self._names: dict[Series, Series] = {}
        self._sums: dict[tuple[Place, Span], Amounts] = {}

    def take(self, record: Published) -> None:
        """A record as it stands in the topic; one of the same key replaces the former one."""
        running = self._running.get(record.worker)
        if (record.worker, record.born) in self._closed:
            return
        if running is not None:
            before, same_life = running.record, running.record.born == record.born
            if same_life and record.minute < before.minute:
                return
            if not same_life:  # the order of the topic tells lives apart: a clock may have been set back between them
                self._closed[before.worker, before.born] = before.minute
            if not same_life or record.minute > before.minute:
                self._add(self._minutes.setdefault(before.minute, {}), running.bucket)
                self._sums.clear()
        self._running[record.worker] = Running(record, self._flat(record.counts))

    def age(self, now: int) -> None:
        """Minutes grow into quarters of an hour, and these are forgotten. `now`: ms UTC."""
        for minute in [minute for minute in self._minutes if minute < now - MINUTES_KEPT]:
            self._add(self._quarters.setdefault(minute // QUARTER * QUARTER, {}), self._minutes.pop(minute))
            self._sums.clear()
        for quarter in [quarter for quarter in self._quarters if quarter < now - KEPT]:
            del self._quarters[quarter]
            self._sums.clear()
        self._closed = {life: minute for life, minute in self._closed.items() if minute >= now - KEPT}
        for worker, running in list(self._running.items()):
            if running.record.minute < now - KEPT:
                del self._running[worker]

    def sums(self, place: Place, span: Span) -> Amounts:
        """What was counted there in that time."""
        settled = self._sums.get((place, span))
        if settled is None:
            settled = {}
            for buckets in (self._quarters, self._minutes):
                for start, bucket in buckets.items():
                    if span.since <= start < span.until:
                        _add(settled, bucket.get(place, {}))
            if len(self._sums) >= REMEMBERED:
                self._sums.clear()
            self._sums[place, span] = settled
        total = settled.copy()
        for running in self._running.values():
            if span.since <= running.record.minute < span.until:
                _add(total, running.bucket.get(place, {}))
        return total

    def course(self, place: Place, wanted: Sequence[Series], span: Span, step: int) -> list[list[int]]:
        """The amounts of `wanted`, for each `step` (ms; minutes, or quarters of an hour) of the span in turn."""
        found = [[0] * len(wanted) for _ in range(span.since, span.until, step)]
        for start, bucket in self._buckets():
            amounts = bucket.get(place)
            if amounts and span.since <= start < span.until:
                row = found[(start - span.since) // step]
                for index, series in enumerate(wanted):
                    row[index] += amounts.get(series, 0)
        return found

    def workers(self) -> list[Published]:
        """The last record of each worker, by name."""
        return [running.record for _, running in sorted(self._running.items())]

    def _buckets(self) -> Iterator[tuple[int, Bucket]]:
        yield from self._quarters.items()
        yield from self._minutes.items()
        for running in self._running.values():
            yield running.record.minute, running.bucket

    def _flat(self, counts: Sequence[Counts]) -> Bucket:
        bucket: Bucket = {}
        for of_funnel in counts:
            for account in of_funnel.accounts:
                for dimension, values in account.amounts.items():
                    amounts = bucket.setdefault(Place(of_funnel.funnel, of_funnel.version, dimension), {})
                    for value, amount in values.items():
                        series = Series(account.metric, account.labels, value)
                        amounts[self._names.setdefault(series, series)] = amount
        return bucket

    @staticmethod
    def _add(into: Bucket, more: Bucket) -> None:
        for place, amounts in more.items():
            _add(into.setdefault(place, {}), amounts)


def _add(into: Amounts, more: Amounts) -> None:
    for series, amount in more.items():
        into[series] = into.get(series, 0) + amount
