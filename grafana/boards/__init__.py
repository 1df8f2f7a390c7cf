"""Grafana's dashboards as code: `python -m grafana.boards` writes grafana/dashboards/*.json, a test keeps them alike.

Names of metrics and labels come from `schemas.metrics`, outcomes and directions from `schemas.rows`, columns from
`sinks/migrations/003_hours.sql`. Each panel's query is run by tests/dashboards on a real Prometheus and on chDB.
"""
