"""The last half hour of event time against all that came before it, from ClickHouse: where a fault shows first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from schemas.funnel import Funnel
from schemas.rows import Row
from sinks.clickhouse.client import Client, rows_of

SPAN = 30 * 60_000
#: Attempts younger than this are left out: most who will buy have bought by then.
SETTLING = 12 * 60_000
#: Fewer attempts than this give no rate.
LEAST = 15

_COUNTS = """
SELECT entry_time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC') AS is_recent,
    {segment} AS segment, reached, count() AS attempts
FROM attempts_v
WHERE funnel = {funnel:String} AND version = {version:String}
    AND entry_time < fromUnixTimestamp64Milli({until:Int64}, 'UTC')
GROUP BY is_recent, segment, reached"""

_LATEST = """
SELECT funnel, kind, unit_id, toUnixTimestamp64Milli(event_time), from_stage, to_stage, direction, outcome
FROM transitions
WHERE is_deleted = 0 AND entry_time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')
    AND event_time <= fromUnixTimestamp64Milli({until:Int64}, 'UTC')
ORDER BY event_time DESC LIMIT {limit:UInt8}"""


class Share(msgspec.Struct):
    """Of `of` attempts that reached one level, `reached` have reached the next required one."""

    reached: int = 0
    of: int = 0

    @property
    def rate(self) -> float | None:
        """None where there are too few."""
        return self.reached / self.of if self.of >= LEAST else None


class Change(msgspec.Struct, frozen=True):
    """One segment's share now and before. `segment`: values of the dimensions asked for."""

    segment: tuple[str, ...]
    now: Share
    before: Share

    @property
    def ratio(self) -> float | None:
        """The rate now as a multiple of the rate before; None where either is missing."""
        now, before = self.now.rate, self.before.rate
        return now / before if now is not None and before else None


class Recent(msgspec.Struct, frozen=True):
    """`levels`: for each level, the share of the last half hour's attempts at the required level before that reached it.
    `changes`: for each segment, the step to the last level; most attempts first."""

    levels: tuple[float | None, ...]
    changes: tuple[Change, ...]


def read_recent(client: Client, funnel: Funnel, watermark: int, by: tuple[str, ...] = ()) -> Recent:
    """The shares of attempts that entered in the half hour that has settled by `watermark` (ms), and before it.

    Raises SinkError.
    """
    positions = [funnel.dimensions.index(name) + 1 for name in by]
    segment = "[" + ", ".join(f"toString(entry_dims[{position}])" for position in positions) + "]"
    until = watermark - SETTLING
    scope = {"funnel": funnel.name, "version": funnel.version, "since": until - SPAN, "until": until}
    sql = _COUNTS.replace("{segment}", segment if by else "CAST([], 'Array(String)')")
    rows = [
        (bool(is_recent), tuple(map(str, values)), int(reached), int(count))
        for is_recent, values, reached, count in rows_of(client, "read the last half hour", sql, scope)
    ]
    last = len(funnel.stages) - 1
    levels = (None, *(_share(rows, funnel, level, recent=True).rate for level in range(1, last + 1)))
    return Recent(
        levels, tuple(sorted(_changes(rows, funnel, last), key=lambda change: (-change.now.of, change.segment)))
    )


Counted = list[tuple[bool, tuple[str, ...], int, int]]


def _share(rows: Counted, funnel: Funnel, level: int, *, recent: bool) -> Share:
    share, before = Share(), previous_required(funnel, level)
    for is_recent, _, reached, count in rows:
        if is_recent == recent and reached >> before & 1:
            share.of += count
            share.reached += count * (reached >> level & 1)
    return share


def _changes(rows: Counted, funnel: Funnel, level: int) -> Iterator[Change]:
    for segment in {row[1] for row in rows}:
        own = [row for row in rows if row[1] == segment]
        yield Change(segment, *(_share(own, funnel, level, recent=recent) for recent in (True, False)))


def merged(changes: tuple[Change, ...], position: int) -> tuple[Change, ...]:
    """The changes summed up by one of the dimensions that their segments are made of; most attempts first."""
    sums: dict[str, tuple[Share, Share]] = {}
    for change in changes:
        for total, part in zip(
            sums.setdefault(change.segment[position], (Share(), Share())), (change.now, change.before), strict=True
        ):
            total.reached, total.of = total.reached + part.reached, total.of + part.of
    found = [Change((value,), now, before) for value, (now, before) in sums.items()]
    return tuple(sorted(found, key=lambda change: -change.before.of))


def previous_required(funnel: Funnel, level: int) -> int:
    """The last level before `level` that is not optional."""
    return next(index for index in range(level - 1, -1, -1) if not funnel.stages[index].optional)


def latest_rows(client: Client, watermark: int, limit: int) -> tuple[Row, ...]:
    """The newest rows by event time, newest last, with what a line of the view needs. Raises SinkError."""
    scope: Mapping[str, object] = {"since": watermark - 3 * 3_600_000, "until": watermark, "limit": limit}
    found = rows_of(client, "read the newest rows", _LATEST, scope)
    return tuple(_row(*row) for row in reversed(found))


def _row(*columns: Any) -> Row:
    funnel, kind, unit, time, source, target, direction, outcome = columns
    return Row(
        funnel=funnel, version="", attempt_id="", kind=kind, item="", revision=0, is_deleted=0, unit_id=unit,
        session_start=0, attempt=1, recovered=False, entry_time=time, event_time=time, event_id="", from_stage=source,
        to_stage=target, stage=0, reached=0, direction=direction, outcome=outcome, duration=-1, entry_dims=(), dims=(),
        value=None, currency="", value_reporting=None, order_id="", consent=False,
    )  # fmt: skip
