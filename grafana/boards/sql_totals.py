"""SQL of the panels that compare segments, funnels and partitions, over the same views and under the same rules."""

from __future__ import annotations

from grafana.boards.sql import CONVERTED, CURRENT_VERSIONS, ENTRIES, HOURS, SEGMENT, SINCE, STEP, UNTIL, VERSION, chosen
from schemas.metrics import ALL
from schemas.rows import Kind

# --- segments ---------------------------------------------------------------------------------------------------------

# Each value against all the other traffic. `certainty`: how many standard deviations of chance the gap is.
SEGMENTS_AGAINST_REST = f"""SELECT dimension AS "Dimension", dimension_value AS "Value", entries AS "Attempts", converted / entries AS "Conversion",
    others AS "The others", converted / entries / nullIf(others, 0) - 1 AS "Against them",
    greatest(0, others * entries - converted) AS "Conversions missing",
    greatest(0, others * entries - converted) * whole_money / nullIf(whole_converted, 0) AS "Lost revenue",
    (others * entries - converted) / nullIf(sqrt(entries * others * (1 - others)), 0) AS "Certainty"
FROM
(
    SELECT dimension, dimension_value, {ENTRIES} AS entries, {CONVERTED} AS converted,
        sum({ENTRIES}) OVER (PARTITION BY dimension) AS whole_entries,
        sum({CONVERTED}) OVER (PARTITION BY dimension) AS whole_converted,
        sum(toFloat64(sum(ifNull(money_reporting, money)))) OVER (PARTITION BY dimension) AS whole_money,
        (whole_converted - converted) / nullIf(whole_entries - entries, 0) AS others
    FROM hours_v WHERE {VERSION} AND dimension != '{ALL}'
    GROUP BY dimension, dimension_value
)
WHERE entries > 0 AND others > converted / entries
ORDER BY "Lost revenue" DESC NULLS LAST, "Conversions missing" DESC LIMIT 50"""

RATES_BY_VALUE = f"""SELECT dimension_value AS "Value", {ENTRIES} AS "Attempts", {CONVERTED} AS "Conversions",
    {CONVERTED} / nullIf({ENTRIES}, 0) AS "Conversion"
FROM hours_v WHERE {VERSION} AND dimension = {chosen("dimension")} AND kind IN ('{Kind.ENTER}', '{Kind.END}')
GROUP BY dimension_value ORDER BY "Attempts" DESC LIMIT 25"""

RATES_OVER_TIME = f"""SELECT time, segment, converted / nullIf(entries, 0) AS conversion
FROM
(
    SELECT *, arraySlice(arrayReverseSort(groupUniqArray((size, segment)) OVER ()), 1, 8) AS largest
    FROM
    (
        SELECT {STEP} AS time, toString(dimension_value) AS segment, {ENTRIES} AS entries, {CONVERTED} AS converted,
            sum({ENTRIES}) OVER (PARTITION BY segment) AS size
        FROM hours_v WHERE {VERSION} AND dimension = {chosen("dimension")} AND kind IN ('{Kind.ENTER}', '{Kind.END}')
        GROUP BY time, segment
    )
)
WHERE has(largest, (size, segment))
ORDER BY time, segment"""

# --- goals and revenue ------------------------------------------------------------------------------------------------

REVENUE_OVER_TIME = f"""SELECT {STEP} AS time, toString(currency) AS in_currency, toFloat64(sum(money)) AS earned
FROM hours_v WHERE {SEGMENT} AND currency != ''
GROUP BY time, in_currency ORDER BY time, in_currency"""

REVENUE_BY_VALUE = f"""SELECT dimension_value AS "Value", currency AS "Currency",
    toFloat64(sumIf(money, kind = '{Kind.ENTER}')) AS "Revenue", toFloat64(sumIf(money, kind = '{Kind.REFUND}')) AS "Refunds",
    toFloat64(sum(money)) AS "Net", sumIf(n, kind = '{Kind.ENTER}') AS "Sales",
    toFloat64(sumIf(money, kind = '{Kind.ENTER}')) / nullIf(sumIf(n, kind = '{Kind.ENTER}'), 0) AS "Average basket"
FROM hours_v WHERE {VERSION} AND dimension = {chosen("dimension")} AND currency != ''
GROUP BY dimension_value, currency ORDER BY "Net" DESC, "Value" LIMIT 50"""

GOALS = f"""SELECT funnel AS "Funnel", sumIf(n, kind = '{Kind.ENTER}' AND stage = 0) AS "Attempts", {CONVERTED} AS "Conversions",
    {CONVERTED} / nullIf({ENTRIES}, 0) AS "Conversion", sumIf(n, kind = '{Kind.ENTER}' AND stage = 0 AND recovered) AS "Returns"
FROM hours_v WHERE {CURRENT_VERSIONS} AND dimension = '{ALL}' AND {HOURS}
GROUP BY funnel ORDER BY "Conversions" DESC, "Funnel" """

# --- overview ---------------------------------------------------------------------------------------------------------

# Every stage that has a target, and the share of those who reached the required stage before it.
TARGETS = f"""WITH
    (SELECT CAST((groupArray(concat(funnel, '/', version)), groupArray(following)), 'Map(String, Array(UInt8))') FROM definitions_v) AS nexts
SELECT funnel AS "Funnel", stage_name AS "Stage", target AS "Target", floor AS "Floor",
    entered[stage] / nullIf(entered[previous], 0) AS "Now", "Now" / target - 1 AS "Against target"
FROM
(
    SELECT funnel, version, toUInt8(number - 1) AS stage, levels[number] AS stage_name,
        JSONExtract(JSONExtractArrayRaw(definition, 'stages')[number], 'target', 'Nullable(Float64)') AS target,
        JSONExtract(JSONExtractArrayRaw(definition, 'stages')[number], 'floor', 'Nullable(Float64)') AS floor,
        nexts[concat(funnel, '/', version)] AS following,
        arrayMax(arrayFilter(level -> level = 0 OR has(following, level), range(toUInt8(greatest(number - 1, 1))))) AS previous
    FROM definitions_v ARRAY JOIN arrayEnumerate(levels) AS number
    WHERE {CURRENT_VERSIONS} AND mode != 'unordered'
) AS wanted
LEFT JOIN
(
    SELECT funnel, version, sumMap(map(stage, n)) AS entered
    FROM hours_v WHERE {CURRENT_VERSIONS} AND dimension = '{ALL}' AND kind = '{Kind.ENTER}' AND {HOURS}
    GROUP BY funnel, version
) AS counted USING (funnel, version)
WHERE target IS NOT NULL
ORDER BY "Against target" NULLS LAST, "Funnel", stage"""

# --- pipeline ---------------------------------------------------------------------------------------------------------

LETTERS = f"""SELECT time AS "Time", topic AS "Topic", partition AS "Partition", offset AS "Offset", reason AS "Reason", detail AS "Detail"
FROM dead_letters_v WHERE time >= {SINCE} AND time <= {UNTIL}
ORDER BY time DESC, topic, partition, offset DESC LIMIT 100"""

FOLLOWED = """SELECT funnel AS "Funnel", log AS "Log", partition AS "Partition", horizon AS "Followed to", read AS "Read", matched AS "Matched",
    duplicate AS "Duplicate", late AS "Late", invalid AS "Invalid", bot AS "Bot"
FROM progress_v WHERE (funnel, version) IN (SELECT funnel, argMax(version, registered_at) FROM definitions_v GROUP BY funnel)
ORDER BY "Funnel", "Log", "Partition" LIMIT 200"""
