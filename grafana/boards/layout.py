"""From panels to a dashboard: their places, numbers, links to the other dashboards, and marks of deploys and alerts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.dashboard import (
    AnnotationQuery,
    AnnotationTarget,
    Dashboard,
    DashboardCursorSync,
    DashboardLinkType,
    GridPos,
    Panel,
    RowPanel,
)

from grafana.boards.kinds import PanelBuilder
from grafana.boards.promql import FIRING, THIS_SITE, select
from grafana.boards.sources import GRAFANA, PROMETHEUS
from grafana.boards.variables import Variable
from schemas.metrics import ANNOTATION

TAG = "funnelwatch"
COLUMNS = 24
#: That of Grafana 11.0: 12 reads it as well, and raises it on its own.
SCHEMA_VERSION = 39


class Section(msgspec.Struct, frozen=True):
    """A row of the dashboard with its heading."""

    title: str
    panels: tuple[PanelBuilder, ...]


class Board(msgspec.Struct, frozen=True):
    """One dashboard. `uid`: for good, links and alerts use it. `since`: the range at first. `alerts`: matchers of the marks."""

    uid: str
    title: str
    description: str
    variables: tuple[Variable, ...]
    sections: tuple[Section, ...]
    since: str = "now-24h"
    refresh: str = "1m"
    alerts: tuple[str, ...] = ()

    @property
    def of_site(self) -> bool:
        """Whether it asks Prometheus about a chosen site."""
        return any(one.build().name == "site" for one in self.variables)

    def build(self) -> Dashboard:
        """The model that Grafana takes."""
        board = (
            build.Dashboard(self.title).uid(self.uid).description(self.description).tags([TAG]).timezone("browser")
            .time(self.since, "now").refresh(self.refresh).tooltip(DashboardCursorSync.CROSSHAIR).editable()
            .variables(list(self.variables)).annotations(list(_marks(self.alerts, of_site=self.of_site))).link(_others())
        ).build()  # fmt: skip
        board.panels = place(self.sections)
        board.schema_version, board.version = SCHEMA_VERSION, 1
        return board


def place(sections: Sequence[Section]) -> list[Panel | RowPanel]:
    """All panels with their places, from left to right and then down; a section begins a new line."""
    placed: list[Panel | RowPanel] = []
    y = 0
    for section in sections:
        row = build.Row(section.title).build()
        row.collapsed, row.grid_pos, row.panels = False, GridPos(x=0, y=y, w=COLUMNS, h=1), []
        placed.append(row)
        x, y, highest = 0, y + 1, 0
        for builder in section.panels:
            panel = builder.build()
            spot = panel.grid_pos or GridPos()
            if x + spot.w > COLUMNS:
                x, y, highest = 0, y + highest, 0
            panel.grid_pos = GridPos(x=x, y=y, w=spot.w, h=spot.h)
            x, highest = x + spot.w, max(highest, spot.h)
            placed.append(panel)
        y += highest
    for number, each in enumerate(placed, 1):
        each.id_val = number
    return placed


class Mark(AnnotationQuery):
    """An annotation of Prometheus: its texts are templates over the labels, which the SDK's type leaves out."""

    title_format, text_format, tag_keys = "", "", ""
    value_is_time = False  # the sample's value is the moment, in ms

    def to_json(self) -> dict[str, object]:
        shown = {"titleFormat": self.title_format, "textFormat": self.text_format, "tagKeys": self.tag_keys}
        return super().to_json() | shown | ({"useValueForTime": True} if self.value_is_time else {})


class _Marks(Builder[AnnotationQuery]):
    def __init__(self, mark: AnnotationQuery) -> None:
        self._mark = mark

    def build(self) -> AnnotationQuery:
        return self._mark


def _marks(alerts: tuple[str, ...], *, of_site: bool) -> Iterable[Builder[AnnotationQuery]]:
    if of_site:
        moments = f"max by (name, kind) ({select(ANNOTATION.name, (THIS_SITE,))}) * {ANNOTATION.scale}"
        changes = Mark("Changes", PROMETHEUS, icon_color="blue", expr=moments)
        changes.title_format, changes.text_format, changes.tag_keys = "{{name}}", "{{kind}}", "kind"
        changes.value_is_time = True
        yield _Marks(changes)
    deploys = AnnotationTarget(limit=100, match_any=True, tags=["deploy"], type_val="tags")
    yield _Marks(AnnotationQuery("Deploys", GRAFANA, icon_color="purple", target=deploys))
    if alerts:
        expression = select("ALERTS", (FIRING, *alerts))
        mark = Mark("Alerts", PROMETHEUS, icon_color="red", expr=expression)
        mark.title_format, mark.text_format, mark.tag_keys = "{{alertname}}", "{{funnel}} {{funnel_stage}}", "severity"
        yield _Marks(mark)


def _others() -> build.DashboardLink:
    """The other dashboards, with this one's range and variables."""
    return (
        build.DashboardLink("funnelwatch").type(DashboardLinkType.DASHBOARDS).tags([TAG]).as_dropdown(as_dropdown=False)
        .include_vars(include_vars=True).keep_time(keep_time=True)
    )  # fmt: skip


def link(uid: str, **variables: str) -> str:
    """The address of another dashboard for one cell of a table, with this one's range."""
    chosen = "".join(f"var-{name}={text}&" for name, text in variables.items())
    return f"/d/{uid}?{chosen}${{__url_time_range}}"


def encode(board: Board) -> bytes:
    """The dashboard's JSON, the same bytes for the same definition."""
    return msgspec.json.format(msgspec.json.encode(_plain(board.build()), order="sorted"), indent=2) + b"\n"


def _plain(value: Any) -> Any:
    """The SDK's objects as dicts, lists and values."""
    if hasattr(value, "to_json"):
        return _plain(value.to_json())
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
