"""One `[[funnels.stages]]` table → `Stage`."""

from __future__ import annotations

import re
from collections.abc import Mapping

from schemas.definitions.conditions import parse_where
from schemas.definitions.fields import as_value
from schemas.definitions.table import Table
from schemas.durations import parse_duration
from schemas.errors import ConfigError
from schemas.event import CONTROLS
from schemas.funnel import Stage
from schemas.problems import Problems
from schemas.toml import show
from schemas.values import as_integer, as_share, as_text, as_texts

STAGE_KEYS = tuple(field for field in Stage.__struct_fields__)
LONGEST_NAME = 64
MOST_PATTERNS = 100

_NAME = re.compile(r"[\w.-](?:[\w .-]*[\w.-])?")


def as_name(value: object, where: str) -> str:
    """A funnel's or stage's name: letters, digits, `_`, `-`, `.`, inner spaces; at most 64. Raises ConfigError."""
    name = as_text(value, where, longest=LONGEST_NAME)
    if not _NAME.fullmatch(name):
        raise ConfigError(where, f"{show(name)} can't be a name", "use letters, digits, _ - . and spaces between them")
    return name


def as_patterns(value: object, where: str) -> tuple[str, ...]:
    """Event names or globs (`*`, `?`, `[…]`), at least one. Raises ConfigError."""
    patterns = as_texts(value, where, least=1, most=MOST_PATTERNS)
    for name in CONTROLS.intersection(patterns):
        raise ConfigError(where, f'"{name}" is no event, but an order to funnelwatch', "leave it out")
    return patterns


def name_of(raw: Mapping[str, object], kind: str, number: int) -> str:
    """How errors call a funnel or stage: by its name if it has a good one, else by its number from 1."""
    try:
        return f"{kind} {show(as_name(raw.get('name'), ''))}"
    except ConfigError:
        return f"{kind} {number}"


def parse_stage(raw: Mapping[str, object], where: str, problems: Problems) -> Stage:
    """The stage in `raw`; what is wrong goes to `problems`, with a stand-in in the result."""
    table = Table(raw, where, problems)
    table.refuse_unknown(STAGE_KEYS)
    stage = Stage(
        name=table.need("name", as_name, "", 'write name = "purchase"'),
        events=table.need("events", as_patterns, (), 'write events = ["purchase"]'),
        where=table.take("where", parse_where, ()),
        optional=table.flag("optional", default=False),
        within=table.take("within", parse_duration, None),
        exclude=table.take("exclude", as_patterns, ()),
        value=table.take("value", as_value, None),
        indicator=table.take("indicator", as_text, ""),
        target=table.take("target", as_share, None),
        floor=table.take("floor", as_share, None),
        floor_minimum=table.take("floor_minimum", as_integer, 0),
        owner=table.take("owner", as_text, ""),
        team=table.take("team", as_text, ""),
        alert=table.flag("alert", default=True),
    )
    _check_floor(stage, table)
    return stage


def _check_floor(stage: Stage, table: Table) -> None:
    if stage.floor is not None and stage.target is not None and stage.floor > stage.target:
        table.blame(
            "floor", f"{show(stage.floor)} lies above target {show(stage.target)}", "write a floor below the target"
        )
    if stage.floor is None and "floor_minimum" in table and "floor" not in table:
        table.blame("floor_minimum", "has no floor to go with", "write floor = 0.2 as well, or leave it out")
