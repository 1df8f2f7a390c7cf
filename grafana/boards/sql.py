"""SQL of the panels, over the views of `sinks/migrations`. Counts are those of `hours_v`: by whole hours of entry.

Texts from variables come percent-encoded (Grafana's format of that name leaves nothing that could end a literal) and are
decoded by ClickHouse: a campaign called `'; DROP` is a value like any other.
"""

from __future__ import annotations

from schemas.metrics import ALL
from schemas.rows import Direction, End, Kind

DROP_OFFS = tuple(end for end in End if end is not End.CONVERTED)
#: Names of edges' ends that are no stages.
ENTRY, RETURN, EXIT = "(entry)", "(return)", "(exit)"


def chosen(variable: str) -> str:
    """The text of a variable, as an expression."""
    return f"decodeURLComponent('${{{variable}:percentencode}}')"


SINCE, UNTIL = "fromUnixTimestamp64Milli(${__from}, 'UTC')", "fromUnixTimestamp64Milli(${__to}, 'UTC')"
HOURS = (
    f"entry_day >= toDate({SINCE}) AND entry_day <= toDate({UNTIL})"
    f" AND hour >= toStartOfHour({SINCE}) AND hour <= {UNTIL}"
)
STEP = "toStartOfInterval(hour, toIntervalSecond(greatest(3600, intDiv($__interval_ms, 1000))))"
_FUNNEL = f"funnel = {chosen('funnel')}"
_DEFINED = f"FROM definitions_v WHERE {_FUNNEL} AND version = {chosen('version')}"
_LEVELS = f"(SELECT any(levels) {_DEFINED}) AS levels"
_NAME = "if(levels[stage + 1] = '', toString(stage), levels[stage + 1])"  # of a version that is not registered: numbers

#: All values of all dimensions of one version of one funnel, within the range.
VERSION = f"{_FUNNEL} AND version = {chosen('version')} AND {HOURS}"
#: One segment of it.
SEGMENT = f"{VERSION} AND dimension = {chosen('dimension')} AND dimension_value = {chosen('value')}"
TOTAL = f"{VERSION} AND dimension = '{ALL}'"
#: Entries and conversions of a group of rows.
ENTRIES = f"sumIf(n, kind = '{Kind.ENTER}' AND stage = 0)"
CONVERTED = f"sumIf(n, kind = '{Kind.END}' AND outcome = '{End.CONVERTED}')"
CURRENT_VERSIONS = (
    "(funnel, version) IN (SELECT funnel, argMax(version, registered_at) FROM definitions_v GROUP BY funnel)"
)

# --- variables --------------------------------------------------------------------------------------------------------

FUNNELS_OF = "SELECT DISTINCT funnel FROM definitions_v ORDER BY funnel"
VERSIONS_OF = f"SELECT version FROM definitions_v WHERE {_FUNNEL} ORDER BY registered_at DESC, version"
DIMENSIONS_OF = f"SELECT arrayJoin(arrayConcat(['{ALL}'], any(dimensions))) AS dimension {_DEFINED}"
VALUES_OF = f"""SELECT dimension_value FROM hours_v WHERE {VERSION} AND dimension = {chosen("dimension")}
GROUP BY dimension_value ORDER BY sum(n) DESC, dimension_value LIMIT 200"""

# --- stages -----------------------------------------------------------------------------------------------------------

# An attempt is open at its highest level until it ends. A row alone says what it changes: an `enter` row that is the new highest
# level opens that one and leaves the highest before it, an `end` row leaves its own.
_CHANGES = f"""if(kind = '{Kind.ENTER}',
        arrayConcat(
            [(toUInt8(stage), amount, toInt64(0), if(stage = climbed[-1], amount, 0))],
            if(stage = climbed[-1] AND length(climbed) > 1, [(toUInt8(climbed[-2]), toInt64(0), toInt64(0), -amount)], [])),
        [(toUInt8(stage), toInt64(0), if(outcome = '{End.CONVERTED}', 0, amount), -amount)])"""

STAGES = f"""WITH
    {_LEVELS},
    (SELECT any(following) {_DEFINED}) AS following
SELECT
    {_NAME} AS "Stage",
    entered AS "Attempts",
    entered / nullIf(reached_by[1].2, 0) AS "From start",
    entered / nullIf(arrayFirst(other -> other.1 = previous, reached_by).2, 0) AS "From previous",
    dropped AS "Dropped off",
    dropped / nullIf(entered, 0) AS "Drop-off",
    open AS "Open"
FROM
(
    SELECT at AS stage, entered, dropped, open,
        arraySort(groupArray((at, entered)) OVER ()) AS reached_by,
        arrayMax(arrayFilter(level -> level = 0 OR has(following, level), range(greatest(at, 1)))) AS previous
    FROM
    (
        SELECT change.1 AS at, sum(change.2) AS entered, sum(change.3) AS dropped, sum(change.4) AS open
        FROM
        (
            SELECT arrayJoin({_CHANGES}) AS change
            FROM
            (
                SELECT kind, stage, outcome, toInt64(sum(n)) AS amount,
                    arraySort(bitPositionsToArray(bitOr(reached, bitShiftLeft(toUInt64(1), stage)))) AS climbed
                FROM hours_v WHERE {SEGMENT} AND kind IN ('{Kind.ENTER}', '{Kind.END}')
                GROUP BY kind, stage, outcome, reached
            )
        )
        GROUP BY at
    )
)
ORDER BY stage"""

DROPS = f"""WITH {_LEVELS}
SELECT {_NAME} AS "Stage",
    {", ".join(f"sumIf(n, outcome = '{end}') AS {chr(34)}{end.replace('_', ' ').capitalize()}{chr(34)}" for end in DROP_OFFS)}
FROM hours_v WHERE {SEGMENT} AND kind = '{Kind.END}' AND outcome != '{End.CONVERTED}'
GROUP BY stage ORDER BY stage"""

TIME_TO_CONVERT = f"""SELECT {STEP} AS time,
    quantilesTDigestMerge(0.5, 0.9, 0.99)(durations) AS quantiles_ms,
    quantiles_ms[1] / 1000 AS "half within", quantiles_ms[2] / 1000 AS "90 % within", quantiles_ms[3] / 1000 AS "99 % within"
FROM hours_v WHERE {TOTAL} AND kind = '{Kind.END}' AND outcome = '{End.CONVERTED}'
GROUP BY time ORDER BY time"""
TIME_TO_CONVERT = f'SELECT time, "half within", "90 % within", "99 % within" FROM ({TIME_TO_CONVERT})'

# --- journeys ---------------------------------------------------------------------------------------------------------

# Edges as they were walked, also into the funnel and out of it. A converted attempt ends in the last stage and leaves no edge.
_EDGES = f"""SELECT
    multiIf(kind = '{Kind.END}', from_stage, from_stage != '', from_stage, recovered, '{RETURN}', '{ENTRY}') AS origin,
    if(kind = '{Kind.END}', '{EXIT}', to_stage) AS target,
    multiIf(kind = '{Kind.END}', 'exit', kind = '{Kind.MOVE}', toString(direction),
        from_stage = '' AND recovered, 'return', '{Direction.FORWARD}') AS way,
    sum(n) AS walked
FROM hours_v
WHERE {SEGMENT} AND (kind IN ('{Kind.ENTER}', '{Kind.MOVE}') OR (kind = '{Kind.END}' AND outcome != '{End.CONVERTED}'))
GROUP BY origin, target, way"""

EDGES = f"""SELECT origin AS "From", target AS "To", way AS "Way", walked AS "Walked",
    walked / sum(walked) OVER (PARTITION BY origin) AS "Of all that left"
FROM ({_EDGES}) ORDER BY walked DESC, origin, target LIMIT 100"""

GRAPH_EDGES = f"""SELECT concat(origin, ' > ', target, ' ', way) AS id, origin AS source, target, walked AS mainstat, way AS secondarystat
FROM ({_EDGES}) ORDER BY walked DESC LIMIT 60"""

GRAPH_NODES = f"""SELECT place AS id, place AS title, sumIf(walked, inward) AS mainstat,
    if(place IN ('{ENTRY}', '{RETURN}', '{EXIT}'), 'outside', 'stage') AS subtitle
FROM ({_EDGES}) ARRAY JOIN [(target, 1), (origin, 0)] AS side, [target, origin] AS place, [1, 0] AS inward
GROUP BY place ORDER BY mainstat DESC"""

WAYS = f"""SELECT {STEP} AS time,
    multiIf(kind = '{Kind.END}', 'exit', kind = '{Kind.MOVE}', toString(direction),
        from_stage = '' AND recovered, 'return', from_stage = '', 'entry', '{Direction.FORWARD}') AS way,
    sum(n) AS walked
FROM hours_v
WHERE {SEGMENT} AND (kind IN ('{Kind.ENTER}', '{Kind.MOVE}') OR (kind = '{Kind.END}' AND outcome != '{End.CONVERTED}'))
GROUP BY time, way ORDER BY time, way"""

EXITS = f"""SELECT from_stage AS "Left from", outcome AS "Reason", sum(n) AS "Attempts",
    sum(n) / sum(sum(n)) OVER () AS "Of all exits"
FROM hours_v WHERE {SEGMENT} AND kind = '{Kind.END}' AND outcome != '{End.CONVERTED}'
GROUP BY from_stage, outcome ORDER BY "Attempts" DESC LIMIT 50"""

RETURNS = f"""SELECT {STEP} AS time, {ENTRIES} AS entries,
    sumIf(n, kind = '{Kind.ENTER}' AND stage = 0 AND recovered) / nullIf(entries, 0) AS "came back after a drop-off"
FROM hours_v WHERE {SEGMENT} AND kind = '{Kind.ENTER}' AND stage = 0
GROUP BY time ORDER BY time"""
RETURNS = f'SELECT time, "came back after a drop-off" FROM ({RETURNS})'
