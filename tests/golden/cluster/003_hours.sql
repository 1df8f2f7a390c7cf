-- Counts by hour of entry, for dashboards that look back over months. Needs ClickHouse 24.10 or later.
-- Entries of the days before today (UTC) are read from `hours`, which is computed anew from FINAL every fifteen minutes; today's are
-- counted when asked for. Nothing is ever added up twice: a repeated insert changes no figure, and a correction of an older day is
-- seen after fifteen minutes at most. Before the first refresh all is counted when asked for: slower, the same figures.
-- A refresh takes about 3 µs a row: from 100 million rows on, ALTER TABLE hours_mv MODIFY REFRESH EVERY 2 HOUR.

-- The rows of `transitions`, once for all traffic and once for each of their values, in the shape of `hours`.
-- A version that is not in `definitions` has no dimensions here.
CREATE OR REPLACE VIEW hours_now_v ON CLUSTER `east-1` AS
WITH (
    SELECT CAST((groupArray(concat(funnel, '/', version)), groupArray(dimensions)), 'Map(String, Array(String))')
    FROM definitions FINAL
) AS names
SELECT
    funnel,
    version,
    toDate(entry_time) AS entry_day,
    toStartOfHour(entry_time) AS hour,
    cell.1 AS dimension,
    cell.2 AS dimension_value,
    kind,
    from_stage,
    to_stage,
    stage,
    reached,
    direction,
    outcome,
    recovered,
    currency,
    toUInt64(1) AS n,
    value AS money,
    value_reporting AS money_reporting,
    arrayReduce('quantilesTDigestState(0.5, 0.9, 0.99)', if(duration >= 0 AND cell.1 = 'all', [duration], [])) AS durations
FROM transitions FINAL
ARRAY JOIN arrayConcat(
    [('all', 'all')],
    arrayZip(names[concat(funnel, '/', version)],
        arrayResize(entry_dims, length(names[concat(funnel, '/', version)]), '(none)'))) AS cell;

-- `n`: rows. `money`: of `currency`, before orders that several units share are made one. `durations`: of all traffic only, over the
-- ms of rows that have a duration. Each replica computes its own, so the table is not replicated.
CREATE TABLE IF NOT EXISTS hours ON CLUSTER `east-1`
(
    funnel LowCardinality(String),
    version LowCardinality(String),
    entry_day Date,
    hour DateTime('UTC'),
    dimension LowCardinality(String),
    dimension_value LowCardinality(String),
    kind LowCardinality(String),
    from_stage LowCardinality(String),
    to_stage LowCardinality(String),
    stage UInt8,
    reached UInt64,
    direction LowCardinality(String),
    outcome LowCardinality(String),
    recovered Bool,
    currency LowCardinality(String),
    n UInt64,
    money Nullable(Decimal(38, 9)),
    money_reporting Nullable(Decimal(38, 9)),
    durations AggregateFunction(quantilesTDigest(0.5, 0.9, 0.99), Int64),
    counted_to Date COMMENT 'the first day that is not in here, the same in all rows'
) ENGINE = MergeTree
ORDER BY (funnel, version, dimension, dimension_value, hour);

CREATE MATERIALIZED VIEW IF NOT EXISTS hours_mv ON CLUSTER `east-1` REFRESH EVERY 15 MINUTE TO hours AS
SELECT
    funnel, version, entry_day, hour, dimension, dimension_value, kind, from_stage, to_stage, stage, reached, direction, outcome,
    recovered, currency,
    count() AS n,
    sum(hours_now_v.money) AS money,
    sum(hours_now_v.money_reporting) AS money_reporting,
    quantilesTDigestMergeState(0.5, 0.9, 0.99)(hours_now_v.durations) AS durations,
    toDate(now('UTC')) AS counted_to
FROM hours_now_v
WHERE entry_day < toDate(now('UTC'))
GROUP BY
    funnel, version, entry_day, hour, dimension, dimension_value, kind, from_stage, to_stage, stage, reached, direction, outcome,
    recovered, currency;

CREATE OR REPLACE VIEW hours_v ON CLUSTER `east-1` AS
SELECT * EXCEPT (counted_to) FROM hours
UNION ALL
SELECT * FROM hours_now_v WHERE entry_day >= (SELECT max(counted_to) FROM hours);
