"""The way of `funnelwatch batch`: files → lanes → reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path

import msgspec

from schemas.funnel import Funnel
from schemas.report import Report
from schemas.settings import Rates
from schemas.tally import dimension_indexes
from streams.batch.evaluate import Evaluation, evaluate
from streams.batch.grouped import LIMIT
from streams.batch.intake import BatchInput, Intake, Lane, lanes, read_all
from streams.engine.match import Convert


class Batch(msgspec.Struct, frozen=True):
    """What is asked of the files. `by`: dimensions that each of `funnels` has. `limit`: see `grouped`."""

    funnels: Sequence[Funnel]
    by: Sequence[str] = ()
    convert: Convert = Rates().convert
    limit: int = LIMIT
    directory: Path | None = None


class Ignored(msgspec.Struct, frozen=True):
    """Records that a funnel did not look at: `unfit`, by event name, most frequent first; `homeless`: no id of its unit."""

    unfit: tuple[tuple[str, int], ...]
    homeless: int


class Answer(msgspec.Struct, frozen=True):
    """One funnel's report, and what it ignored."""

    report: Report
    ignored: Ignored


class Progress:
    """For whoever watches: the intake, and, once all is read, how many of `total` events are evaluated."""

    __slots__ = ("evaluation", "intake", "total")

    def __init__(self) -> None:
        self.intake, self.evaluation, self.total = Intake(), Evaluation(), 0


def run(batch: Batch, inputs: Iterable[BatchInput], progress: Progress | None = None) -> list[Answer]:
    """The answers in the order of the funnels; what was read stands in `progress.intake`.

    The same for any order of files and lines. Raises ConfigError for a dimension that a funnel does not have and for
    files that can't be read, FunnelwatchError if the disk is full.
    """
    for funnel in batch.funnels:
        dimension_indexes(funnel, batch.by)
    progress = progress or Progress()
    made = lanes(batch.funnels, batch.convert, batch.limit, batch.directory)
    with ExitStack() as stack:
        for lane in made:
            stack.enter_context(lane.events)
        read_all(inputs, made, progress.intake)
        progress.total = (progress.intake.read - progress.intake.refused.total()) * len(made)
        return [_answer(lane, batch.by, progress) for lane in made]


def _answer(lane: Lane, by: Sequence[str], progress: Progress) -> Answer:
    report = evaluate(lane, progress.intake, by, progress.evaluation)
    unfit = sorted(lane.unfit.items(), key=lambda item: (-item[1], item[0]))
    return Answer(report, Ignored(tuple(unfit), lane.homeless))
