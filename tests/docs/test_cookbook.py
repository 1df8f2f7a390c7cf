"""The cookbook says of each preset what its file says."""

from __future__ import annotations

import tomllib

import pytest

from schemas.definitions.presets import preset_names, preset_text
from tests.docs.pages import ROOT

TEXT = (ROOT / "docs" / "cookbook.md").read_text()


@pytest.mark.parametrize("name", preset_names())
def test_each_preset_has_its_section(name: str) -> None:
    (section,) = (part for part in TEXT.split("\n## ") if part.partition("\n")[0].endswith(f": `{name}`"))
    (funnel,) = tomllib.loads(preset_text(name))["funnels"]
    assert (
        f"By {funnel['unit']}, within {funnel['window']}, broken down by {', '.join(funnel['dimensions'])}." in section
    )
    rows = [line.split(" | ") for line in section.splitlines() if line.startswith("| ")][1:]
    assert [row[0].strip("| ") for row in rows] == [stage["name"] for stage in funnel["stages"]]
    for row, stage in zip(rows, funnel["stages"], strict=True):
        assert row[1].startswith(", ".join(f"`{event}`" for event in stage["events"]))
        assert row[2].strip(" |") == stage["indicator"]
    assert "**Watch** " in section
