"""Writing into ClickHouse: batches become columns, and one insert each.

Nothing here depends on how batches are cut or repeated: the tables' keys make a repeated row replace itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar

import msgspec
from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.datatypes.registry import get_from_name

from schemas.annotation import StoredAnnotation
from schemas.dead_letter import DeadLetter
from schemas.event import FIELDS, Event
from schemas.funnel import Funnel
from schemas.progress import Progress
from schemas.report import following_required
from schemas.rows import Row
from sinks.clickhouse.client import Client, faults

#: Most partitions (months) that one insert may touch; the server refuses more than 100.
MOST_MONTHS = 90
#: A retried insert that the table had already taken still reaches `attempts`, where repeats do no harm.
SETTINGS = {"deduplicate_blocks_in_dependent_materialized_views": 1}

_EXACT = Context(prec=76)
_SPAN = 28 * 86_400_000  # ms that lie in at most two months
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Columns: TypeAlias = list[Sequence[Any]]
T = TypeVar("T")


def money_column(values: Sequence[int | None]) -> Sequence[Decimal | None]:
    """Integers of 1/MONEY_SCALE as the Decimals of a Decimal(38, 9) column."""
    return [None if value is None else _EXACT.scaleb(Decimal(value), -9) for value in values]


def text_column(values: Sequence[str | None]) -> Sequence[str]:
    """Texts, with "" for None."""
    return [value or "" for value in values]


class Table:
    """One table as it is written: names, wire types, and the columns that are converted on the way.

    Wire types: a LowCardinality column is sent as plain text, which the server packs cheaper than the driver does.
    """

    def __init__(
        self, name: str, types: dict[str, str], converted: dict[str, Callable[[Sequence[Any]], Sequence[Any]]]
    ) -> None:
        self.name = name
        self.names = list(types)
        self.types: list[ClickHouseType] = [get_from_name(wire) for wire in types.values()]
        self._ways = [(attrgetter(column), converted.get(column)) for column in types]

    def columns(self, records: Sequence[msgspec.Struct]) -> Columns:
        """Columns of records whose fields are `names`. (Column by column: a tuple per row would wake the collector.)"""
        columns: Columns = []
        for field, convert in self._ways:
            values = list(map(field, records))
            columns.append(convert(values) if convert else values)
        return columns


_TIME = "DateTime64(3, 'UTC')"
_MONEY = "Nullable(Decimal(38, 9))"
_TEXTS = "Array(String)"

TRANSITIONS = Table(
    "transitions",
    {
        "funnel": "String", "version": "String", "attempt_id": "String", "kind": "String", "item": "String",
        "revision": "UInt64", "is_deleted": "UInt8", "unit_id": "String", "session_start": _TIME, "attempt": "UInt32",
        "recovered": "Bool", "entry_time": _TIME, "event_time": _TIME, "event_id": "String", "from_stage": "String",
        "to_stage": "String", "stage": "UInt8", "reached": "UInt64", "direction": "String", "outcome": "String",
        "duration": "Int64", "entry_dims": _TEXTS, "dims": _TEXTS, "value": _MONEY, "currency": "String",
        "value_reporting": _MONEY, "order_id": "String", "consent": "Bool",
    },
    {"value": money_column, "value_reporting": money_column},
)  # fmt: skip

PROGRESS = Table(
    "progress",
    {
        "funnel": "String", "version": "String", "log": "String", "partition": "UInt32", "revision": "UInt64",
        "watermark": _TIME, "horizon": _TIME, "read": "UInt64", "matched": "UInt64", "ignored": "UInt64",
        "duplicate": "UInt64", "late": "UInt64", "invalid": "UInt64", "bot": "UInt64",
    },
    {},
)  # fmt: skip

DEAD_LETTERS = Table(
    "dead_letters",
    {
        "topic": "String", "partition": "UInt32", "offset": "UInt64", "reason": "String", "detail": "String",
        "time": _TIME, "key": "String", "payload": "String",
    },
    {},
)  # fmt: skip

_EVENT_TEXTS = (
    "site", "session_id", "visitor_id", "user_id", "account_id", "url", "landing_page", "referrer", "channel", "source",
    "medium", "campaign", "content", "term", "device", "country", "customer_type", "currency", "order_id", "owner",
)  # fmt: skip

EVENTS = Table(
    "events",
    dict.fromkeys(FIELDS, "String")
    | {"ts": _TIME, "variant": "Map(String, String)", "revenue": _MONEY, "cost": _MONEY, "consent": "Nullable(UInt8)"}
    | {"bot": "Bool"},
    dict.fromkeys(_EVENT_TEXTS, text_column)
    | {"revenue": money_column, "cost": money_column, "variant": lambda values: [value or {} for value in values]}
    | {"properties": lambda values: [msgspec.json.encode(value).decode() if value else "" for value in values]},
)

ANNOTATIONS = Table(
    "annotations",
    {
        "name": "String", "at": _TIME, "kind": "String", "until": f"Nullable({_TIME})", "revision": "UInt64",
        "is_deleted": "UInt8",
    },
    {},
)  # fmt: skip

DEFINITIONS = Table(
    "definitions",
    {
        "funnel": "String", "version": "String", "unit": "String", "mode": "String", "window": "UInt64",
        "lateness": "UInt64", "levels": _TEXTS, "following": "Array(UInt8)", "dimensions": _TEXTS,
        "definition": "String",
    },
    {},
)  # fmt: skip


class Definition(msgspec.Struct, frozen=True):
    """A row of `definitions`: the columns of 001_tables.sql."""

    funnel: str
    version: str
    unit: str
    mode: str
    window: int
    lateness: int
    levels: list[str]
    following: list[int]
    dimensions: list[str]
    definition: str


class Writer:
    """Writes batches through one client; not for use by two threads at once.

    Every method raises SinkError; after that the same batch, or any other cut of the same records, is written again.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def write_rows(self, rows: Sequence[Row]) -> None:
        """Writes rows; the newest revision of a key wins whatever the order."""
        for part in split_by_month(rows, lambda row: row.entry_time):
            self._insert(TRANSITIONS, part)

    def write_progress(self, progress: Iterable[Progress]) -> None:
        """Writes progress; of one key in a batch only the newest goes out."""
        newest = {(p.funnel, p.version, p.log, p.partition): p for p in sorted(progress, key=lambda p: p.revision)}
        self._insert(PROGRESS, list(newest.values()))

    def write_dead_letters(self, letters: Sequence[DeadLetter]) -> None:
        """Writes dead letters."""
        for part in split_by_month(letters, lambda letter: letter.time):
            self._insert(DEAD_LETTERS, part)

    def write_events(self, events: Sequence[Event]) -> None:
        """Writes cleaned events."""
        for part in split_by_month(events, lambda event: event.ts):
            self._insert(EVENTS, part)

    def write_annotations(self, annotations: Sequence[StoredAnnotation]) -> None:
        """Writes annotations; the newest revision of a name wins."""
        self._insert(ANNOTATIONS, annotations)

    def register(self, funnels: Iterable[Funnel]) -> None:
        """Writes what the versions of `funnels` mean. A worker does this before its first row; repeats do no harm."""
        self._insert(DEFINITIONS, [define(funnel) for funnel in funnels])

    def _insert(self, table: Table, records: Sequence[msgspec.Struct]) -> None:
        if not records:
            return
        with faults(f"insert {len(records)} rows into {table.name}"):
            self._client.insert(
                table.name,
                table.columns(records),
                column_names=table.names,
                column_types=table.types,
                column_oriented=True,
                settings=SETTINGS,
            )


def split_by_month(records: Sequence[T], time: Callable[[T], int]) -> list[Sequence[T]]:
    """`records` in parts that touch at most MOST_MONTHS months each: one part, but for replays of long histories."""
    if 2 * len({time(record) // _SPAN for record in records}) <= MOST_MONTHS:
        return [records]
    by_month: dict[tuple[int, int], list[T]] = {}
    for record in records:
        moment = _EPOCH + timedelta(milliseconds=time(record))
        by_month.setdefault((moment.year, moment.month), []).append(record)
    months = sorted(by_month)
    return [
        [record for month in months[first : first + MOST_MONTHS] for record in by_month[month]]
        for first in range(0, len(months), MOST_MONTHS)
    ]


def define(funnel: Funnel) -> Definition:
    """What the rows of this version of `funnel` leave out."""
    following = [following_required(funnel, level) for level in range(len(funnel.levels))]
    return Definition(
        funnel.name, funnel.version, funnel.unit.value, funnel.mode.value, funnel.window, funnel.lateness,
        list(funnel.levels), following, list(funnel.dimensions), msgspec.json.encode(funnel).decode(),
    )  # fmt: skip
