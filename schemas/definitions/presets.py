"""The funnels that come along: `preset = "ecommerce"` in funnels.toml. Each is a file in `schemas/presets`."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

from schemas.errors import ConfigError
from schemas.problems import Problems, close_match
from schemas.toml import parse_toml, show
from schemas.values import as_table, as_tables, as_text


@cache
def preset_names() -> tuple[str, ...]:
    """Names of all presets, in alphabetical order."""
    found = (entry.name for entry in (files("schemas") / "presets").iterdir())
    return tuple(sorted(name.removesuffix(".toml") for name in found if name.endswith(".toml")))


def preset_text(name: str) -> str:
    """The TOML text of a preset of that name: a whole funnels.toml, to be copied and changed."""
    return (files("schemas") / "presets" / f"{name}.toml").read_text(encoding="utf-8")


def as_preset(value: object, where: str) -> str:
    """The name of a preset. Raises ConfigError."""
    if isinstance(value, str) and value in preset_names():
        return value
    close = close_match(value, preset_names()) if isinstance(value, str) else None
    remedy = f'did you mean "{close}"?' if close else f"known: {', '.join(preset_names())}"
    raise ConfigError(where, f"{show(value)} is not a preset", remedy)


def with_preset(own: dict[str, object], where: str) -> dict[str, object]:
    """The funnel table `own` laid over the preset that it names.

    Its keys replace the preset's; its stages change the preset's stages of the same name, key by key. Raises
    ConfigError for an unknown preset, or a stage that the preset doesn't have.
    """
    name = as_preset(own["preset"], f"{where}, preset")
    base = parse_toml(preset_text(name), name)["funnels"][0]
    merged = {**base, **{key: value for key, value in own.items() if key not in ("preset", "stages")}}
    changes = as_tables(own.get("stages", []), f"{where}, stages", "[[funnels.stages]]")
    merged["stages"] = _changed(base["stages"], changes, name, where)
    return merged


def _changed(
    stages: list[dict[str, object]], changes: list[dict[str, object]], preset: str, where: str
) -> list[dict[str, object]]:
    problems = Problems()
    by_name = {str(stage["name"]): as_table(stage, where) for stage in stages}
    seen: set[str] = set()
    for number, change in enumerate(changes, 1):
        at = f"{where}, stage {number}, name"
        name = problems.caught("", as_text, change.get("name"), at)
        if name in seen:
            problems.add(at, f"{show(name)} is there twice", "change each stage of a preset once")
        elif name in by_name:
            seen.add(name)
            by_name[name].update(change)
        elif name:
            remedy = f"its stages: {', '.join(by_name)}; leave preset out to write stages of your own"
            problems.add(at, f'{show(name)} is not a stage of the preset "{preset}"', remedy)
    problems.raise_any()
    return list(by_name.values())
