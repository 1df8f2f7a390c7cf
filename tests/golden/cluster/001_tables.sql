-- Tables. Every key is deterministic: a row that is written again, in any order and any number of times, replaces itself.
-- Placeholders (docs/tables.md): ON_CLUSTER, REPLICATED, and one TTL clause for each kind of table; any may be empty.

CREATE TABLE IF NOT EXISTS transitions ON CLUSTER `east-1`
(
    funnel LowCardinality(String),
    version LowCardinality(String),
    attempt_id String,
    kind LowCardinality(String) COMMENT 'enter, end, move, refund',
    item String COMMENT 'enter: stage; move, refund: event_id; end: empty',
    revision UInt64 COMMENT 'the higher one replaces the lower of the same key',
    is_deleted UInt8,
    unit_id String,
    session_start DateTime64(3, 'UTC') COMMENT 'of a gap session, else 1970',
    attempt UInt32,
    recovered Bool,
    entry_time DateTime64(3, 'UTC'),
    event_time DateTime64(3, 'UTC'),
    event_id String,
    from_stage LowCardinality(String),
    to_stage LowCardinality(String),
    stage UInt8,
    reached UInt64 COMMENT 'bit mask of levels',
    direction LowCardinality(String),
    outcome LowCardinality(String),
    duration Int64 COMMENT 'ms, -1 where it has no meaning',
    entry_dims Array(LowCardinality(String)) COMMENT 'in the order of definitions.dimensions; first touch',
    dims Array(LowCardinality(String)) COMMENT 'of this event; last touch',
    value Nullable(Decimal(38, 9)),
    currency LowCardinality(String),
    value_reporting Nullable(Decimal(38, 9)),
    order_id String,
    consent Bool,
    stored_at DateTime DEFAULT now() COMMENT 'retention counts from here: history that is replayed stays as long as fresh rows'
)
ENGINE = ReplicatedReplacingMergeTree(revision, is_deleted)
PARTITION BY toYYYYMM(entry_time)
PRIMARY KEY (funnel, version, toDate(entry_time), attempt_id)
ORDER BY (funnel, version, toDate(entry_time), attempt_id, kind, item)
TTL stored_at + INTERVAL 400 DAY
SETTINGS non_replicated_deduplication_window = 1000;

-- One row per attempt. Each state is the newest revision that was seen, so repeats and any order of arrival give the same.
CREATE TABLE IF NOT EXISTS attempts ON CLUSTER `east-1`
(
    funnel LowCardinality(String),
    version LowCardinality(String),
    entry_day Date,
    attempt_id String,
    levels SimpleAggregateFunction(maxMap, Map(UInt8, Tuple(revision UInt64, alive UInt8, duration Int64))),
    entry SimpleAggregateFunction(max, Tuple(
        revision UInt64, alive UInt8, unit_id String, session_start DateTime64(3, 'UTC'), attempt UInt32, recovered Bool,
        entry_time DateTime64(3, 'UTC'), dims Array(String))),
    ended SimpleAggregateFunction(max, Tuple(
        revision UInt64, alive UInt8, outcome String, end_time DateTime64(3, 'UTC'), stage UInt8, duration Int64)),
    stored_at SimpleAggregateFunction(max, DateTime)
)
ENGINE = ReplicatedAggregatingMergeTree
PARTITION BY toYYYYMM(entry_day)
ORDER BY (funnel, version, entry_day, attempt_id)
TTL stored_at + INTERVAL 400 DAY;

CREATE MATERIALIZED VIEW IF NOT EXISTS attempts_mv ON CLUSTER `east-1` TO attempts AS
SELECT
    funnel,
    version,
    toDate(entry_time) AS entry_day,
    attempt_id,
    maxMap(if(
        kind = 'enter',
        map(stage, CAST((revision, 1 - is_deleted, duration), 'Tuple(revision UInt64, alive UInt8, duration Int64)')),
        CAST(([], []), 'Map(UInt8, Tuple(revision UInt64, alive UInt8, duration Int64))')
    )) AS levels,
    maxIf(
        (revision, 1 - is_deleted, unit_id, session_start, attempt, recovered, entry_time, entry_dims),
        kind = 'enter' AND stage = 0
    ) AS entry,
    maxIf((revision, 1 - is_deleted, outcome, event_time, stage, duration), kind = 'end') AS ended,
    max(transitions.stored_at) AS stored_at
FROM transitions
WHERE kind IN ('enter', 'end')
GROUP BY funnel, version, entry_day, attempt_id;

-- How far each log partition has been followed, and what became of its records (cumulative).
CREATE TABLE IF NOT EXISTS progress ON CLUSTER `east-1`
(
    funnel LowCardinality(String),
    version LowCardinality(String),
    log LowCardinality(String),
    partition UInt32,
    revision UInt64,
    watermark DateTime64(3, 'UTC'),
    horizon DateTime64(3, 'UTC'),
    read UInt64,
    matched UInt64,
    ignored UInt64,
    duplicate UInt64,
    late UInt64,
    invalid UInt64,
    bot UInt64
)
ENGINE = ReplicatedReplacingMergeTree(revision)
ORDER BY (funnel, version, log, partition);

-- What a version of a funnel means: rows carry values and levels only, their names are here. Written when a worker starts.
CREATE TABLE IF NOT EXISTS definitions ON CLUSTER `east-1`
(
    funnel LowCardinality(String),
    version LowCardinality(String),
    unit LowCardinality(String),
    mode LowCardinality(String),
    window UInt64 COMMENT 'ms',
    lateness UInt64 COMMENT 'ms',
    levels Array(String),
    following Array(UInt8) COMMENT 'of each level: the next required one (of the last: itself)',
    dimensions Array(String),
    definition String COMMENT 'JSON',
    registered_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplicatedReplacingMergeTree
ORDER BY (funnel, version);

CREATE TABLE IF NOT EXISTS dead_letters ON CLUSTER `east-1`
(
    topic LowCardinality(String),
    partition UInt32,
    offset UInt64,
    reason LowCardinality(String),
    detail String,
    time DateTime64(3, 'UTC') COMMENT 'of the source record',
    key String,
    payload String COMMENT 'bytes as they came; masked or encrypted by default',
    stored_at DateTime DEFAULT now()
)
ENGINE = ReplicatedReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (topic, partition, offset)
TTL stored_at + INTERVAL 30 DAY
SETTINGS non_replicated_deduplication_window = 1000;

-- The cleaned events, for funnels computed afterwards. Of two records with one id the earlier one of a day stays.
CREATE TABLE IF NOT EXISTS events ON CLUSTER `east-1`
(
    event LowCardinality(String),
    ts DateTime64(3, 'UTC'),
    event_id String,
    site LowCardinality(String),
    session_id String,
    visitor_id String,
    user_id String,
    account_id String,
    url String,
    landing_page String,
    referrer String,
    channel LowCardinality(String),
    source LowCardinality(String),
    medium LowCardinality(String),
    campaign String,
    content String,
    term String,
    device LowCardinality(String),
    country LowCardinality(String),
    customer_type LowCardinality(String),
    variant Map(String, String),
    revenue Nullable(Decimal(38, 9)),
    currency LowCardinality(String),
    order_id String,
    cost Nullable(Decimal(38, 9)),
    consent Nullable(UInt8),
    owner String,
    properties String COMMENT 'JSON',
    bot Bool,
    stored_at DateTime DEFAULT now(),
    rank UInt64 MATERIALIZED 18446744073709551615 - toUInt64(greatest(0, toUnixTimestamp64Milli(ts)))
)
ENGINE = ReplicatedReplacingMergeTree(rank)
PARTITION BY toYYYYMM(ts)
ORDER BY (toDate(ts), event_id, session_id, visitor_id, user_id, account_id)
TTL stored_at + INTERVAL 90 DAY
SETTINGS non_replicated_deduplication_window = 1000;
