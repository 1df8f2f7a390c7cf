"""From layers to `Settings`: each value read by its kind, then the sections checked against each other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec

from schemas.definitions.fields import as_dimension
from schemas.errors import ConfigError
from schemas.expectation.calendar import Calendar, parse_calendar
from schemas.problems import Problems
from schemas.settings import kinds as k
from schemas.settings.checks import check_settings
from schemas.settings.keys import FILE_SUFFIX, Key, keys_of
from schemas.settings.layers import (
    CONFIG_VARIABLE,
    MOST_SOURCES,
    Given,
    Layer,
    from_environment,
    from_file,
    from_flags,
    overlay,
)
from schemas.settings.rates import Rates, parse_rates
from schemas.settings.secret import Secret
from schemas.settings.sections import (
    AllowedValues,
    ClickHouse,
    Events,
    Expectation,
    Kafka,
    Labels,
    Log,
    Privacy,
    Registry,
    Settings,
    Site,
    Source,
    Web,
)
from schemas.toml import shown_key
from schemas.values import as_table, as_text, as_texts

S = TypeVar("S", bound=msgspec.Struct)


def load_settings(path: Path | None, environ: Mapping[str, str], overrides: Mapping[str, str]) -> Settings:
    """The settings of the file `path` (None: no file), of the environment above it and of flags above both.

    `overrides`: "section.key" → text. Secrets may stand in files that `<key>_file` or `…_FILE` names. Relative paths in
    the file are relative to it, others to the current folder. Raises ConfigError, ConfigErrors for several mistakes.
    """
    problems = Problems()
    layer = from_file(path, problems) if path is not None else {}
    layer = overlay(layer, from_environment(environ, problems))
    layer = overlay(layer, from_flags(overrides, problems))
    reader = _Reader(layer, problems)
    settings = _settings(reader, path)
    check_settings(settings, reader.where, problems)
    problems.raise_any()
    return settings


def find_settings(given: Path | None, environ: Mapping[str, str], folder: Path) -> Path | None:
    """The settings file: `given`, else that of FUNNELWATCH_CONFIG, else `folder`/funnelwatch.toml, if it is there."""
    named = environ.get(CONFIG_VARIABLE)
    if given is not None or named:
        return given or Path(str(named))
    usual = folder / "funnelwatch.toml"
    return usual if usual.is_file() else None


def _settings(reader: _Reader, path: Path | None) -> Settings:
    top = reader.values("")
    if path is not None and ("", 0, "funnels") not in reader.layer:
        top["funnels"] = path.parent / "funnels.toml"
    site = _site(reader)
    return Settings(
        **top,
        kafka=reader.section("kafka", Kafka),
        sources=_sources(reader),
        registry=reader.section("registry", Registry),
        clickhouse=reader.section("clickhouse", ClickHouse),
        web=reader.section("web", Web),
        site=site,
        events=reader.section("events", Events),
        privacy=reader.section("privacy", Privacy),
        labels=_labels(reader),
        expectation=reader.section("expectation", Expectation),
        log=reader.section("log", Log),
        calendar=_calendar(reader, site.timezone),
    )


class _Reader:
    """Reads the values of one section after the other out of the merged layers."""

    def __init__(self, layer: Layer, problems: Problems) -> None:
        self.layer, self.problems = layer, problems

    def where(self, section: str, name: str, index: int = 0) -> str:
        """Where a setting was given; its path if it wasn't."""
        given = self.layer.get((section, index, name)) or self.layer.get((section, index, name + FILE_SUFFIX))
        return given.where if given else f"{section}.{name}" if section else name

    def section(self, section: str, struct: type[S]) -> S:
        return struct(**self.values(section))

    def values(self, section: str, index: int = 0) -> dict[str, Any]:
        """What was given and could be read; the rest keeps its default."""
        read: dict[str, Any] = {}
        for key in keys_of(section):
            value = self.problems.caught(None, self._value, key, index)
            if value is not None:
                read[key.name] = value
        return read

    def table(self, section: str, name: str) -> Given | None:
        return self.layer.get((section, 0, name))

    def _value(self, key: Key, index: int) -> object:
        given = self.layer.get((key.section, index, key.name))
        if key.secret:
            return self._secret(key, given, self.layer.get((key.section, index, key.name + FILE_SUFFIX)))
        if given is None:
            return None
        if key.kind is k.PATH:
            if given.raw == "":
                return None
            value = key.kind.read(given.raw, given.where)
            return given.base / value if given.base is not None and isinstance(value, Path) else value
        return key.kind.read(given.raw, given.where)

    def _secret(self, key: Key, given: Given | None, file: Given | None) -> object:
        if file is None:
            return key.kind.read(given.raw, given.where) if given else None
        if given is not None:
            raise ConfigError(file.where, f"{given.where} is given as well", "leave one of them out")
        path = Path(as_text(file.raw, file.where))
        return _secret_in(file.base / path if file.base is not None else path, file.where)


def _secret_in(path: Path, where: str) -> Secret:
    try:
        text = path.read_bytes().decode()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ConfigError(where, f"{path} can't be read ({reason})", "check path and rights of the file") from None
    secret = k.as_secret(text.rstrip("\r\n"), f"{where} ({path})")
    if not secret:
        raise ConfigError(where, f"{path} is empty", "write the secret into the file")
    return secret


def _sources(reader: _Reader) -> tuple[Source, ...]:
    indices = sorted({index for section, index, _ in reader.layer if section == "sources"})
    sources: list[Source] = []
    for position, index in enumerate(indices[:MOST_SOURCES]):
        if index != position:
            where = next(
                given.where for (section, at, _), given in reader.layer.items() if section == "sources" and at == index
            )
            reader.problems.add(where, f"there is no source {position}", "number the sources 0, 1, 2 and so on")
            break
        values = reader.values("sources", index)
        if "topic" in values:
            sources.append(Source(**values))
        elif ("sources", index, "topic") not in reader.layer:
            reader.problems.add(f"[[sources]] {index + 1}, topic", "is missing", 'write topic = "clickstream"')
    return tuple(sources)


def _site(reader: _Reader) -> Site:
    values = reader.values("site")
    currency, zone = str(values.get("currency", "")), str(values.get("timezone", "UTC"))
    given = reader.table("site", "rates")
    rates = Rates(currency)
    if given is not None:
        rates = reader.problems.caught(rates, parse_rates, given.raw, currency, ZoneInfo(zone), given.where)
    return Site(**values, rates=rates)


def _calendar(reader: _Reader, zone: str) -> Calendar:
    given = reader.table("", "calendar")
    empty = Calendar()
    return (
        empty
        if given is None
        else reader.problems.caught(empty, parse_calendar, given.raw, ZoneInfo(zone), given.where)
    )


def _labels(reader: _Reader) -> Labels:
    given = reader.table("labels", "values")
    listed: list[AllowedValues] = []
    for name, values in (reader.problems.caught({}, as_table, given.raw, given.where) if given else {}).items():
        where = f"{given.where if given else ''}, {shown_key(name)}"
        dimension = reader.problems.caught("", as_dimension, name, where)
        texts = reader.problems.caught((), as_texts, values, where, least=1)
        if dimension and texts:
            listed.append(AllowedValues(dimension, texts))
    return Labels(**reader.values("labels"), values=tuple(listed))
