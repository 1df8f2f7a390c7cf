-- What people did at a moment (`funnelwatch annotate`): releases, campaigns, maintenance. `revision`: the record's offset.
CREATE TABLE IF NOT EXISTS annotations ON CLUSTER `east-1`
(
    name String,
    at DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    until Nullable(DateTime64(3, 'UTC')),
    revision UInt64,
    is_deleted UInt8
)
ENGINE = ReplicatedReplacingMergeTree(revision, is_deleted)
ORDER BY name;

CREATE OR REPLACE VIEW annotations_v ON CLUSTER `east-1` AS
SELECT name, at, kind, until FROM annotations FINAL;
