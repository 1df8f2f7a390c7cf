"""Which funnels are asked for: a file of definitions, a preset, stages on the command line, or what the settings name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec

from schemas.definitions import load_funnels
from schemas.definitions.fields import as_dimension
from schemas.definitions.funnels import parse_funnels
from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.problems import nearest
from schemas.settings import Settings

#: The name of a funnel that is defined by `--stages`.
QUICK = "stages"


class Quick(msgspec.Struct, frozen=True):
    """A definition in one line. `stages`: "clicks > carts > orders", alternatives as "view|list"; the rest as in a
    `funnels.toml`, None = the default there."""

    stages: str
    unit: str | None = None
    window: str | None = None
    mode: str | None = None


class Question(msgspec.Struct, frozen=True):
    """What the command line says; one of `definitions`, `preset` and `quick` at most. `names`: of the funnels wanted, all
    if empty. `by`: dimensions, declared or not: any field of events but ids."""

    definitions: Path | None = None
    preset: str | None = None
    quick: Quick | None = None
    names: Sequence[str] = ()
    by: Sequence[str] = ()


def asked(question: Question, settings: Settings) -> tuple[Funnel, ...]:
    """The funnels, in the order of their definition. Raises ConfigError."""
    if question.quick is not None:
        funnels, where = quick_funnel(question.quick, question.by), "--stages"
    elif question.preset is not None:
        table = {"name": question.preset, "preset": question.preset}
        funnels, where = parse_funnels({"funnels": [table]}, "--preset"), "--preset"
    else:
        path = question.definitions or settings.funnels
        if question.definitions is None and not path.is_file():
            remedy = 'name a file with --funnels, a ready one with --preset, or write --stages "view > cart > order"'
            raise ConfigError(str(path), "no funnel is defined: there is no such file", remedy)
        funnels, where = load_funnels(path), str(path)
    wanted = [as_dimension(name, "--by") for name in question.by]
    return tuple(broken_down(funnel, wanted) for funnel in _named(funnels, question.names, where))


def broken_down(funnel: Funnel, by: Sequence[str]) -> Funnel:
    """The funnel with these dimensions as well. (Its version stays: what it counts is the same.)"""
    return msgspec.structs.replace(funnel, dimensions=tuple(dict.fromkeys((*funnel.dimensions, *by))))


def quick_funnel(quick: Quick, by: Sequence[str]) -> tuple[Funnel, ...]:
    """The one funnel that `--stages` describes, with the dimensions that are asked for. Raises ConfigError."""
    seen: Counter[str] = Counter()
    stages = []
    for part in quick.stages.split(">"):
        events = [name.strip() for name in part.split("|")]
        if not all(events):
            raise ConfigError("--stages", f"{quick.stages!r} has an empty stage", 'write "view > cart > order"')
        name = _stage_name(events[0])
        seen[name] += 1
        stages.append({"name": name if seen[name] == 1 else f"{name} {seen[name]}", "events": events})
    given = {"unit": quick.unit or "session", "window": quick.window, "mode": quick.mode}
    table = {"name": QUICK, "lateness": "0s", "dimensions": list(dict.fromkeys(by)), "stages": stages}
    table |= {key: value for key, value in given.items() if value is not None}
    return parse_funnels({"funnels": [table]}, "--stages")


def _stage_name(pattern: str) -> str:
    """A stage's name for an event name or glob: what names may not hold is left out."""
    kept = "".join(c if c.isalnum() or c in "_-. " else " " for c in pattern)
    return " ".join(kept.split())[:60] or "any"


def _named(funnels: tuple[Funnel, ...], names: Sequence[str], where: str) -> tuple[Funnel, ...]:
    known = [funnel.name for funnel in funnels]
    for name in names:
        if name not in known:
            raise ConfigError("--funnel", f"{where} has no funnel {name!r}", nearest(name, known))
    return tuple(funnel for funnel in funnels if not names or funnel.name in names)
