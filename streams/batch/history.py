"""The history of files, counted for what is to be expected: entries of each step by quarter of an hour, and who converted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

from schemas.expectation.steps import Step, steps
from schemas.expectation.week import QUARTER
from schemas.funnel import Funnel
from schemas.metrics import ALL, CROSS
from schemas.rows import Kind, Row
from sinks.clickhouse.expectation import Seeded, divisions
from sinks.prometheus.segments import cell_value
from streams.batch.evaluate import in_order, unique
from streams.batch.intake import BatchInput, Intake, Lane, lanes, read_all
from streams.batch.run import Batch
from streams.engine.batch import walk_hits

_ENTER = Kind.ENTER.value


class StepHistory:
    """Counts of one step. `unit`: ms of a step of age; `until`: entries from then on (ms) have not had the time to convert."""

    def __init__(self, funnel: Funnel, step: Step, unit: int, until: int, crosses: Sequence[tuple[str, str]]) -> None:
        self.step, self._unit, self._until = step, unit, until
        self._cells = divisions(funnel, crosses)
        self._counts: defaultdict[tuple[int, str, str], list[int]] = defaultdict(lambda: [0, 0])
        self._delays: defaultdict[int, defaultdict[int, int]] = defaultdict(lambda: defaultdict(int))

    def add(self, times: dict[int, int], dims: Sequence[str]) -> None:
        """One attempt: when it reached each level (ms), and its breakdown."""
        at, then = times.get(self.step.level), times.get(self.step.following)
        if at is None or at >= self._until:
            return
        quarter = at // QUARTER * QUARTER
        age = -1 if then is None else then // self._unit - at // self._unit
        converted = 0 <= age < max(1, self.step.delay // self._unit)
        for dimension, value in self._of(dims):
            counts = self._counts[quarter, dimension, value]
            counts[0] += 1
            counts[1] += converted
        if converted:
            self._delays[quarter][age] += 1

    def rows(self) -> Iterator[Seeded]:
        """What is to be written."""
        for (quarter, dimension, value), (entered, converted) in self._counts.items():
            delays = dict(self._delays[quarter]) if dimension == ALL else {}
            yield Seeded(self.step.fingerprint, quarter, dimension, value, entered, converted, delays)

    def _of(self, dims: Sequence[str]) -> Iterator[tuple[str, str]]:
        yield ALL, ALL
        for name, places in self._cells.items():
            values = [dims[place - 1] for place in places]
            yield name, cell_value(*values) if CROSS in name else values[0]


def count_history(
    batch: Batch, inputs: Iterable[BatchInput], unit: int, crosses: Sequence[tuple[str, str]], intake: Intake
) -> Iterator[Seeded]:
    """The counts of all steps of the funnels in these files; `intake` says what was read. Raises what `streams.batch.run.run` does."""
    made = lanes(batch.funnels, batch.convert, batch.limit, batch.directory)
    with ExitStack() as stack:
        for lane in made:
            stack.enter_context(lane.events)
        read_all(inputs, made, intake)
        for lane in made:
            yield from _of_lane(lane, unit, crosses, intake.horizon or 0)


def _of_lane(lane: Lane, unit: int, crosses: Sequence[tuple[str, str]], horizon: int) -> Iterator[Seeded]:
    definition = lane.funnel.definition
    histories = [StepHistory(definition, step, unit, horizon - step.delay, crosses) for step in steps(definition, unit)]
    for key, events in lane.events.groups():
        hits = unique(events.hits)
        if hits:
            for times, dims in _attempts(walk_hits(lane.funnel, key, in_order(hits), horizon)):
                for history in histories:
                    history.add(times, dims)
    for history in histories:
        yield from history.rows()


def _attempts(rows: Iterable[Row]) -> Iterator[tuple[dict[int, int], tuple[str, ...]]]:
    """When each attempt of a unit reached each level, with its breakdown."""
    times: dict[int, int] = {}
    dims: tuple[str, ...] = ()
    for row in rows:
        if row.kind != _ENTER:
            continue
        if row.stage == 0 and times:
            yield times, dims
            times = {}
        times[row.stage], dims = row.event_time, row.entry_dims
    if times:
        yield times, dims
