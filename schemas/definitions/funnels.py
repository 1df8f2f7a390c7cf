"""`funnels.toml` → `Funnel`s: each `[[funnels]]` table is laid over its preset, read, checked and given its version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from schemas.definitions.fields import as_dimension
from schemas.definitions.presets import with_preset
from schemas.definitions.rules import check_stages
from schemas.definitions.stages import as_name, as_patterns, name_of, parse_stage
from schemas.definitions.table import Table
from schemas.definitions.version import version_of
from schemas.durations import format_duration, parse_duration
from schemas.errors import ConfigError
from schemas.funnel import Funnel, Mode, Stage, Unit
from schemas.problems import Problems
from schemas.toml import read_toml, show
from schemas.values import as_choice, as_tables, as_text, as_texts

FUNNEL_KEYS = (
    "name",
    "preset",
    "unit",
    "mode",
    "window",
    "lateness",
    "session_gap",
    "dimensions",
    "refunds",
    "owner",
    "team",
    "stages",
)
MOST_DIMENSIONS = 32

_WINDOW, _LATENESS, _GAP = 24 * 3_600_000, 600_000, 1_800_000
_EXAMPLE = "[[funnels]]"


def load_funnels(path: Path) -> tuple[Funnel, ...]:
    """The funnels that the file defines, in its order. Raises ConfigError (ConfigErrors for several mistakes)."""
    return parse_funnels(read_toml(path), str(path))


def parse_funnels(document: Mapping[str, object], where: str) -> tuple[Funnel, ...]:
    """The funnels of a document that was read from `where`. Raises ConfigError, ConfigErrors for several mistakes."""
    problems = Problems()
    problems.refuse_unknown(document, ("funnels",), where)
    tables = problems.caught([], as_tables, document.get("funnels", []), f"{where}, funnels", _EXAMPLE)
    if not tables and not problems:
        problems.add(
            where,
            "defines no funnel",
            'write [[funnels]], then name, unit and [[funnels.stages]], or a preset = "ecommerce"',
        )
    funnels = [_parse(table, f"{where}, {name_of(table, 'funnel', k)}", problems) for k, table in enumerate(tables, 1)]
    names = [funnel.name for funnel in funnels if funnel is not None and funnel.name]
    for name in sorted({name for name in names if names.count(name) > 1}):
        problems.add(
            f"{where}, funnel {show(name)}", "there are several of this name", "give each funnel a name of its own"
        )
    problems.raise_any()
    return tuple(funnel for funnel in funnels if funnel is not None)


def _parse(own: dict[str, object], where: str, problems: Problems) -> Funnel | None:
    if "preset" in own:
        merged = problems.caught(None, with_preset, own, where)
        if merged is None:
            problems.refuse_unknown(own, FUNNEL_KEYS, where)
            return None
        own = merged
    table = Table(own, where, problems)
    table.refuse_unknown(FUNNEL_KEYS)
    before = problems.count
    funnel = Funnel(
        name=table.need("name", as_name, "", 'write name = "checkout"'),
        version="",
        unit=table.need("unit", _as_unit, Unit.SESSION, 'write unit = "session", "visitor" or "account"'),
        stages=_stages(table, where, problems),
        window=table.take("window", parse_duration, _WINDOW),
        lateness=table.take("lateness", _as_lateness, _LATENESS),
        session_gap=table.take("session_gap", parse_duration, _GAP),
        mode=table.take("mode", _as_mode, Mode.ORDERED),
        dimensions=table.take("dimensions", _as_dimensions, ()),
        refunds=table.take("refunds", _as_refunds, ()),
        owner=table.take("owner", as_text, ""),
        team=table.take("team", as_text, ""),
    )
    check_stages(funnel, where, problems)
    if funnel.lateness >= funnel.window and problems.count == before:
        late, window = format_duration(funnel.lateness), format_duration(funnel.window)
        default = "" if "lateness" in table else " (the default)"
        remedy = f'write lateness = "{format_duration(max(funnel.window // 2, 1))}" or less, or a longer window'
        table.blame("lateness", f'"{late}"{default} is not shorter than window "{window}"', remedy)
    return msgspec.structs.replace(funnel, version=version_of(funnel))


def _stages(table: Table, where: str, problems: Problems) -> tuple[Stage, ...]:
    raw = table.need("stages", _as_stages, None, 'write [[funnels.stages]] below it, or a preset = "ecommerce"')
    if raw == []:
        table.blame("stages", "there are none", "write at least one [[funnels.stages]]")
    return tuple(
        parse_stage(stage, f"{where}, {name_of(stage, 'stage', k)}", problems) for k, stage in enumerate(raw or [], 1)
    )


def _as_stages(value: object, where: str) -> list[dict[str, object]] | None:
    return as_tables(value, where, "[[funnels.stages]]")


def _as_unit(value: object, where: str) -> Unit:
    return Unit(as_choice(value, where, _values(Unit)))


def _as_mode(value: object, where: str) -> Mode:
    return Mode(as_choice(value, where, _values(Mode)))


def _values(choices: type[Unit | Mode]) -> Sequence[str]:
    return [choice.value for choice in choices]


def _as_lateness(value: object, where: str) -> int:
    return parse_duration(value, where, zero=True)


def _as_refunds(value: object, where: str) -> tuple[str, ...]:
    return as_patterns(value, where) if value != [] else ()


def _as_dimensions(value: object, where: str) -> tuple[str, ...]:
    problems = Problems()
    named = [problems.caught("", as_dimension, name, where) for name in as_texts(value, where, most=MOST_DIMENSIONS)]
    problems.raise_any()
    if isinstance(value, list | tuple) and len(value) != len(named):
        raise ConfigError(where, "names a field twice", "name each field once")
    return tuple(named)
