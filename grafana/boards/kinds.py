"""The kinds of panels, in the house's style: each has a description, a unit, and says why it is empty when it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import msgspec
from grafana_foundation_sdk.builders import barchart, bargauge, nodegraph, stat, table, timeseries
from grafana_foundation_sdk.builders import common as common_build
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import (
    DataSourceRef,
    DataTransformerConfig,
    DynamicConfigValue,
    Panel,
    Threshold,
    ThresholdsMode,
)

from grafana.boards.sources import PROMETHEUS, Target

PanelBuilder = Builder[Panel]
P = TypeVar("P", stat.Panel, timeseries.Panel, table.Panel, bargauge.Panel, barchart.Panel, nodegraph.Panel)

COUNT, SHARE, SECONDS, PER_SECOND = "short", "percentunit", "s", "ops"
MONEY = "none"  # the currency is in the series' name or the row
GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"

#: What stands where a baseline is needed that is not there yet.
LEARNING = "learning"


class Words(msgspec.Struct, frozen=True):
    """What a panel says of itself. `empty`: shown in place of the figure while there is none."""

    title: str
    description: str
    empty: str


class Size(msgspec.Struct, frozen=True):
    """In Grafana's grid: of 24 columns (51 pixels each at 1280), and of 30 pixels. On phones panels stand one below another."""

    width: int
    height: int


TILE, HALF, THIRD, FULL = Size(4, 4), Size(12, 9), Size(8, 9), Size(24, 9)


class Column(msgspec.Struct, frozen=True):
    """A column of a table: its unit, its steps (colour of the text), and where a click on it leads."""

    name: str
    unit: str = COUNT
    steps: tuple[tuple[float | None, str], ...] = ()
    decimals: int | None = None
    link: str = ""
    width: int | None = None


def tile(
    words: Words, target: Target, unit: str, steps: Sequence[tuple[float | None, str]] = (), size: Size = TILE,
    decimals: int | None = None, source: DataSourceRef = PROMETHEUS,
) -> PanelBuilder:  # fmt: skip
    """One number, or one for each series."""
    panel = _framed(stat.Panel(), words, size, [target], source).unit(unit)
    panel = panel.color_mode(common.BigValueColorMode.VALUE).graph_mode(common.BigValueGraphMode.NONE)
    panel = panel.reduce_options(common_build.ReduceDataOptions().calcs(["lastNotNull"]).values(values=False))
    if decimals is not None:
        panel = panel.decimals(decimals)
    return panel.thresholds(thresholds(steps or ((None, GREY),)))


def curves(
    words: Words, targets: Sequence[Target], unit: str, size: Size = HALF, source: DataSourceRef = PROMETHEUS, *,
    stacked: bool = False, lowest: float | None = 0,
) -> timeseries.Panel:  # fmt: skip
    """Lines over time; `stacked` as areas."""
    panel = _framed(timeseries.Panel(), words, size, targets, source).unit(unit)
    panel = panel.line_width(1).fill_opacity(40 if stacked else 0).show_points(common.VisibilityMode.AUTO)
    panel = panel.span_nulls(span_nulls=True).legend(_legend()).tooltip(_tooltip())
    if lowest is not None:
        panel = panel.axis_soft_min(lowest)
    if stacked:
        panel = panel.stacking(common_build.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    return panel


def grid(
    words: Words, targets: Sequence[Target], columns: Iterable[Column], size: Size = FULL,
    source: DataSourceRef = PROMETHEUS, order: str = "",
) -> table.Panel:  # fmt: skip
    """Rows. `order`: the column by which they stand, highest first."""
    panel = _framed(table.Panel(), words, size, targets, source).show_header(show_header=True)
    panel = panel.cell_height(common.TableCellHeight.SM).align(common.FieldTextAlignment.AUTO).inspect(inspect=False)
    for column in columns:
        panel = panel.override_by_name(column.name, _properties(column))
    if order:
        panel = panel.sort_by([common_build.TableSortByFieldState().display_name(order).desc(desc=True)])
    return panel


def bars(
    words: Words, target: Target, unit: str, size: Size = HALF, source: DataSourceRef = PROMETHEUS,
    steps: Sequence[tuple[float | None, str]] = ((None, BLUE),), *, each_row: bool = False, field: str = "",
) -> bargauge.Panel:  # fmt: skip
    """A horizontal bar for each series, or (`each_row`) for each row of the column `field`."""
    panel = _framed(bargauge.Panel(), words, size, [target], source).unit(unit).min(0)
    options = common_build.ReduceDataOptions().calcs(["lastNotNull"]).values(values=each_row)
    panel = panel.reduce_options(options.fields(f"/^{field}$/") if field else options)
    panel = panel.orientation(common.VizOrientation.HORIZONTAL).display_mode(common.BarGaugeDisplayMode.BASIC)
    return panel.value_mode(common.BarGaugeValueMode.TEXT).thresholds(thresholds(steps))


def stack(words: Words, target: Target, across: str, size: Size = HALF, *, source: DataSourceRef) -> barchart.Panel:
    """Stacked bars: one for each value of the column `across`, a part of it for each other column."""
    panel = _framed(barchart.Panel(), words, size, [target], source).unit(COUNT).x_field(across)
    panel = panel.orientation(common.VizOrientation.HORIZONTAL).stacking(common.StackingMode.NORMAL)
    panel = panel.line_width(1).fill_opacity(80).gradient_mode(common.GraphGradientMode.NONE)
    return panel.show_value(common.VisibilityMode.NEVER).legend(_legend()).tooltip(_tooltip())


def graph(words: Words, nodes: Target, edges: Target, size: Size, source: DataSourceRef) -> nodegraph.Panel:
    """Stages and the edges between them."""
    return _framed(nodegraph.Panel(), words, size, [nodes, edges], source)


def joined(panel: table.Panel, names: dict[str, str], hidden: Iterable[str] = ()) -> table.Panel:
    """The rows of several queries of Prometheus as one: columns are renamed by `names`, and stand in their order."""
    order = {name: index for index, name in enumerate(names)}
    left_out = dict.fromkeys(("Time", *hidden), True)
    return panel.with_transformation(DataTransformerConfig("merge", options={})).with_transformation(
        DataTransformerConfig(
            "organize", options={"excludeByName": left_out, "indexByName": order, "renameByName": names}
        )
    )


def thresholds(steps: Sequence[tuple[float | None, str]]) -> build.ThresholdsConfig:
    """Colours from a value on; the first step has none."""
    found = [Threshold(value=value, color=color) for value, color in steps]
    return build.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def _framed(panel: P, words: Words, size: Size, targets: Sequence[Target], source: DataSourceRef) -> P:
    panel.title(words.title).description(words.description).no_value(words.empty)
    panel.height(size.height).span(size.width).datasource(source).targets(list(targets))
    return panel


def _properties(column: Column) -> list[DynamicConfigValue]:
    found = [DynamicConfigValue("unit", column.unit)]
    if column.decimals is not None:
        found.append(DynamicConfigValue("decimals", column.decimals))
    if column.width is not None:
        found.append(DynamicConfigValue("custom.width", column.width))
    if column.steps:
        found.append(DynamicConfigValue("thresholds", thresholds(column.steps).build()))
        found.append(DynamicConfigValue("custom.cellOptions", {"type": "color-text"}))
    if column.link:
        found.append(DynamicConfigValue("links", [{"title": "Open", "url": column.link}]))
    return found


def _legend() -> common_build.VizLegendOptions:
    below = common_build.VizLegendOptions().display_mode(common.LegendDisplayMode.LIST)
    return below.placement(common.LegendPlacement.BOTTOM).show_legend(show_legend=True).calcs([])


def _tooltip() -> common_build.VizTooltipOptions:
    return common_build.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
