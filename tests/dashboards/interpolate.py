"""Grafana's part before a query leaves the browser: variables and built-in names become text."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote

import msgspec

from grafana.boards.__main__ import BOARDS, FOLDER
from tests.dashboards.story import END, START

#: `name`, `${name}`, `${name:format}`.
_PLACE = re.compile(r"\$(?:\{(\w+)(?::(\w+))?\}|(\w+))")
#: The range of the tests: the whole story.
SINCE, UNTIL, STEP = START - 600_000, END, 60_000
BUILT_IN = {
    "__range": f"{(UNTIL - SINCE) // 1000}s", "__rate_interval": "4m", "__interval_ms": str(STEP), "__from": str(SINCE),
    "__to": str(UNTIL), "smooth": "1h",
}  # fmt: skip


class Query(msgspec.Struct, frozen=True):
    """One target of one panel, as it is committed."""

    board: str
    panel: dict[str, Any]
    target: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.board}: {self.panel['title']} {self.target['refId']}"

    @property
    def text(self) -> str:
        return str(self.target.get("expr") or self.target["rawSql"])


def panels(board: str) -> list[dict[str, Any]]:
    """The panels of a committed dashboard, without its rows."""
    document = msgspec.json.decode((FOLDER / board).read_bytes())
    return [panel for panel in document["panels"] if panel["type"] != "row"]


def queries(kind: str) -> Iterator[Query]:
    """Every target of a data source's type in the committed dashboards."""
    for board in BOARDS:
        for panel in panels(board):
            for target in panel["targets"]:
                if target["datasource"]["type"] == kind:
                    yield Query(board, panel, target)


def fill(text: str, variables: Mapping[str, str]) -> str:
    """`text` with its variables. Those of Prometheus are escaped for a label's text, as Grafana does it by default."""
    known = {**BUILT_IN, **variables}

    def replace(match: re.Match[str]) -> str:
        name, form = match.group(1) or match.group(3), match.group(2)
        value = known[name]
        if form == "percentencode":
            return quote(value, safe="-_.~")
        if name in variables:
            return value.replace("\\", "\\\\").replace('"', '\\"')
        return value

    return _PLACE.sub(replace, text)
