"""A checked definition as the TOML that says the same: what a preset or a default stands for, spelt out."""

from __future__ import annotations

from schemas.definitions.fields import NUMBER_FIELDS
from schemas.durations import format_duration
from schemas.funnel import Condition, Funnel, Stage
from schemas.toml import toml_key, toml_value

_DURATIONS = ("window", "lateness", "session_gap", "within")


def render_funnel(funnel: Funnel) -> str:
    """TOML of `funnel`, every key of the funnel and all stage keys that differ from their default.

    `parse_funnels` reads it back as an equal value.
    """
    plain = {
        "name": funnel.name,
        "unit": funnel.unit.value,
        "mode": funnel.mode.value,
        "window": format_duration(funnel.window),
        "lateness": format_duration(funnel.lateness),
        "session_gap": format_duration(funnel.session_gap),
        "dimensions": funnel.dimensions,
        "refunds": funnel.refunds,
    }
    texts = {key: value for key, value in (("owner", funnel.owner), ("team", funnel.team)) if value}
    lines = ["[[funnels]]", *_lines({**plain, **texts})]
    for stage in funnel.stages:
        lines += ["", "[[funnels.stages]]", *_lines(_stage(stage))]
    return "\n".join(lines) + "\n"


def _lines(values: dict[str, object]) -> list[str]:
    return [f"{toml_key(key)} = {toml_value(value)}" for key, value in values.items()]


def _stage(stage: Stage) -> dict[str, object]:
    default = Stage(name="", events=())
    values: dict[str, object] = {}
    for key in stage.__struct_fields__:
        value = getattr(stage, key)
        if value == getattr(default, key):
            continue
        if key == "where":
            value = where_table(stage.where)
        values[key] = format_duration(value) if key in _DURATIONS else value
    return values


def where_table(conditions: tuple[Condition, ...]) -> dict[str, object]:
    """Conditions as the TOML table of `where` (several of one field share its table)."""
    table: dict[str, dict[str, object]] = {}
    for condition in conditions:
        listed = condition.operator in ("in", "not_in")
        value = list(condition.values) if listed else condition.values[0]
        table.setdefault(condition.field, {})[condition.operator] = value
    return {field: _short(field, tests) for field, tests in table.items()}


def _short(field: str, tests: dict[str, object]) -> object:
    """The short form, where there is one: `device = "mobile"`, `revenue = 100`."""
    if set(tests) == {"in"}:
        values = tests["in"]
        return values[0] if isinstance(values, list) and len(values) == 1 else values
    if set(tests) == {"eq"} and field in NUMBER_FIELDS:
        return tests["eq"]
    return tests
