CREATE DATABASE IF NOT EXISTS `funnelwatch` ON CLUSTER `east-1`;

CREATE TABLE IF NOT EXISTS schema_versions ON CLUSTER `east-1`
(
    version UInt32,
    md5 String,
    script String,
    created_at DateTime DEFAULT now()
)
ENGINE = ReplicatedMergeTree
ORDER BY tuple(created_at);
