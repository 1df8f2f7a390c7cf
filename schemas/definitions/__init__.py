"""Funnel definitions: from `funnels.toml` to checked `Funnel`s, and back to text."""

from schemas.definitions.funnels import FUNNEL_KEYS, load_funnels, parse_funnels
from schemas.definitions.presets import preset_names, preset_text
from schemas.definitions.render import render_funnel, where_table
from schemas.definitions.stages import STAGE_KEYS
from schemas.definitions.version import version_of

__all__ = [
    "FUNNEL_KEYS",
    "STAGE_KEYS",
    "load_funnels",
    "parse_funnels",
    "preset_names",
    "preset_text",
    "render_funnel",
    "version_of",
    "where_table",
]
