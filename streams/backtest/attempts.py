"""Attempts of the past, from files through the batch engine or from ClickHouse: when each reached which level."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack

import msgspec

from schemas.funnel import Funnel, Mode
from schemas.money import parse_money
from schemas.report import following_required
from schemas.rows import Kind, Row
from sinks.clickhouse.client import Client, rows_of
from streams.batch.evaluate import in_order, unique
from streams.batch.intake import BatchInput, Intake, lanes, read_all
from streams.engine.batch import walk_hits
from streams.engine.match import Convert

_ENTER = Kind.ENTER.value
_QUERY = """
SELECT any(entry_dims), arraySort(groupArray((toUnixTimestamp64Milli(event_time), stage,
    toString(ifNull(value_reporting, 0)))))
FROM transitions_v
WHERE funnel = {funnel:String} AND version = {version:String} AND kind = 'enter'
    AND entry_time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AND entry_time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
GROUP BY attempt_id"""


class Reached(msgspec.Struct, frozen=True, gc=False):
    """A level was entered at `at` (ms). `value`: its money in the reporting currency, 1/MONEY_SCALE; 0 without."""

    at: int
    level: int
    value: int = 0


class Attempt(msgspec.Struct, frozen=True):
    """`reached`: in order of time, its entry first. `dims`: its breakdown, in the order of the funnel's dimensions."""

    dims: tuple[str, ...]
    reached: tuple[Reached, ...]


def from_files(
    funnels: Sequence[Funnel], convert: Convert, inputs: Iterable[BatchInput]
) -> tuple[list[list[Attempt]], Intake]:
    """The attempts of each funnel, and what the files held. Raises what `batch` raises."""
    intake = Intake()
    with ExitStack() as stack:
        made = lanes(funnels, convert)
        for lane in made:
            stack.enter_context(lane.events)
        read_all(inputs, made, intake)
        found = []
        for lane in made:
            attempts: list[Attempt] = []
            for key, events in lane.events.groups():
                hits = in_order(unique(events.hits))
                attempts += from_rows(walk_hits(lane.funnel, key, hits, intake.horizon or 0) if hits else ())
            found.append(attempts)
    return found, intake


def from_rows(rows: Iterable[Row]) -> Iterator[Attempt]:
    """The attempts of one unit's final rows."""
    known: dict[str, tuple[tuple[str, ...], list[Reached]]] = {}
    for row in rows:
        if row.kind == _ENTER and not row.is_deleted:
            _, reached = known.setdefault(row.attempt_id, (row.entry_dims, []))
            reached.append(Reached(row.event_time, row.stage, row.value_reporting or 0))
    for dims, reached in known.values():
        yield Attempt(dims, tuple(reached))


def from_clickhouse(client: Client, funnel: Funnel, since: int, until: int) -> list[Attempt]:
    """The attempts that entered from `since` up to `until` (ms). Raises SinkError."""
    scope = {"funnel": funnel.name, "version": funnel.version, "since": since, "until": until}
    return [
        Attempt(
            tuple(map(str, dims)),
            tuple(Reached(int(at), int(level), parse_money(value)) for at, level, value in reached),
        )
        for dims, reached in rows_of(client, "read the attempts", _QUERY, scope)
    ]


def conversions(funnel: Funnel, attempt: Attempt) -> Iterator[tuple[Reached, tuple[int, ...]]]:
    """Each level that was entered, and the levels whose conversion that is: the required one before it, and optional ones
    between that the attempt had reached (as the worker counts, `sinks.prometheus.counters`)."""
    seen: set[int] = set()
    for each in attempt.reached:
        yield each, tuple(_converted(funnel, each.level, seen))
        seen.add(each.level)


def _converted(funnel: Funnel, level: int, seen: set[int]) -> Iterator[int]:
    if level == 0 or not _required(funnel, level):
        return
    for before in range(level - 1, -1, -1):
        required = _required(funnel, before)
        if required or before in seen:
            yield before
        if required:
            return


def _required(funnel: Funnel, level: int) -> bool:
    return funnel.mode is Mode.UNORDERED or not funnel.stages[level].optional


def stays(funnel: Funnel, attempt: Attempt) -> Iterator[tuple[int, int, int | None]]:
    """(level, ms of its entry, ms of its conversion or None) of each level but the last."""
    times = {each.level: each.at for each in attempt.reached}
    done = {level: each.at for each, levels in conversions(funnel, attempt) for level in levels}
    for level, at in times.items():
        if following_required(funnel, level) != level:
            yield level, at, done.get(level)
