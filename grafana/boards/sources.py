"""Where panels get their figures: the two data sources, and a target for each way of asking them."""

from __future__ import annotations

from grafana_foundation_sdk.builders import prometheus
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

#: As in grafana/provisioning/datasources.
PROMETHEUS_UID, CLICKHOUSE_UID = "funnelwatch-prometheus", "funnelwatch-clickhouse"
PROMETHEUS_TYPE, CLICKHOUSE_TYPE = "prometheus", "grafana-clickhouse-datasource"

PROMETHEUS = DataSourceRef(PROMETHEUS_TYPE, "${prometheus}")
CLICKHOUSE = DataSourceRef(CLICKHOUSE_TYPE, "${clickhouse}")
GRAFANA = DataSourceRef("grafana", "-- Grafana --")

#: Prometheus' panels ask for no finer steps: a worker is scraped about that often.
FINEST_STEP = "30s"

Target = Builder[Dataquery]


class SqlQuery(Dataquery):
    """A target of Grafana's ClickHouse plugin (4.0 or later). `ref`: the frame's name. `series`: long rows by time."""

    def __init__(self, ref: str, sql: str, *, series: bool) -> None:
        self._ref, self._sql, self._series = ref, sql.strip(), series

    def to_json(self) -> dict[str, object]:
        return {
            "datasource": CLICKHOUSE,
            "editorType": "sql",
            "format": 0 if self._series else 1,
            "pluginVersion": "4.0.0",
            "queryType": "timeseries" if self._series else "table",
            "rawSql": self._sql,
            "refId": self._ref,
        }


class _Sql(Builder[Dataquery]):
    def __init__(self, query: SqlQuery) -> None:
        self._query = query

    def build(self) -> Dataquery:
        return self._query


def rows(sql: str, ref: str = "A") -> Target:
    """Rows of ClickHouse, as a table."""
    return _Sql(SqlQuery(ref, sql, series=False))


def sql_lines(sql: str, ref: str = "A") -> Target:
    """Lines over time from ClickHouse: a column `time`, a text for the line's name, a number."""
    return _Sql(SqlQuery(ref, sql, series=True))


def now(expression: str, legend: str = "", ref: str = "A") -> Target:
    """One number for each series, at the end of the range."""
    return _query(expression, ref).instant().legend_format(legend)


def cells(expression: str, ref: str = "A") -> Target:
    """The same as rows of a table: a column for each label, and `Value #ref`."""
    return _query(expression, ref).instant().format(PromQueryFormat.TABLE)


def lines(expression: str, legend: str, ref: str = "A") -> Target:
    """Lines over time."""
    return _query(expression, ref).range().legend_format(legend).interval(FINEST_STEP)


def _query(expression: str, ref: str) -> prometheus.Dataquery:
    return prometheus.Dataquery().expr(expression).ref_id(ref).datasource(PROMETHEUS)
