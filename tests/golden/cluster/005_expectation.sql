-- What expected conversions are learned from: entries of each step of each funnel by quarter of an hour, and how many converted.
-- Counted once, when all that belongs to a quarter has come; a quarter that is counted again replaces itself. `step` is a fingerprint
-- of what the step counts, so that a funnel whose other stages change keeps this one's history.

CREATE TABLE IF NOT EXISTS expectation_counts ON CLUSTER `east-1`
(
    step LowCardinality(String),
    quarter DateTime('UTC') COMMENT 'in which the stage was entered',
    dimension LowCardinality(String),
    dimension_value String,
    seeded UInt8 COMMENT '1: by funnelwatch seed; counts only before the first quarter that is not',
    entered UInt64,
    converted UInt64,
    delays Map(UInt32, UInt64) COMMENT 'age in steps of time: conversions; of all traffic only',
    counted_at DateTime64(3, 'UTC') DEFAULT now64(3)
)
ENGINE = ReplicatedReplacingMergeTree(counted_at)
PARTITION BY toYYYYMM(quarter)
ORDER BY (step, dimension, dimension_value, quarter, seeded)
TTL toDateTime(counted_at) + INTERVAL 100 DAY;
