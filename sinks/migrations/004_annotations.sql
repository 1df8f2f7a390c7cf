-- What people did at a moment (`funnelwatch annotate`): releases, campaigns, maintenance. `revision`: the record's offset.
CREATE TABLE IF NOT EXISTS annotations ${ON_CLUSTER}
(
    name String,
    at DateTime64(3, 'UTC'),
    kind LowCardinality(String),
    until Nullable(DateTime64(3, 'UTC')),
    revision UInt64,
    is_deleted UInt8
)
ENGINE = ${REPLICATED}ReplacingMergeTree(revision, is_deleted)
ORDER BY name;

CREATE OR REPLACE VIEW annotations_v ${ON_CLUSTER} AS
SELECT name, at, kind, until FROM annotations FINAL;
