"""What must come out: the same records through the engine as a known, complete input, and through `funnelwatch batch`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from schemas.decode import RawRecord
from schemas.errors import InvalidEvent
from schemas.event import HEARTBEAT, MONEY_SCALE, Event
from schemas.funnel import Funnel
from schemas.report import Report
from schemas.rows import Row
from sinks.clickhouse.client import Client
from streams.batch.intake import BatchInput
from streams.batch.run import Batch, run
from streams.engine.batch import walk_hits
from streams.engine.match import CompiledFunnel, Matcher, unit_key
from streams.engine.state import Hit

Decode = Callable[[bytes], Event]
RowKey = tuple[str, str, str, str, str]


class Expected(msgspec.Struct, frozen=True):
    """`rows` by key, revision 0. `reports` by funnel, broken down by all of its dimensions. `refused`: bytes of records that
    no decoder takes, with the reason. `horizon`: newest event's time, ms."""

    rows: dict[RowKey, Row]
    reports: dict[str, Report]
    refused: list[tuple[bytes, str]]
    horizon: int


def expected(funnels: Sequence[Funnel], records: Sequence[bytes], decode: Decode) -> Expected:
    """The answers for these records, in any order."""
    decode = remembered(decode)
    events: list[Event] = []
    refused: list[tuple[bytes, str]] = []
    for data in records:
        try:
            events.append(decode(data))
        except InvalidEvent as error:
            refused.append((data, error.reason.value))
    horizon = max(event.ts for event in events if not event.bot)
    rows = {row_key(row): row for funnel in funnels for row in rows_of(funnel, events, horizon)}
    reports = {funnel.name: batch_report(funnel, records, decode) for funnel in funnels}
    return Expected(rows, reports, refused, horizon)


def remembered(decode: Decode) -> Decode:
    """The same decoder, working on each record once."""
    known: dict[bytes, Event | InvalidEvent] = {}

    def look_up(data: bytes) -> Event:
        found = known.get(data)
        if found is None:
            try:
                found = decode(data)
            except InvalidEvent as error:
                found = error
            known[data] = found
        if isinstance(found, InvalidEvent):
            raise found.with_traceback(None)
        return found

    return look_up


def batch_report(funnel: Funnel, records: Sequence[bytes], decode: Decode) -> Report:
    """What `funnelwatch batch` says."""
    raw = (RawRecord(data, line) for line, data in enumerate(records, 1))
    return run(Batch([funnel], funnel.dimensions), [BatchInput("records", raw, decode)])[0].report


def rows_of(definition: Funnel, events: Iterable[Event], horizon: int) -> list[Row]:
    """The final rows of all units: as `streams.engine.batch.walk_unit`, for many units at once."""
    funnel = CompiledFunnel(definition)
    matchers, units = dict[str, Matcher](), dict[str, dict[str, Hit]]()
    for event in events:
        key = unit_key(definition.unit, event)
        if event.bot or key is None or event.event == HEARTBEAT:
            continue
        if event.event not in matchers:
            matchers[event.event] = Matcher(funnel, event.event)
        matcher = matchers[event.event]
        mask = matcher.look(event)
        if mask is not None:
            hit = matcher.hit(event, mask)
        elif funnel.strict or key[0] == "~":
            hit = Hit(event.ts, event.event_id)
        else:
            continue
        known = units.setdefault(key, {})
        if hit.event_id not in known or hit.before(known[hit.event_id]):
            known[hit.event_id] = hit
    return [
        row
        for key, hits in units.items()
        for row in walk_hits(funnel, key, sorted(hits.values(), key=Hit.order), horizon)
    ]


def row_key(row: Row) -> RowKey:
    """What ClickHouse replaces rows by."""
    return row.funnel, row.version, row.attempt_id, row.kind, row.item


_COLUMNS = {field: field for field in Row.__struct_fields__}
_COLUMNS |= {"is_deleted": "0", "revision": "0"}
_COLUMNS |= {f: f"toUnixTimestamp64Milli(t.{f})" for f in ("session_start", "entry_time", "event_time")}
_COLUMNS |= {f: f"toInt64(t.{f} * {MONEY_SCALE})" for f in ("value", "value_reporting")}


def stored_rows(client: Client) -> dict[RowKey, Row]:
    """All rows that hold, as ClickHouse has them, with revision 0."""
    chosen = ", ".join(f"{sql} AS {name}" for name, sql in _COLUMNS.items())
    columns = client.query(f"SELECT {chosen} FROM transitions_v AS t", column_oriented=True).result_columns
    tuples = {"entry_dims", "dims"}
    given = [map(tuple, column) if name in tuples else column for name, column in zip(_COLUMNS, columns, strict=True)]
    rows = [Row(*values) for values in zip(*given, strict=True)]
    found = {row_key(row): row for row in rows}
    assert len(found) == len(rows), "FINAL gives a key twice"
    return found


def difference(stored: Mapping[RowKey, Row], wanted: Mapping[RowKey, Row]) -> str:
    """ "" if equal, else how many rows differ and the first of each kind."""
    missing = [wanted[key] for key in wanted.keys() - stored.keys()]
    extra = [stored[key] for key in stored.keys() - wanted.keys()]
    other = [(stored[key], wanted[key]) for key in wanted.keys() & stored.keys() if stored[key] != wanted[key]]
    if not missing and not extra and not other:
        return ""
    return (
        f"{len(missing)} of {len(wanted)} rows missing, {len(extra)} that should not be, {len(other)} different;"
        f"\nmissing: {missing[:2]}\nextra: {extra[:2]}\ndifferent (stored, wanted): {other[:2]}"
    )
