"""Crashes after any prefix of the writing, reading again from any earlier offset, and zombies that write on."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from random import Random

import pytest

from schemas.event import Event
from schemas.funnel import Funnel
from schemas.rows import Kind, Row
from streams.engine.state import unpack
from streams.engine.units import META
from tests.unit.engine.feeding import (
    batch_rows,
    events,
    final_rows,
    funnel,
    heartbeat,
    meta_offset,
    new_partition,
    put,
    stage,
)
from tests.unit.engine.scenarios import scenarios


class Worker:
    """A partition that reads a log from some offset, with a copy of the durable state as its own."""

    def __init__(
        self, definition: Funnel, log: Sequence[Event], durable: MutableMapping[str, bytes], start: int
    ) -> None:
        self.log, self.durable, self.position = log, durable, start
        self.store = dict(durable)
        self.partition = new_partition([definition], self.store)

    @property
    def done(self) -> bool:
        return self.position >= len(self.log)

    def chunk(self, length: int, sink: list[Row], rows: int | None = None, entries: int | None = None) -> None:
        """One chunk, of which only so many rows, and then so many entries of the state, become durable (None: all)."""
        for offset in range(self.position, min(self.position + length, len(self.log))):
            self.partition.event(offset, self.log[offset])
        self.position += length
        result = self.partition.finish()
        sink += result.rows[:rows]
        self.partition.keep(result)
        put(self.durable, list(result.state.items())[:entries])


def with_faults(rng: Random, definition: Funnel, log: Sequence[Event], *, zombies: bool) -> tuple[list[Row], int]:
    """The sink, and the open attempts, after the log was followed with crashes, from the durable state each time."""
    sink: list[Row] = []
    durable: dict[str, bytes] = {}
    worker = Worker(definition, log, durable, 0)
    while not worker.done:
        if rng.random() < 0.6:
            worker.chunk(rng.randint(1, 6), sink)
            continue
        rows_lost = rng.random() < 0.3
        before = dict(durable)
        if rows_lost:
            worker.chunk(rng.randint(1, 6), sink, rows=rng.randint(0, 3), entries=0)
        else:
            worker.chunk(rng.randint(1, 6), sink, entries=rng.randint(0, 3))
        assert not rows_lost or durable == before
        zombie, start = worker, max(0, meta_offset(durable) + 1 - rng.choice((0, 0, 1, 4)))
        worker = Worker(definition, log, durable, start)
        if zombies and not zombie.done:
            if rng.random() < 0.5:
                worker.chunk(rng.randint(1, 6), sink)
            zombie.chunk(rng.randint(1, 6), sink, entries=0)
    return sink, worker.partition.units.open[definition.name]


@pytest.mark.parametrize("zombies", [False, True], ids=["crashes", "crashes and zombies"])
def test_after_any_crash_the_sink_holds_the_batch_rows(zombies: bool) -> None:
    for number, case in enumerate(scenarios(f"crashes {zombies}", 1_500)):
        sink, still_open = with_faults(Random(number), case.funnel, case.log, zombies=zombies)
        rows = final_rows(sink)
        started = sum(row.kind == Kind.ENTER and row.stage == 0 for row in rows)
        assert still_open == started - sum(row.kind == Kind.END for row in rows), (number, case)
        assert rows == batch_rows(case.funnel, case.events, case.horizon), (number, case)


def test_the_state_of_a_unit_is_not_removed_before_the_offset_vouches_for_its_records() -> None:
    # The first chunk converts and expires v. Its (empty) state became durable, the partition's offset did not; the
    # next owner cuts the log before v's record, and must not remove what tells it that the record is done.
    definition = funnel(stage("A"), stage("B"), window=10, lateness=0)
    log = [*events("a@0"), *events("c@1", visitor="w"), *events("b@2"), *events("c@90", visitor="w"), heartbeat(90)]
    sink: list[Row] = []
    durable: dict[str, bytes] = {}
    first = Worker(definition, log, durable, 0)
    first.chunk(1, sink)
    first.chunk(3, sink, entries=1)
    assert set(durable) == {"=v", META}
    second = Worker(definition, log, durable, 1)
    while not second.done:
        second.chunk(1, sink)
    assert final_rows(sink) == batch_rows(definition, log, 90)
    assert [(row.kind, row.outcome) for row in final_rows(sink)] == [("end", "converted"), ("enter", ""), ("enter", "")]


def test_a_unit_whose_records_are_read_again_is_not_removed_between_them() -> None:
    definition = funnel(stage("A"), stage("B"), window=10, lateness=0)
    others = [events(text, visitor="w")[0] for text in ("c@3", "c@90")]
    log = [*events("a@0 b@2"), others[0], *events("a@4"), others[1], heartbeat(90)]
    sink: list[Row] = []
    durable: dict[str, bytes] = {}
    first = Worker(definition, log, durable, 0)
    first.chunk(1, sink)
    first.chunk(4, sink, entries=1)
    second = Worker(definition, log, durable, 1)
    while not second.done:
        second.chunk(1, sink)
    assert final_rows(sink) == batch_rows(definition, log, 90)
    assert [(row.attempt, row.entry_time) for row in final_rows(sink) if row.kind == Kind.END] == [(1, 0), (2, 4)]


def test_a_unit_that_is_over_is_removed_after_a_restart() -> None:
    definition = funnel(stage("A"), window=10, lateness=0)
    log = [*events("a@0"), heartbeat(90), heartbeat(91), heartbeat(92)]
    durable: dict[str, bytes] = {}
    Worker(definition, log, durable, 0).chunk(1, [])
    written = durable["=v"]
    first = Worker(definition, log, durable, 1)
    first.chunk(1, [])
    assert durable["=v"] == written  # its end follows from the clock: it is not written
    assert unpack(first.store["=v"]).funnels == {}
    second = Worker(definition, log, durable, 2)
    assert unpack(second.store["=v"]).funnels == {}  # worked out again
    second.chunk(1, [])
    assert set(durable) == {"=v", META}  # from here on the partition's own state vouches for its record
    second.chunk(1, [])
    assert set(durable) == {META}
    assert set(second.store) == {META}


def test_records_read_again_are_counted_once() -> None:
    definition = funnel(stage("A"), stage("B"))
    log = events("a@0 c@1 b@2 a@3 c@4 b@5")
    durable: dict[str, bytes] = {}
    Worker(definition, log, durable, 0).chunk(4, [])
    again = Worker(definition, log, durable, 0)
    again.chunk(6, [])
    (progress,) = [again.partition.progress(one) for one in again.partition.funnels]
    assert (progress.read, progress.matched, progress.ignored, progress.revision) == (6, 4, 2, 5)


def test_a_step_that_is_done_already_is_only_counted() -> None:
    definition = funnel(stage("A"), stage("B"))
    log = events("a@0 b@2")
    durable: dict[str, bytes] = {}
    sink: list[Row] = []
    Worker(definition, log, durable, 0).chunk(2, sink, entries=1)
    assert set(durable) == {"=v"}
    written = len(sink)
    again = Worker(definition, log, durable, 0)
    again.chunk(2, sink)
    assert len(sink) == written == 3
    (progress,) = [again.partition.progress(one) for one in again.partition.funnels]
    assert (progress.read, progress.matched) == (2, 2)
    assert again.partition.units.open["f"] == 0


def test_open_attempts_are_recovered_from_the_state() -> None:
    definition = funnel(stage("A"), stage("B"))
    log = [*events("a@0"), *events("a@1", visitor="w"), *events("b@2", visitor="w"), *events("a@3", visitor="x")]
    durable: dict[str, bytes] = {}
    Worker(definition, log, durable, 0).chunk(4, [])
    again = Worker(definition, log, durable, 4)
    assert again.partition.units.open == {"f": 2}
    # Deadlines are recovered, too: with no further event of the units, time alone ends them.
    sink: list[Row] = []
    again.partition.event(4, heartbeat(1_000))
    sink += again.partition.finish().rows
    assert sorted((row.unit_id, row.event_time, row.revision) for row in sink) == [("v", 100, 4), ("x", 103, 4)]
    assert again.partition.units.open["f"] == 0
