"""A finding as the files that it proposes: settings, mapping, a draft of funnels."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

import msgspec

from schemas.decode.mapping import Mapping as MappingFile
from schemas.definitions.presets import preset_names, preset_text
from schemas.funnel import Unit
from schemas.toml import parse_toml, toml_key, toml_value
from streams.inspect.finding import ENOUGH, Finding

#: Stages of a draft, at most.
STAGES = 5
MAPPING_FILE = "mapping.toml"


def source_text(finding: Finding) -> str:
    """The [[sources]] of a topic."""
    lines = ["[[sources]]", f"topic = {toml_value(finding.name)}"]
    if finding.format not in (None, "auto", "mapping"):
        lines.append(f"format = {toml_value(finding.format)}")
    if finding.mapping is not None:
        lines.append(f'mapping = "{MAPPING_FILE}"')
    if finding.keyed_by is not None:
        lines.append(f"keyed_by = {toml_value(finding.keyed_by)}")
    return "\n".join(lines) + "\n"


def mapping_text(mapping: MappingFile) -> str:
    """A mapping as its file."""
    default = MappingFile()
    given = [key for key in ("format", "event", "delimiter") if getattr(mapping, key) != getattr(default, key)]
    lines = [f"{key} = {toml_value(getattr(mapping, key))}" for key in given]
    if mapping.columns:
        lines.append(f"columns = {toml_value(mapping.columns)}")
    for section in ("fields", "casts"):
        table: Mapping[str, Any] = getattr(mapping, section)
        if table:
            lines += ["", f"[{section}]", *(f"{toml_key(name)} = {toml_value(value)}" for name, value in table.items())]
    return "\n".join([*_unsaid(mapping), *lines]).strip() + "\n"


def _unsaid(mapping: MappingFile) -> Iterator[str]:
    """What a reader must still say, since nothing in the records looked like it."""
    if mapping.format not in ("json", "csv"):
        return
    if mapping.event is None and "event" not in mapping.fields:
        yield '# Not recognised: what happened. Write `event = "FIELD"` here.'
    if "timestamp" not in mapping.fields:
        yield '# Not recognised: when. Write `timestamp = "FIELD"` under [fields].'
    if not mapping.fields.keys() & {"session_id", "visitor_id", "user_id", "account_id"}:
        yield '# Not recognised: who. Write `session_id`, `visitor_id` or `user_id = "FIELD"` under [fields].'


class Preset(msgspec.Struct, frozen=True):
    """How well a preset fits. `missing`: its required stages that no event was seen of. `globs`: events that a stage may be, on
    average: fewer are more exact."""

    name: str
    stages: int
    globs: float
    missing: tuple[str, ...]


def best_preset(names: Collection[str]) -> Preset | None:
    """The preset of which most required stages are among these events, half of them at least; of several the most exact."""
    fitting = []
    for name in preset_names():
        funnel = parse_toml(preset_text(name), name)["funnels"][0]
        needed = [stage for stage in funnel["stages"] if not stage.get("optional")]
        missing = tuple(stage["name"] for stage in needed if not _seen(stage["events"], names))
        if len(missing) * 2 <= len(needed) and len(needed) - len(missing) > 1:
            globs = sum(1 if isinstance(stage["events"], str) else len(stage["events"]) for stage in needed)
            fitting.append(Preset(name, len(needed), globs / len(needed), missing))
    return min(fitting, key=lambda each: (len(each.missing) / each.stages, each.globs, -each.stages), default=None)


def _seen(events: str | list[str], names: Collection[str]) -> bool:
    globs = [events] if isinstance(events, str) else events
    return any(fnmatchcase(name, glob) for name in names for glob in globs)


def funnels_text(finding: Finding) -> str:
    """A draft of funnels.toml: the preset that fits whole, else the events of ever fewer units. "" without events."""
    preset = best_preset(finding.events)
    if preset is not None and not preset.missing:
        return f'# Every stage of this preset was seen among the events.\n[[funnels]]\npreset = "{preset.name}"\n'
    stages = finding.by_units[:STAGES]
    if not stages:
        return ""
    lines = [
        "# A draft: the events that most people have, in the order of how many have them. Choose, name and order the stages.",
        "[[funnels]]", 'name = "draft"', f'unit = "{_unit(finding)}"', 'window = "24h"', 'dimensions = ["channel", "device"]',
    ]  # fmt: skip
    if preset is not None:
        lines[0] += f'\n# The preset "{preset.name}" lacks events for: {", ".join(preset.missing)}.'
    for name in stages:
        lines += ["", "[[funnels.stages]]", f"name = {toml_value(name)}", f"events = [{toml_value(_literal(name))}]"]
    return "\n".join(lines) + "\n"


def _literal(name: str) -> str:
    """The glob that is this name alone."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in name)


def _unit(finding: Finding) -> str:
    shares = {field.name: field.share for field in finding.fields}
    if shares.get("session_id", 0.0) >= ENOUGH:
        return Unit.SESSION.value
    return (
        Unit.VISITOR.value
        if shares.get("visitor_id", 0.0) + shares.get("user_id", 0.0) >= ENOUGH
        else Unit.ACCOUNT.value
    )
