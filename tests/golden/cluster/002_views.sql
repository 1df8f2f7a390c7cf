-- Views. They read FINAL, so they are exact at any moment, whatever has been merged. Filter them by `entry_day` as well as
-- by time: it is the key. Names of dimensions come from `definitions`; a version that is not there gets dim1, dim2, …

CREATE OR REPLACE VIEW transitions_v ON CLUSTER `east-1` AS
WITH (
    SELECT CAST((groupArray(concat(funnel, '/', version)), groupArray(dimensions)), 'Map(String, Array(String))')
    FROM definitions FINAL
) AS names
SELECT
    funnel, version, attempt_id, kind, item, revision, unit_id, session_start, attempt, recovered,
    toDate(entry_time) AS entry_day, entry_time, event_time, event_id, from_stage, to_stage, stage, reached, direction, outcome,
    duration, entry_dims, dims, value, currency, value_reporting, order_id, consent,
    mapFromArrays(arrayMap(
        i -> if(names[concat(funnel, '/', version)][i] = '', concat('dim', toString(i)), names[concat(funnel, '/', version)][i]),
        arrayEnumerate(entry_dims)), entry_dims) AS dimensions
FROM transitions FINAL;

CREATE OR REPLACE VIEW attempts_v ON CLUSTER `east-1` AS
WITH
    (
        SELECT CAST((groupArray(concat(funnel, '/', version)), groupArray(dimensions)), 'Map(String, Array(String))')
        FROM definitions FINAL
    ) AS names,
    mapFilter((level, state) -> state.2 = 1, levels) AS living
SELECT
    funnel, version, attempt_id, entry_day,
    entry.unit_id AS unit_id,
    entry.session_start AS session_start,
    entry.attempt AS attempt,
    entry.recovered AS recovered,
    entry.entry_time AS entry_time,
    arraySum(arrayMap(level -> bitShiftLeft(toUInt64(1), level), mapKeys(living))) AS reached,
    arrayMax(mapKeys(living)) AS level,
    ended.alive = 0 AS open,
    if(open, '', ended.outcome) AS outcome,
    if(open, NULL, ended.end_time) AS end_time,
    if(open, level, ended.stage) AS end_stage,
    mapApply((level, state) -> (level, state.3), living) AS durations,
    entry.dims AS entry_dims,
    mapFromArrays(arrayMap(
        i -> if(names[concat(funnel, '/', version)][i] = '', concat('dim', toString(i)), names[concat(funnel, '/', version)][i]),
        arrayEnumerate(entry_dims)), entry_dims) AS dimensions
FROM
(
    -- materialize: FINAL does not merge a part of a tuple that is read alone, such as `entry.alive` (ClickHouse #61161).
    SELECT funnel, version, entry_day, attempt_id, materialize(levels) AS levels, materialize(entry) AS entry,
        materialize(ended) AS ended
    FROM attempts FINAL
)
WHERE entry.alive = 1;

CREATE OR REPLACE VIEW progress_v ON CLUSTER `east-1` AS
SELECT * FROM progress FINAL;

CREATE OR REPLACE VIEW definitions_v ON CLUSTER `east-1` AS
SELECT * FROM definitions FINAL;

CREATE OR REPLACE VIEW dead_letters_v ON CLUSTER `east-1` AS
SELECT * FROM dead_letters FINAL;

CREATE OR REPLACE VIEW events_v ON CLUSTER `east-1` AS
SELECT * FROM events FINAL;

-- For dashboards: what became of the attempts that entered in each minute, for all and for each value of each dimension.
-- `converted`: went on to the next required level. `dropped`: ended there; by reason in `dropped_by`.
CREATE OR REPLACE VIEW stage_minutes_v ON CLUSTER `east-1` AS
WITH
    (
        SELECT CAST((groupArray(concat(funnel, '/', version)), groupArray(following)), 'Map(String, Array(UInt8))')
        FROM definitions FINAL
    ) AS nexts,
    nexts[concat(funnel, '/', version)][stage + 1] AS following
SELECT
    funnel, version, entry_day,
    toStartOfMinute(entry_time) AS minute,
    stage,
    cell.1 AS dimension,
    cell.2 AS dimension_value,
    count() AS entered,
    countIf(following > stage AND bitTest(reached, following)) AS converted,
    countIf(end_stage = stage AND NOT open AND outcome != 'converted') AS dropped,
    countIf(end_stage = stage AND open) AS still_open,
    sumMap(if(end_stage = stage AND NOT open AND outcome != 'converted', map(outcome, toUInt64(1)),
        CAST(([], []), 'Map(String, UInt64)'))) AS dropped_by
FROM
(
    SELECT funnel, version, entry_day, entry_time, reached, open, outcome, end_stage, dimensions, stage
    FROM attempts_v
    ARRAY JOIN mapKeys(durations) AS stage
)
ARRAY JOIN arrayConcat([('all', 'all')], CAST(dimensions, 'Array(Tuple(String, String))')) AS cell
GROUP BY funnel, version, entry_day, minute, stage, dimension, dimension_value;

-- The money of the same minutes, before orders that several units share are made one.
CREATE OR REPLACE VIEW value_minutes_v ON CLUSTER `east-1` AS
SELECT
    funnel, version, entry_day,
    toStartOfMinute(entry_time) AS minute,
    stage,
    cell.1 AS dimension,
    cell.2 AS dimension_value,
    currency,
    sum(assumeNotNull(value)) AS value,
    sum(value_reporting) AS value_reporting
FROM transitions_v
ARRAY JOIN arrayConcat([('all', 'all')], CAST(dimensions, 'Array(Tuple(String, String))')) AS cell
WHERE transitions_v.value IS NOT NULL
GROUP BY funnel, version, entry_day, minute, stage, dimension, dimension_value, currency;
