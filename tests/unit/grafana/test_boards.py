"""The committed dashboards: as the code makes them, valid for Grafana's types, readable, and of names that exist."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
import yaml
from grafana_foundation_sdk.cog import plugins
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.boards.__main__ import BOARDS, FOLDER
from grafana.boards.layout import encode
from schemas.metrics import METRICS, Type
from sinks.clickhouse.migrate import migrations

ROOT = Path(__file__).parents[3]
UIDS = {
    "overview.json": "funnelwatch-overview",
    "funnel.json": "funnelwatch-funnel",
    "journeys.json": "funnelwatch-journeys",
    "segments.json": "funnelwatch-segments",
    "revenue.json": "funnelwatch-revenue",
    "pipeline.json": "funnelwatch-pipeline",
}
#: At 1280 pixels a column has 51: narrower than this the figures of a kind can't be read.
NARROWEST = {"stat": 4, "timeseries": 8, "bargauge": 12, "barchart": 12, "table": 12, "nodeGraph": 24}
#: Template fields of Prometheus' annotations, which Grafana reads and its published types leave out.
TEMPLATES = {"titleFormat", "textFormat", "tagKeys", "useValueForTime"}
SUFFIXES = {Type.COUNTER: ("",), Type.GAUGE: ("",), Type.HISTOGRAM: ("_bucket", "_count", "_sum")}
NAMES = {metric.name + suffix for metric in METRICS for suffix in SUFFIXES[metric.type]} | {
    "ALERTS",
    "ALERTS_FOR_STATE",
}
LABELS = {label for metric in METRICS for label in metric.labels} | {
    "le", "counter", "alertname", "severity", "alertstate", "instance",
}  # fmt: skip

plugins.register_default_plugins()
EACH_BOARD = pytest.mark.parametrize("name", BOARDS)


def document(name: str) -> dict[str, Any]:
    loaded = msgspec.json.decode((FOLDER / name).read_bytes())
    assert isinstance(loaded, dict)
    return loaded


def panels(name: str) -> list[dict[str, Any]]:
    return [panel for panel in document(name)["panels"] if panel["type"] != "row"]


PANELS = [(name, panel) for name in BOARDS for panel in panels(name)]
EACH_PANEL = pytest.mark.parametrize(
    ("name", "panel"), PANELS, ids=[f"{name}: {panel['title']}" for name, panel in PANELS]
)


@EACH_BOARD
def test_the_file_is_what_the_code_makes(name: str) -> None:
    assert (FOLDER / name).read_bytes() == encode(BOARDS[name]), "run `python -m grafana.boards`"


def test_there_are_no_other_files_and_every_address_is_for_good() -> None:
    assert {path.name for path in FOLDER.glob("*.json")} == UIDS.keys()
    assert {name: document(name)["uid"] for name in BOARDS} == UIDS


@EACH_BOARD
def test_grafanas_types_know_every_field(name: str) -> None:
    """Read into the types and written again, nothing is lost: what they don't know would be."""
    given = document(name)
    for annotation in given["annotations"]["list"]:
        for field in TEMPLATES:
            annotation.pop(field, None)
    again = msgspec.json.decode(JSONEncoder().encode(Dashboard.from_json(given)))
    assert again == given
    assert (given["schemaVersion"], "id" in given) == (39, False)


@EACH_BOARD
def test_panels_fill_the_grid_without_overlapping(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    given = document(name)["panels"]
    assert [panel["id"] for panel in given] == list(range(1, len(given) + 1))
    for panel in given:
        spot = panel["gridPos"]
        assert spot["x"] + spot["w"] <= 24
        cells = set(product(range(spot["x"], spot["x"] + spot["w"]), range(spot["y"], spot["y"] + spot["h"])))
        assert not cells & taken, panel["title"]
        taken |= cells


@EACH_PANEL
def test_a_panel_says_what_it_is_and_why_it_is_empty(name: str, panel: dict[str, Any]) -> None:
    assert panel["gridPos"]["w"] >= NARROWEST[panel["type"]]
    assert panel["gridPos"]["h"] >= 4
    assert len(panel["title"]) < 60
    assert panel["description"].endswith(".")
    assert len(panel["description"]) > 25
    defaults = panel["fieldConfig"]["defaults"]
    assert len(defaults["noValue"]) > 5
    assert panel["type"] in ("table", "nodeGraph") or defaults["unit"]
    if panel["type"] == "table":
        assert all({"unit"} <= {one["id"] for one in each["properties"]} for each in panel["fieldConfig"]["overrides"])


@EACH_PANEL
def test_a_panel_asks_the_sources_that_can_be_chosen(name: str, panel: dict[str, Any]) -> None:
    kinds = {"prometheus": "${prometheus}", "grafana-clickhouse-datasource": "${clickhouse}"}
    refs = [target["refId"] for target in panel["targets"]]
    assert len(set(refs)) == len(refs) > 0
    assert kinds[panel["datasource"]["type"]] == panel["datasource"]["uid"]
    for target in panel["targets"]:
        assert target["datasource"] == panel["datasource"]
    offered = {variable["name"] for variable in document(name)["templating"]["list"]}
    assert panel["datasource"]["uid"][2:-1] in offered


@EACH_BOARD
def test_every_variable_that_is_used_is_defined_and_every_one_that_is_defined_is_used(name: str) -> None:
    given = document(name)
    defined = [variable["name"] for variable in given["templating"]["list"]]
    used = re.findall(r"\$\{?(\w+)", (FOLDER / name).read_text())
    assert {one for one in used if not one.startswith("__")} == set(defined)
    for index, variable in enumerate(given["templating"]["list"]):
        for other in re.findall(r"\$\{?(\w+)", str(variable.get("query"))):
            assert other in defined[:index] or other.startswith("__"), "a variable may only depend on earlier ones"


@EACH_PANEL
def test_promql_has_only_names_and_labels_that_exist(name: str, panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        expression = target.get("expr", "")
        assert set(re.findall(r"(\w+)\{", expression)) <= NAMES
        matched = re.findall(r"[{,] ?(\w+)(?:=~|!=|=)\"", expression)
        grouped = [
            label for labels in re.findall(r"(?:by|on) \(([\w, ]*)\)", expression) for label in labels.split(", ")
        ]
        assert {*matched, *grouped} - {""} <= LABELS
        shown = re.findall(r"\{\{(\w+)\}\}", target.get("legendFormat") or "")
        assert set(shown) <= LABELS


@EACH_PANEL
def test_sql_reads_views_and_no_sessions(name: str, panel: dict[str, Any]) -> None:
    views = {word for script in migrations() for word in re.findall(r"VIEW (\w+_v)\b", script.script)}
    for target in panel["targets"]:
        text = target.get("rawSql", "")
        assert set(re.findall(r"(?:FROM|LEFT JOIN) (\w+)", text)) <= views
        asked = target.get("expr", "") + text
        assert not re.search(
            r"unit_id|session_start|session_id|visitor_id|user_id|attempt_id|attempts_v|transitions_v", asked
        )
        for variable in re.findall(r"\$\{(\w+(?::\w+)?)\}", text):
            assert variable in ("__from", "__to") or variable.endswith(":percentencode"), "a text could end its literal"


@EACH_BOARD
def test_dashboards_lead_to_each_other(name: str) -> None:
    given = document(name)
    (link,) = given["links"]
    assert (link["type"], link["tags"], link["includeVars"], link["keepTime"]) == (
        "dashboards",
        ["funnelwatch"],
        True,
        True,
    )
    assert given["tags"] == ["funnelwatch"]
    addresses = re.findall(r"/d/([\w-]+)", (FOLDER / name).read_text())
    assert set(addresses) <= set(UIDS.values())


def test_deploys_and_alerts_are_marked() -> None:
    marks = {name: [mark["name"] for mark in document(name)["annotations"]["list"]] for name in BOARDS}
    assert marks["funnel.json"] == marks["overview.json"] == ["Changes", "Deploys", "Alerts"]
    assert marks["journeys.json"] == ["Deploys"]  # asks ClickHouse alone
    assert all("Deploys" in names for names in marks.values())


def test_the_provisioned_sources_are_those_that_the_dashboards_choose() -> None:
    sources = yaml.safe_load((ROOT / "grafana/provisioning/datasources/funnelwatch.yaml").read_text())["datasources"]
    provisioned = {source["uid"]: source["type"] for source in sources}
    for name in BOARDS:
        for variable in document(name)["templating"]["list"]:
            if variable["type"] == "datasource":
                assert provisioned[variable["current"]["value"]] == variable["query"]


def test_the_provider_reads_the_folder_that_compose_mounts() -> None:
    (provider,) = yaml.safe_load((ROOT / "grafana/provisioning/dashboards/funnelwatch.yaml").read_text())["providers"]
    volumes = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["grafana"]["volumes"]
    assert f"./grafana/dashboards:{provider['options']['path']}:ro" in volumes
