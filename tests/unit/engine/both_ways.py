"""The same records by the compiled way and by the general way: all that shows is compared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import pytest

from schemas.event import Event
from schemas.funnel import Funnel
from schemas.rows import Row
from schemas.transitions import unpack_rows
from sinks.kafka import KeyValue
from sinks.prometheus.counters import FunnelCounters
from sinks.prometheus.labels import LabelPolicy
from streams.engine.match import CompiledFunnel, Known, no_rates
from streams.engine.partition import Partition, Result
from streams.engine.usual import COMPILED
from streams.stream.effects import Effects

needs_compiled = pytest.mark.skipif(
    not COMPILED, reason="streams/engine/_usual is not compiled here, or left out by FUNNELWATCH_PURE"
)
Convert = Callable[[int, str, int], int | None]


class Side:
    """One of the two: a partition with its store, and the counters that its rows raise."""

    def __init__(self, funnels: Sequence[Funnel], convert: Convert, *, usual: bool) -> None:
        self.funnels, self.convert, self.usual = tuple(funnels), convert, usual
        self.store: dict[str, bytes] = {}
        self.now, self.taken = 0, 0
        self.drop_offs: list[KeyValue] = []
        self.written, self.unwritten = 0, 0  # drop-offs' records: made by the compiled part, and left to Python
        policy = LabelPolicy(currencies=("EUR",), crosses=())
        self.counters = FunnelCounters(funnels, policy, "site", clock=lambda: self.now)
        self.begin()

    def begin(self) -> None:
        """A worker starts, with the state that there is."""
        compiled = [CompiledFunnel(one, self.convert) for one in self.funnels]
        self.partition = Partition("log", 0, self.funnels[0].unit, compiled, self.store)
        if self.usual:
            self._count_the_usual(self.partition)
        else:
            self.partition.usual = Known(lambda _name: ())
            self.partition.units.endings = {}

    def _count_the_usual(self, partition: Partition) -> None:
        move = partition.units.move_usually

        def counted(*said: Any) -> bool:
            done = move(*said)
            self.taken += done
            return done

        partition.units.move_usually = counted  # type: ignore[method-assign, assignment]

    def chunk(self) -> Result:
        result = self.partition.finish()
        effects = Effects(self.partition, {one.version: one.dimensions for one in self.funnels})
        effects.end(result)
        self.drop_offs = sorted(effects.drop_offs)
        self.written += len(result.made.drop_offs)
        self.unwritten += len(unpack_rows(result.made.dropped))
        self.counters.count(effects.tally)
        self.partition.keep(result)
        return result

    def samples(self) -> list[tuple[str, tuple[tuple[str, str], ...], float]]:
        """Every series of the counters, with nothing held back any more."""
        for _ in range(3):
            list(self.counters.families())
            self.now += 10_000_000
        return sorted(
            (sample.name, tuple(sorted(sample.labels.items())), sample.value)
            for family in self.counters.families()
            for sample in family.samples
            if not sample.name.endswith("_created")
        )


class Both:
    """The same records by both ways; all that shows is compared at the end of each chunk."""

    same_calendar = True

    def __init__(self, *funnels: Funnel, convert: Convert = no_rates) -> None:
        self.quick, self.general = Side(funnels, convert, usual=True), Side(funnels, convert, usual=False)
        self.offset = self.read = self.ends = 0

    def feed(self, seen: Iterable[Event], source: str | None = None) -> Both:
        """`source`: the records come from an internal log, from that partition."""
        for one in seen:
            for side in (self.quick, self.general):
                if source is None:
                    side.partition.event(self.offset, one)
                else:
                    side.partition.event_from(self.offset, source, self.offset, one.ts, one)
            self.offset += 1
            self.read += 1
        return self

    def chunk(self) -> Both:
        quick, general = self.quick.chunk(), self.general.chunk()
        assert in_order(quick.rows) == in_order(general.rows)
        assert in_order(quick.withdrawn) == in_order(general.withdrawn)
        assert self.quick.drop_offs == self.general.drop_offs
        assert quick.progress == general.progress
        assert quick.state == general.state
        assert quick.settled == general.settled
        assert self.quick.store == self.general.store
        ours, theirs = self.quick.partition.units, self.general.partition.units
        assert +ours.open == +theirs.open
        assert min(ours.open.values(), default=0) >= 0
        assert (ours.finished, ours.over, ours.unwritten) == (theirs.finished, theirs.over, theirs.unwritten)
        if self.same_calendar:
            assert sorted(ours.wakes.near) == sorted(theirs.wakes.near)
            assert len(ours.wakes) == len(theirs.wakes)
        self.ends += sum(row.kind == "end" for row in quick.rows)
        return self

    def restart(self) -> None:
        self.quick.begin()
        self.general.begin()

    def compare_counters(self) -> None:
        assert self.quick.samples() == self.general.samples()


def in_order(rows: Iterable[Row]) -> list[Row]:
    """The order in which one record's rows are written says nothing."""
    return sorted(rows, key=lambda row: (row.revision, row.funnel, row.version, row.attempt_id, row.kind, row.item))


def in_cents(value: int, currency: str, ts: int) -> int | None:
    """A rate that is known for one currency only, and depends on the time."""
    return value * (ts % 7 + 1) if currency == "EUR" else None
