"""The mapping file: how records of any shape become events.

    format = "json"              # json (default: Avro, Protobuf and JSON Schema records, too), csv, combined, snowplow
    event = "{category}.{action}"  # the event's name, composed of fields of the record
    timezone = "Europe/Berlin"   # of times that name none; default UTC
    delimiter = ";"              # csv: default ","
    columns = ["user", "what"]   # csv: default the file's header line

    [fields]                     # event field = path in the record, or a text with {paths}
    timestamp = "ts"
    user_id = "user.id"          # objects within objects; list items by number: "items.0.sku"
    visitor_id = ["user.cookie", "device.id"]  # the first path that leads to something; `event` may be such a list, too
    "properties.sku" = "item.sku"

    [constants]                  # fields that are the same for every record, where the record itself says nothing else
    site = "shop.example"

    [defaults]                   # fields of records that leave them open
    currency = "EUR"

    [casts]                      # text, integer, number, boolean, lower, upper,
    revenue = "cents"            # cents (1999 → 19.99); for times: s, ms, us, ns,
    timestamp = "%d.%m.%Y %H:%M" # or how they are written, as in Python's strptime

    [values.customer_type]       # what the record says = what the event says; "" leaves it out
    loyal = "returning"
    "*" = "new"                  # all others; without it they stay as they are

    [[rules]]                    # the first whose every pattern fits names the event; none: `event` or `fields.event`
    event = "download"
    where = { method = "GET", path = "/downloads/*", status = "200|206" }
    bot = true                   # optional: such records are programs, not people

Patterns are globs (`*`, `?`, `[…]`) with `|` between alternatives, case counts; a leading `!` denies the whole. They meet
the field's text, `""` where it is missing. Event fields: those of the native format, `properties.NAME`, `variant.NAME`.

A combined log line has the fields time, method, path, query, url (path and query), protocol, status, bytes, referrer,
user_agent, user. Of these timestamp, url, referrer and user_agent are taken without being named. The address is never
among them: with the user agent it makes the `visitor_id`, as a keyed hash.

A Snowplow event has its 131 columns by name, `unstruct.NAME` (data of a self-describing event) and `contexts.SCHEMA.NAME`
(of the first context of that schema). What `schemas.decode.snowplow` takes of them need not be named.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

import msgspec

from schemas.errors import ConfigError
from schemas.event import Event
from schemas.toml import read_toml, show, shown_key

CASTS = ("text", "integer", "number", "boolean", "lower", "upper", "cents", "s", "ms", "us", "ns")
FORMATS = ("json", "csv", "combined", "snowplow")
#: One path, or several of which the first that leads to something counts.
Paths = str | tuple[str, ...]
#: Event fields that a mapping may fill; `timestamp` is `ts`.
TARGETS = frozenset(Event.__struct_fields__) - {"ts", "properties", "variant"} | {"timestamp"}
_KINDS: dict[str, tuple[Any, str]] = {
    "format": (str, 'text such as "json"'),
    "event": (str | list, 'text such as "{category}.{action}"'),
    "timezone": (str, 'text such as "Europe/Berlin"'),
    "delimiter": (str, 'one character such as ";"'),
    "columns": (list, "a list of names"),
    "fields": (dict, "a table of event field = path"),
    "constants": (dict, "a table of event field = value"),
    "defaults": (dict, "a table of event field = value"),
    "casts": (dict, "a table of event field = cast"),
    "values": (dict, "a table for each event field"),
    "rules": (list, "[[rules]] tables"),
}


class Rule(msgspec.Struct, frozen=True):
    """Names the event of records whose fields fit every pattern of `where`: (path, glob alternatives, denied)."""

    event: str
    where: tuple[tuple[str, tuple[str, ...], bool], ...] = ()
    bot: bool = False


class Mapping(msgspec.Struct, frozen=True):
    """A checked mapping file. The module's docstring says what each key means."""

    format: Literal["json", "csv", "combined", "snowplow"] = "json"
    event: Paths | None = None
    timezone: str = "UTC"
    delimiter: str = ","
    columns: tuple[str, ...] = ()
    fields: dict[str, Paths] = {}
    constants: dict[str, Any] = {}
    defaults: dict[str, Any] = {}
    casts: dict[str, str] = {}
    values: dict[str, dict[str, Any]] = {}
    rules: tuple[Rule, ...] = ()


def load_mapping(path: str | Path) -> Mapping:
    """The mapping of a TOML file. Raises ConfigError with file, key, value and remedy."""
    return parse_mapping(read_toml(Path(path)), str(path))


def parse_mapping(document: dict[str, Any], where: str) -> Mapping:
    """The same from a parsed document; `where` names it in errors."""
    for key, value in document.items():
        if key not in _KINDS:
            raise ConfigError(f"{where}, {shown_key(key)}", "no such key", f"use one of {', '.join(_KINDS)}")
        kind, example = _KINDS[key]
        if not isinstance(value, kind):
            raise ConfigError(f"{where}, {key}", f"{show(value)} is {type(value).__name__}", f"write {example}")
    _check_scalars(document, where)
    for section in ("fields", "constants", "defaults", "casts", "values"):
        for key, value in document.get(section, {}).items():
            _check_entry(section, key, value, f"{where}, {section}.{shown_key(key)}")
    rules = tuple(_rule(entry, f"{where}, rules[{n}]") for n, entry in enumerate(document.get("rules", []), 1))
    paths = {name: _paths(path) for name, path in document.get("fields", {}).items()}
    event = _paths(document["event"]) if "event" in document else None
    columns = tuple(document.get("columns", ()))
    return Mapping(**{**document, "event": event, "fields": paths, "columns": columns, "rules": rules})


def _paths(given: str | list[str]) -> Paths:
    return given if isinstance(given, str) else tuple(given)


def _is_path(value: Any) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(path, str) and path for path in value)
    return isinstance(value, str) and bool(value)


def _check_scalars(document: dict[str, Any], where: str) -> None:
    checks: tuple[tuple[str, Callable[[Any], bool], str], ...] = (
        ("format", lambda value: value in FORMATS, f"use one of {', '.join(FORMATS)}"),
        ("event", _is_path, 'write a text such as "{category}.{action}"'),
        (
            "delimiter",
            lambda value: len(value) == 1 and value not in '"\r\n',
            'use one character, such as ";" or "\\t"',
        ),
        ("columns", lambda value: all(isinstance(name, str) for name in value), "write a list of names"),
        ("timezone", _is_zone, 'use a name of the IANA list, such as "Europe/Berlin"'),
    )
    for key, fits, remedy in checks:
        if key in document and not fits(document[key]):
            raise ConfigError(f"{where}, {key}", f"{show(document[key])} can't be used", remedy)


def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError):  # ZoneInfoNotFoundError is a KeyError
        return False
    except KeyError:
        return False
    return True


def _check_entry(section: str, key: str, value: Any, where: str) -> None:
    if key not in TARGETS and not (key.partition(".")[0] in ("properties", "variant") and key.partition(".")[2]):
        remedy = f"use one of {', '.join(sorted(TARGETS))}, properties.NAME or variant.NAME"
        raise ConfigError(where, f"{show(key)} is no field of an event", remedy)
    if section == "fields" and not _is_path(value):
        raise ConfigError(where, f"{show(value)} is no path", 'write a path such as "user.id", or a list of them')
    if section in ("constants", "defaults") and not isinstance(value, str | int | float | bool):
        raise ConfigError(where, f"{show(value)} can't be a constant", "write a text, a number, true or false")
    if section == "casts" and value not in CASTS and not (isinstance(value, str) and "%" in value):
        remedy = f'use one of {", ".join(CASTS)}, or how a time is written, such as "%d.%m.%Y %H:%M:%S"'
        raise ConfigError(where, f"{show(value)} is no cast", remedy)
    if section == "values" and not isinstance(value, dict):
        raise ConfigError(
            where, f"{show(value)} is no table", 'write [values.FIELD] with lines such as loyal = "returning"'
        )


def _rule(entry: Any, where: str) -> Rule:
    if not isinstance(entry, dict) or not isinstance(entry.get("event"), str) or not entry["event"]:
        raise ConfigError(where, "the rule names no event", 'write event = "NAME"')
    unknown = set(entry) - {"event", "where", "bot"}
    if unknown:
        raise ConfigError(where, f"{show(min(unknown))} is no key of a rule", "use event, where, bot")
    patterns = entry.get("where", {})
    if not isinstance(patterns, dict) or not all(isinstance(glob, str | int) for glob in patterns.values()):
        raise ConfigError(f"{where}.where", f"{show(patterns)} can't be used", 'write { path = "/downloads/*" }')
    if not isinstance(entry.get("bot", False), bool):
        raise ConfigError(f"{where}.bot", f"{show(entry['bot'])} is not true or false", "write true or false")
    tests = ((path, str(glob)) for path, glob in patterns.items())
    where_parts = tuple((path, tuple(glob.removeprefix("!").split("|")), glob.startswith("!")) for path, glob in tests)
    return Rule(entry["event"], where_parts, entry.get("bot", False))
