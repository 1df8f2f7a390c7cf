"""The report, read from the views. The same figures as `schemas.tally.report_from_rows` gives for the same rows.

Counting happens in ClickHouse, in integers; the rates are made by `schemas.report.build_report`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from schemas.funnel import Funnel
from schemas.money import parse_money
from schemas.progress import EVENT_COUNTS
from schemas.report import AttemptClass, Cell, Report, build_report
from schemas.tally import dimension_indexes
from sinks.clickhouse.client import Client, rows_of

#: The attempts and rows of one report. `entry_day` is in the tables' key, the time itself is not.
_SCOPE = """funnel = {funnel:String} AND version = {version:String}
    AND entry_day >= toDate(fromUnixTimestamp64Milli({since:Int64}, 'UTC'))
    AND entry_time >= fromUnixTimestamp64Milli({since:Int64}, 'UTC')"""

#: The value of the dimension at position {index} (from 1) of the funnel's; "" of them all where it is 0.
_VALUE = "if({index:UInt8} = 0, '', entry_dims[{index:UInt8}])"

_ATTEMPTS = f"""
SELECT {_VALUE} AS value, reached, end_stage, outcome,
    toUnixTimestamp64Milli(entry_time) <= {{matured_until:Int64}} AS matured, recovered, count() AS attempts
FROM attempts_v WHERE {_SCOPE}
GROUP BY value, reached, end_stage, outcome, matured, recovered"""  # noqa: S608  (constants only)

_UNITS = f"""
SELECT value, mask, count() AS units
FROM (
    SELECT {_VALUE} AS value, groupBitOr(reached) AS mask
    FROM attempts_v WHERE {_SCOPE}
    GROUP BY value, unit_id, session_start
)
GROUP BY value, mask"""  # noqa: S608  (constants only)

_MEDIANS = f"""
SELECT {_VALUE} AS value, level, quantileExactLow(0.5)(duration) AS lower, quantileExactHigh(0.5)(duration) AS upper
FROM (SELECT entry_dims, durations FROM attempts_v WHERE {_SCOPE})
ARRAY JOIN mapKeys(durations) AS level, mapValues(durations) AS duration
WHERE level > 0 AND duration >= 0
GROUP BY value, level"""  # noqa: S608  (constants only)

_REVENUE = f"""
SELECT first.3 AS currency, toString(sum(first.4)) AS amount
FROM (
    SELECT argMin((kind, order_id, currency, assumeNotNull(value)), (event_time, attempt_id, stage)) AS first
    FROM transitions_v
    WHERE {_SCOPE} AND kind IN ('enter', 'refund') AND value IS NOT NULL
    GROUP BY if(kind = 'enter' AND order_id != '', order_id, ''),
        if(kind = 'enter' AND order_id != '', '', concat(attempt_id, ' ', kind, ' ', item))
)
GROUP BY currency"""  # noqa: S608  (constants only)

_PROGRESS = f"""
SELECT count() AS partitions, toUnixTimestamp64Milli(min(horizon)) AS horizon,
    {", ".join(f"sum({name})" for name in EVENT_COUNTS)}
FROM progress_v WHERE funnel = {{funnel:String}} AND version = {{version:String}}"""  # noqa: S608  (constants only)

_VERSIONS = """
SELECT version FROM attempts WHERE funnel = {funnel:String}
GROUP BY version ORDER BY max(entry_day) DESC, version"""


def read_report(client: Client, funnel: Funnel, since_ms: int | None = None, by: Sequence[str] = ()) -> Report:
    """The report of the attempts of `funnel` (this version of it) that entered at `since_ms` or later; None: of all.

    The events' counts are those since the version began. Reads in several queries: rows that arrive meanwhile may be in
    some figures and not yet in others. Raises SinkError, and ConfigError for a dimension that the funnel does not have.
    """
    positions = dimension_indexes(funnel, by)
    scope = {"funnel": funnel.name, "version": funnel.version, "since": since_ms or 0}
    horizon, events = read_progress(client, funnel)
    scope["matured_until"] = -1 if horizon is None else horizon - funnel.window
    overall = _cells(client, scope, 0).get("", Cell())
    cells = {name: _cells(client, scope, index + 1) for name, index in positions.items()}
    revenue = {str(currency): parse_money(amount) for currency, amount in _rows(client, _REVENUE, scope)}
    return build_report(funnel, overall, cells, revenue, events, horizon)


def read_progress(client: Client, funnel: Funnel) -> tuple[int | None, dict[str, int]]:
    """The funnel's horizon in ms (the least of its log partitions; None before the first), and its events' counts."""
    (partitions, horizon, *counts) = _rows(client, _PROGRESS, {"funnel": funnel.name, "version": funnel.version})[0]
    return (int(horizon) if partitions else None), dict(zip(EVENT_COUNTS, map(int, counts), strict=True))


def versions_with_attempts(client: Client, funnel: str) -> list[str]:
    """The versions of the funnel of that name that have attempts, the one with the latest entry first."""
    return [str(version) for (version,) in _rows(client, _VERSIONS, {"funnel": funnel})]


def _cells(client: Client, scope: Mapping[str, Any], index: int) -> dict[str, Cell]:
    """Counts by value of the dimension at `index` (from 1); of all under "" where it is 0."""
    cells: dict[str, Cell] = {}
    parameters = {**scope, "index": index}
    for value, *kind, count in _rows(client, _ATTEMPTS, parameters):
        reached, stage, outcome, matured, recovered = kind
        key = AttemptClass(int(reached), int(stage), str(outcome), bool(matured), bool(recovered))
        cells.setdefault(str(value), Cell()).attempts[key] += count
    for value, mask, count in _rows(client, _UNITS, parameters):
        cells.setdefault(str(value), Cell()).units[int(mask)] += count
    for value, level, lower, upper in _rows(client, _MEDIANS, parameters):
        cells.setdefault(str(value), Cell()).medians[int(level)] = (int(lower), int(upper))
    return cells


def _rows(client: Client, sql: str, parameters: Mapping[str, Any]) -> Sequence[Sequence[Any]]:
    return rows_of(client, "read the report", sql, parameters)
