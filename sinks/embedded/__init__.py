"""Real engines without a server to install: Apache Kafka on a bundled Java, ClickHouse through chDB (extra `embedded`)."""
