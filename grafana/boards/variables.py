"""The variables of the dashboards. One name means the same everywhere, so that links between dashboards carry them."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    VariableHide,
    VariableModel,
    VariableOption,
    VariableRefresh,
    VariableSort,
)

from grafana.boards.promql import SEGMENT, THIS_SITE, VALUES, select
from grafana.boards.sources import (
    CLICKHOUSE,
    CLICKHOUSE_TYPE,
    CLICKHOUSE_UID,
    PROMETHEUS,
    PROMETHEUS_TYPE,
    PROMETHEUS_UID,
)
from grafana.boards.sql import DIMENSIONS_OF, FUNNELS_OF, VALUES_OF, VERSIONS_OF
from schemas.metrics import ALL, ATTEMPTS_STARTED, DIMENSION, FUNNEL, SITE, STAGE, STAGE_CONVERSIONS, VALUE

Variable = Builder[VariableModel]
_EVERYTHING = VariableOption(selected=True, text=ALL, value=ALL)


def data_sources(*, prometheus: bool = True, clickhouse: bool = True) -> list[Variable]:
    """The choice of data sources; the provisioned ones are chosen at first."""
    found = []
    if prometheus:
        found.append(_source("prometheus", "Prometheus", PROMETHEUS_TYPE, PROMETHEUS_UID))
    if clickhouse:
        found.append(_source("clickhouse", "ClickHouse", CLICKHOUSE_TYPE, CLICKHOUSE_UID))
    return found


def site() -> Variable:
    """`$site`: of the worker's settings; all at first."""
    return _many("site", "Site", _labels(ATTEMPTS_STARTED.name, (), SITE))


def funnels() -> Variable:
    """`$funnels`: those on the overview; all at first. (Not `$funnel`, which links carry to the other dashboards.)"""
    return _many("funnels", "Funnels", _labels(ATTEMPTS_STARTED.name, (THIS_SITE,), FUNNEL))


def of_prometheus(*, value: bool = True) -> list[Variable]:
    """`$funnel`, `$dimension` and (with `value`) `$value`: the segments that Prometheus has."""
    found = [
        _one("funnel", "Funnel", _labels(ATTEMPTS_STARTED.name, (THIS_SITE,), FUNNEL), PROMETHEUS),
        _one("dimension", "Dimension", _labels(ATTEMPTS_STARTED.name, SEGMENT[:2], DIMENSION), PROMETHEUS, _EVERYTHING),
        _one("value", "Value", _labels(ATTEMPTS_STARTED.name, VALUES, VALUE), PROMETHEUS, _EVERYTHING),
    ]
    return found if value else found[:-1]


def stage() -> Variable:
    """`$stage`: those that one can go on from; all at first."""
    return _many("stage", "Stage", _labels(STAGE_CONVERSIONS.name, SEGMENT[:2], STAGE))


def of_clickhouse() -> list[Variable]:
    """The same from ClickHouse: every value, whether Prometheus counts it or not."""
    return [
        _one("funnel", "Funnel", FUNNELS_OF, CLICKHOUSE),
        version(),
        _one("dimension", "Dimension", DIMENSIONS_OF, CLICKHOUSE, _EVERYTHING),
        _one("value", "Value", VALUES_OF, CLICKHOUSE, _EVERYTHING),
    ]


def version() -> Variable:
    """`$version`: of the definition, the one that was registered last at first."""
    return _one("version", "Definition", VERSIONS_OF, CLICKHOUSE)


def smoothing() -> Variable:
    """`$smooth`: the window of the rates over time."""
    options = ("5m", "15m", "1h", "6h", "1d")
    return (
        build.CustomVariable("smooth")
        .label("Smoothed over")
        .description("The window of each point of the rates over time: longer is steadier and later.")
        .values(",".join(options))
        .options([VariableOption(selected=text == "1h", text=text, value=text) for text in options])
        .current(VariableOption(selected=True, text="1h", value="1h"))
    )


def _source(name: str, label: str, kind: str, uid: str) -> Variable:
    chosen = VariableOption(selected=True, text=label, value=uid)
    return build.DatasourceVariable(name).label(label).type(kind).current(chosen)


def _labels(metric: str, matchers: tuple[str, ...], label: str) -> dict[str, object]:
    return {
        "qryType": 1,  # label values
        "query": f"label_values({select(metric, matchers) if matchers else metric}, {label})",
        "refId": "PrometheusVariableQueryEditor-VariableQuery",
    }


def _many(name: str, label: str, query: dict[str, object]) -> Variable:
    everything = VariableOption(selected=True, text=["All"], value=["$__all"])
    return (
        _query(name, label, query, PROMETHEUS).sort(VariableSort.ALPHABETICAL_ASC).multi(multi=True)
        .include_all(include_all=True).all_value(".+").current(everything)
    )  # fmt: skip


def _one(
    name: str, label: str, query: str | dict[str, object], source: DataSourceRef, chosen: VariableOption | None = None
) -> Variable:
    variable = _query(name, label, query, source)
    return variable if chosen is None else variable.current(chosen)


def _query(name: str, label: str, query: str | dict[str, object], source: DataSourceRef) -> build.QueryVariable:
    return (
        build.QueryVariable(name).label(label).query(query).datasource(source).hide(VariableHide.DONT_HIDE)
        .refresh(VariableRefresh.ON_TIME_RANGE_CHANGED)
    )  # fmt: skip
