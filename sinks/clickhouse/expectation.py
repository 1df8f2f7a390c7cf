"""Learning from ClickHouse: what has come in is counted once by quarter of an hour, and four weeks of counts teach what to expect."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from schemas.expectation.history import LOOK_BACK, Entered, Names, Needed, Quarter, incidents, learn, named
from schemas.expectation.learned import SLOTTED, Counts, LearnedStep
from schemas.expectation.steps import Step, steps
from schemas.expectation.week import QUARTER, Week
from schemas.funnel import Funnel
from schemas.metrics import ALL, CROSS
from sinks.clickhouse.client import Client, faults, rows_of

_DAY = 86_400_000
#: Values of one dimension that are looked at; the rest is `other` anyhow.
MOST_VALUES = 5_000
COLUMNS = ("step", "quarter", "dimension", "dimension_value", "seeded", "entered", "converted", "delays")

_COUNT = """
INSERT INTO expectation_counts (step, quarter, dimension, dimension_value, seeded, entered, converted, delays)
SELECT {step:String}, fromUnixTimestamp(toInt64(intDiv(at, 900000) * 900)) AS quarter, cell.1, cell.2, 0, count(),
    countIf(age >= 0 AND age < {oldest:Int64}),
    if(cell.1 = 'all', sumMap(if(age >= 0 AND age < {oldest:Int64}, map(toUInt32(age), toUInt64(1)),
        CAST(([], []), 'Map(UInt32, UInt64)'))), CAST(([], []), 'Map(UInt32, UInt64)'))
FROM
(
    SELECT dims, at, if(there, intDiv(next, {unit:Int64}) - intDiv(at, {unit:Int64}), -1) AS age
    FROM
    (
        SELECT any(entry_dims) AS dims,
            minIf(toUnixTimestamp64Milli(event_time), stage = {level:UInt8}) AS at,
            minIf(toUnixTimestamp64Milli(event_time), stage = {following:UInt8}) AS next,
            countIf(stage = {level:UInt8}) > 0 AS here, countIf(stage = {following:UInt8}) > 0 AS there
        FROM transitions FINAL
        WHERE funnel = {funnel:String} AND version = {version:String} AND kind = 'enter'
            AND stage IN ({level:UInt8}, {following:UInt8})
            AND toDate(entry_time) >= toDate(fromUnixTimestamp64Milli({first:Int64} - {window:Int64}, 'UTC'))
            AND toDate(entry_time) <= toDate(fromUnixTimestamp64Milli({end:Int64}, 'UTC'))
        GROUP BY attempt_id
    )
    WHERE here AND at >= {first:Int64} AND at < {end:Int64}
)
ARRAY JOIN arrayConcat([('all', 'all')],
    arrayMap((name, places) -> (name, arrayStringConcat(
        arrayMap(place -> if(length(places) = 1, dims[place], substringUTF8(replaceAll(dims[place], '×', 'x'), 1, 59)), places),
        '×')), {names:Array(String)}, {places:Array(Array(UInt8))})) AS cell
GROUP BY quarter, cell"""

#: Seeded quarters count before the first that was lived through.
_SCOPE = """step = {step:String} AND (seeded = 0 OR quarter <
    (SELECT ifNull(minOrNull(quarter), toDateTime('2106-01-01', 'UTC')) FROM expectation_counts
     WHERE step = {step:String} AND seeded = 0))"""
_OPEN = f"{_SCOPE} AND quarter >= fromUnixTimestamp({{since:Int64}}) AND NOT has({{masked:Array(Int64)}}, toUnixTimestamp(quarter))"

_LAST = "SELECT toUnixTimestamp(max(quarter)) * 1000, count() FROM expectation_counts WHERE step = {step:String} AND seeded = 0"
_NEWEST = f"SELECT toUnixTimestamp(max(quarter)) * 1000 FROM expectation_counts WHERE {_SCOPE}"  # noqa: S608 - constants
_HORIZON = """
SELECT count(), toUnixTimestamp64Milli(min(horizon)) FROM progress FINAL
WHERE funnel = {funnel:String} AND version = {version:String}"""
_FIRST = """
SELECT count(), toUnixTimestamp64Milli(min(entry_time)) FROM transitions
WHERE funnel = {funnel:String} AND version = {version:String}"""
_WHOLE = f"""
SELECT toUnixTimestamp(quarter) * 1000, sum(entered), sum(converted) FROM expectation_counts FINAL
WHERE {_OPEN} AND dimension = 'all' GROUP BY quarter ORDER BY quarter"""  # noqa: S608 - constants
_DELAYS = f"""
SELECT sumMap(delays) FROM expectation_counts FINAL WHERE {_OPEN} AND dimension = 'all'"""  # noqa: S608 - constants
_SUMS = f"""
SELECT dimension, dimension_value, sum(entered) AS n, sum(converted) FROM expectation_counts FINAL
WHERE {_OPEN} AND dimension != 'all' GROUP BY dimension, dimension_value
ORDER BY n DESC LIMIT {MOST_VALUES} BY dimension"""  # noqa: S608 - constants
_SLOTS = f"""
SELECT dimension, dimension_value,
    (toDayOfWeek(quarter, 0, {{zone:String}}) - 1) * 96 + toHour(quarter, {{zone:String}}) * 4
        + intDiv(toMinute(quarter, {{zone:String}}), 15) AS slot,
    sum(entered), sum(converted)
FROM expectation_counts FINAL
WHERE {_OPEN} AND has({{large:Array(String)}}, concat(dimension, '\\n', dimension_value))
GROUP BY dimension, dimension_value, slot"""  # noqa: S608 - constants


class Learner(msgspec.Struct, frozen=True):
    """Learns the steps of these funnels. `unit`: ms of a step of age. `crosses`: pairs of dimensions that are counted together."""

    funnels: Sequence[Funnel]
    unit: int
    zone: str
    names: Names
    needed: Needed
    crosses: Sequence[tuple[str, str]] = ()

    def count_all(self, client: Client) -> None:
        """Counts what has matured since the last time. Raises SinkError."""
        for funnel in self.funnels:
            for step in steps(funnel, self.unit):
                self.count(client, funnel, step)

    def learn_all(self, client: Client, now: int) -> Iterator[LearnedStep]:
        """What is to be expected of each step, at `now` (ms). Raises SinkError."""
        for funnel in self.funnels:
            for step in steps(funnel, self.unit):
                yield self.learn(client, step, now)

    def count(self, client: Client, funnel: Funnel, step: Step) -> None:
        """Counts the entries of one step that have had the time to convert, day by day."""
        scope = {"funnel": funnel.name, "version": funnel.version}
        ((partitions, horizon),) = rows_of(client, "read the progress", _HORIZON, scope)
        ((attempts, begun),) = rows_of(client, "read the first entry", _FIRST, scope)
        if not partitions or not attempts:
            return
        ((last, known),) = rows_of(client, "read what was counted", _LAST, {"step": step.fingerprint})
        until = (int(horizon) - step.delay) // QUARTER * QUARTER
        first = int(last) + QUARTER if known else max(int(begun), until - LOOK_BACK - _DAY) // QUARTER * QUARTER
        cells = divisions(funnel, self.crosses)
        told = {
            **scope, "step": step.fingerprint, "unit": self.unit, "oldest": max(1, step.delay // self.unit),
            "level": step.level, "following": step.following, "window": funnel.window,
            "names": list(cells), "places": [list(places) for places in cells.values()],
        }  # fmt: skip
        while first < until:
            end = min(until, (first // _DAY + 1) * _DAY)
            with faults("count what converts"):
                client.command(_COUNT, parameters={**told, "first": first, "end": end})
            first = end

    def learn(self, client: Client, step: Step, now: int) -> LearnedStep:
        """What the last four weeks of counts teach of one step."""
        week = Week(self.zone)
        scope: dict[str, Any] = {"step": step.fingerprint, "masked": []}
        ((newest,),) = rows_of(client, "read what was counted", _NEWEST, scope)
        scope["since"] = (int(newest) - LOOK_BACK) // 1000
        quarters = [Quarter(*map(int, row)) for row in rows_of(client, "read the rates", _WHOLE, scope)]
        masked = incidents(quarters, week)
        scope["masked"] = [at // 1000 for at in sorted(masked)]
        ((delays,),) = rows_of(client, "read the delays", _DELAYS, scope)
        quarters = [quarter for quarter in quarters if quarter.at not in masked]
        parts = self._parts(client, scope)
        counted = {int(age): int(count) for age, count in delays.items()}
        return learn(step, self.unit, quarters, counted, parts, week, self.needed, now)

    def _parts(self, client: Client, scope: Mapping[str, Any]) -> dict[str, dict[str, Counts]]:
        """Counts by dimension and value; small segments without slots, others than those with a name as one."""
        sums: dict[tuple[str, str], Entered] = {
            (dimension, value): (int(entered), int(converted))
            for dimension, value, entered, converted in rows_of(client, "read the segments", _SUMS, scope)
        }
        names = named(sums, self.names)
        large = [key for key, (_, converted) in sums.items() if converted >= SLOTTED and names[key] == key[1]]
        slots: dict[tuple[str, str], dict[int, Entered]] = {}
        asked = {**scope, "zone": self.zone, "large": ["\n".join(key) for key in large]}
        for dimension, value, slot, entered, converted in rows_of(client, "read the week", _SLOTS, asked):
            slots.setdefault((dimension, value), {})[int(slot)] = int(entered), int(converted)
        parts: dict[str, dict[str, Counts]] = {}
        for (dimension, value), (entered, converted) in sums.items():
            name = names[dimension, value]
            values = parts.setdefault(dimension, {})
            known = values.get(name, Counts(0, 0))
            values[name] = Counts(
                known.entered + entered, known.converted + converted, slots.get((dimension, value), known.slots)
            )
        return parts


def divisions(funnel: Funnel, crosses: Sequence[tuple[str, str]]) -> dict[str, tuple[int, ...]]:
    """The dimensions and crosses of a funnel, with the places (from 1) of their values in a row's `entry_dims`."""
    place = {name: index for index, name in enumerate(funnel.dimensions, 1)}
    cells: dict[str, tuple[int, ...]] = {name: (index,) for name, index in place.items()}
    cells |= {f"{a}{CROSS}{b}": (place[a], place[b]) for a, b in crosses if a in place and b in place}
    cells.pop(ALL, None)
    return cells


class Seeded(msgspec.Struct, array_like=True):
    """One row of a history that was counted elsewhere; `quarter`: ms."""

    step: str
    quarter: int
    dimension: str
    value: str
    entered: int
    converted: int
    delays: dict[int, int]


def write_seeds(client: Client, rows: Sequence[Seeded]) -> None:
    """Writes counts of a history; those of the same quarters replace earlier ones. Raises SinkError."""
    data = [
        (
            row.step, datetime.fromtimestamp(row.quarter / 1000, UTC), row.dimension, row.value, 1, row.entered,
            row.converted, row.delays,
        )
        for row in rows
    ]  # fmt: skip
    with faults("write the seeds"):
        client.insert("expectation_counts", data, column_names=COLUMNS)
