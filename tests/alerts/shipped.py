"""The example's settings, definitions and rules, as they ship."""

from __future__ import annotations

from pathlib import Path

import msgspec

from schemas.definitions import load_funnels
from schemas.funnel import Funnel, Stage
from schemas.settings import load_settings

ROOT = Path(__file__).parents[2]
SETTINGS = load_settings(ROOT / "examples" / "funnelwatch.toml", {}, {})
FUNNELS = load_funnels(SETTINGS.funnels)
RULES = ROOT / "grafana" / "rules" / "funnelwatch.yml"


def with_floor(funnel: Funnel) -> Funnel:
    """The same with a floor for purchases: a quarter of the checkouts, from 200 on."""
    return msgspec.structs.replace(funnel, stages=tuple(map(_floor, funnel.stages)))


def _floor(stage: Stage) -> Stage:
    if stage.name != "purchase":
        return stage
    return msgspec.structs.replace(stage, floor=0.25, floor_minimum=200, owner="ann {{ .x }}")
