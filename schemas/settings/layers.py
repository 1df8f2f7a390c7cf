"""Where settings come from: file, environment, flags. Each becomes a layer of `Given` values; later ones replace."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import msgspec

from schemas.problems import Problems, nearest
from schemas.settings.keys import ENV_PREFIX, FILE_SUFFIX, SECTIONS, TABLE_KEYS, Key, accepted, keys_of
from schemas.settings.kinds import from_text
from schemas.toml import read_toml, show
from schemas.values import as_table, as_tables

#: Where the settings file lies; not a setting itself.
CONFIG_VARIABLE = "FUNNELWATCH_CONFIG"
MOST_SOURCES = 100

# What Kubernetes puts into each container when a Service is called funnelwatch or funnelwatch-something.
_SERVICE_LINK = re.compile(r".*(^|_)(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)")
_SOURCE_PATH = re.compile(r"sources[._](\d{1,3})[._](.+)")


class Given(msgspec.Struct, frozen=True):
    """One value as it was given. `where` names it in errors; paths are relative to `base`, None: the current folder."""

    raw: object
    where: str
    base: Path | None = None


#: (section, index of the source or 0, key) → what was given; a secret's file stands under its own key, `password_file`.
Layer = dict[tuple[str, int, str], Given]


def overlay(below: Layer, above: Layer) -> Layer:
    """`above` over `below`. A secret that is given in one way replaces one that was given in the other."""
    merged = dict(below)
    for section, index, name in above:
        twin = name.removesuffix(FILE_SUFFIX) if name.endswith(FILE_SUFFIX) else name + FILE_SUFFIX
        merged.pop((section, index, twin), None)
    return {**merged, **above}


def from_file(path: Path, problems: Problems) -> Layer:
    """What `funnelwatch.toml` says. Numbers with a decimal point stay exact decimals."""
    document = problems.caught({}, read_toml, path, Decimal)
    where = str(path)
    tables = {name: value for name, value in document.items() if name in SECTIONS}
    top = {name: value for name, value in document.items() if name not in tables}
    known = (*accepted(""), *(name for name in SECTIONS if name))
    problems.refuse_unknown(top, known, where)
    layer: Layer = {("", 0, name): Given(value, f"{where}, {name}", path.parent) for name, value in top.items()}
    for name, value in tables.items():
        at = f"{where}, [[{name}]]" if name == "sources" else f"{where}, [{name}]"
        found = (
            problems.caught([], as_tables, value, at, "[[sources]]")
            if name == "sources"
            else [problems.caught({}, as_table, value, at)]
        )
        for index, table in enumerate(found):
            here = f"{at} {index + 1}" if name == "sources" else at
            problems.refuse_unknown(table, accepted(name), here)
            if name == "sources" and not table:
                problems.add(here, "is empty", 'write topic = "clickstream"')
            for key, raw in table.items():
                layer[name, index, key] = Given(raw, f"{here}, {key}", path.parent)
    return layer


def from_environment(environ: Mapping[str, str], problems: Problems) -> Layer:
    """What variables `FUNNELWATCH_…` say. Empty ones count as not set."""
    layer: Layer = {}
    variables = {key.variable: key for key in _all_keys()}
    files = {key.variable + FILE_SUFFIX.upper(): key for key in _all_keys() if key.secret}
    for variable, text in sorted(environ.items()):
        if not variable.startswith(ENV_PREFIX) or variable == CONFIG_VARIABLE or not text:
            continue
        rest = variable.removeprefix(ENV_PREFIX).lower()
        index, generic = _source_index(rest)
        name = ENV_PREFIX + (f"SOURCES_0_{generic.upper()}" if generic else rest.upper())
        if name in variables:
            key = variables[name]
            layer[key.section, index, key.name] = Given(from_text(key.kind, text), variable)
        elif name in files:
            key = files[name]
            layer[key.section, index, key.name + FILE_SUFFIX] = Given(text, variable)
        elif not _SERVICE_LINK.fullmatch(rest.upper()):
            problems.add(variable, "no such setting", _remedy(rest, name, [*variables, *files]))
    return layer


def from_flags(overrides: Mapping[str, str], problems: Problems) -> Layer:
    """What flags say: "kafka.servers" → text; of a source "sources.0.topic"."""
    layer: Layer = {}
    keys = {key.path: key for key in _all_keys()}
    for path, text in overrides.items():
        where = f"flag {path if path.isprintable() else show(path)}"
        index, generic = _source_index(path)
        name = f"sources.{generic}" if generic else path
        key = keys.get(name)
        file_of = keys.get(name.removesuffix(FILE_SUFFIX)) if name.endswith(FILE_SUFFIX) else None
        if key is not None and key.secret:
            remedy = f"write it into the settings, {key.variable}, or a file: {path}{FILE_SUFFIX}=…"
            problems.add(where, "a secret on the command line is seen by all who list processes", remedy)
        elif key is not None:
            layer[key.section, index, key.name] = Given(from_text(key.kind, text), where)
        elif file_of is not None and file_of.secret:
            layer[file_of.section, index, file_of.name + FILE_SUFFIX] = Given(text, where)
        else:
            problems.add(where, "no such setting", _remedy(path, name, list(keys)))
    return layer


def _all_keys() -> Iterator[Key]:
    for section in SECTIONS:
        yield from keys_of(section)


def _source_index(path: str) -> tuple[int, str]:
    """(position, key) of `sources_2_topic` or `sources.2.topic`; (0, "") of anything else."""
    found = _SOURCE_PATH.fullmatch(path)
    return (int(found[1]), found[2]) if found else (0, "")


def _remedy(path: str, name: str, known: list[str]) -> str:
    section, _, key = path.replace(".", "_").partition("_")
    if (section, key) in TABLE_KEYS:
        return f"only the file can set {key}"
    return nearest(name, known) if nearest(name, known).startswith("did") else "see the settings' reference"
