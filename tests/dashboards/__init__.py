"""Every panel's query, run: PromQL on a real Prometheus, SQL on ClickHouse's engine, over one made-up morning of a shop."""
