"""The types that a setting can have, and how a value of each is read from TOML or from a text (environment, flag)."""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from collections.abc import Callable
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import cache
from pathlib import Path
from zoneinfo import available_timezones

import msgspec

from schemas.definitions.fields import as_dimension, as_path, is_path
from schemas.durations import format_duration, parse_duration
from schemas.errors import ConfigError
from schemas.metrics import CROSS
from schemas.privacy.protect import OPTIONAL_FIELDS as OPTIONAL
from schemas.problems import nearest
from schemas.settings.currency import as_currency
from schemas.settings.secret import Secret
from schemas.toml import show, toml_value
from schemas.values import as_choice, as_flag, as_integer, as_text, as_texts

Read = Callable[[object, str], object]


class Kind(msgspec.Struct, frozen=True):
    """One type of setting. `name` as the reference calls it; `read(value, where)` raises ConfigError."""

    name: str
    read: Read
    text: Callable[[object], str] = toml_value  # a value as the reference and `check` show it


def _address(value: object, where: str) -> str:
    text = as_text(value, where)
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 <= int(port[:6]) <= 65535:
        raise ConfigError(where, f"{show(text)} is not an address", 'write "host:port", such as "127.0.0.1:6066"')
    return text


def _servers(value: object, where: str) -> tuple[str, ...]:
    return tuple(_address(server, where) for server in as_texts(value, where, least=1))


def _networks(value: object, where: str) -> tuple[str, ...]:
    networks = as_texts(value, where) if value != [] else ()
    for network in networks:
        try:
            ipaddress.ip_network(network)
        except ValueError:
            raise ConfigError(where, f"{show(network)} is not an address or network", 'write "10.0.0.0/8"') from None
    return networks


def _crosses(value: object, where: str) -> tuple[tuple[str, str], ...]:
    crosses = []
    for text in as_texts(value, where) if value != [] else ():
        first, cross, second = text.replace("*", CROSS).partition(CROSS)
        if not cross or first.strip() == second.strip():
            raise ConfigError(where, f"{show(text)} is not a pair of dimensions", f'write "channel{CROSS}device"')
        crosses.append((as_dimension(first.strip(), where), as_dimension(second.strip(), where)))
    return tuple(crosses)


def _crosses_text(value: object) -> str:
    return toml_value([CROSS.join(pair) for pair in value] if isinstance(value, tuple) else [])


def _optional_fields(value: object, where: str) -> tuple[str, ...]:
    names = as_texts(value, where) if value != [] else ()
    for name in names:
        if is_path(name):
            as_path(name, where)
        elif name not in OPTIONAL:
            raise ConfigError(where, f"{show(name)} is no field that can be left out", nearest(name, OPTIONAL))
    return names


def _url(value: object, where: str) -> str:
    text = as_text(value, where, empty=True)
    if not text:
        return text
    try:
        parts = urllib.parse.urlsplit(text)
        user, host, _ = parts.username, parts.hostname, parts.port
    except ValueError:
        user, host, parts = None, None, urllib.parse.urlsplit("")
    if user is not None:
        raise ConfigError(where, "holds a user name or password", "write them in user and password")
    if parts.scheme not in ("http", "https") or not host:
        raise ConfigError(where, f"{show(text)} is not a URL", 'write it as "http://host:port" or "https://host"')
    return text.rstrip("/")


@cache
def _zones() -> frozenset[str]:
    """Names of all time zones: a walk over hundreds of files, so it is done once."""
    return frozenset(available_timezones())


def _zone(value: object, where: str) -> str:
    text = as_text(value, where)
    if text not in _zones():
        raise ConfigError(where, f"{show(text)} is not a time zone", _nearest_zone(text))
    return text


def _nearest_zone(text: str) -> str:
    remedy = nearest(text, _zones())
    return remedy if remedy.startswith("did") else 'write a name such as "Europe/Berlin"'


def _date(value: object, where: str) -> int:
    """ms since 1970 UTC of the date's first moment in UTC."""
    day = value
    if isinstance(value, str):
        try:
            day = date.fromisoformat(value)
        except ValueError:
            day = None
    if isinstance(day, datetime) or not isinstance(day, date) or day.year < 1970:
        raise ConfigError(where, f"{show(value)} is not a date from 1970 on", "write 2020-01-01")
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1000


def _date_text(value: object) -> str:
    return datetime.fromtimestamp(value / 1000, UTC).date().isoformat() if isinstance(value, int) else ""


def _matching(pattern: str, problem: str, remedy: str, *, empty: bool = False) -> Read:
    compiled = re.compile(pattern)

    def read(value: object, where: str) -> str:
        text = as_text(value, where, empty=empty)
        if text and not compiled.fullmatch(text):
            raise ConfigError(where, f"{show(text)} {problem}", remedy)
        return text

    return read


def _no_zero(value: object, where: str) -> int:
    return parse_duration(value, where)


def _or_zero(value: object, where: str) -> int:
    return parse_duration(value, where, zero=True)


def _quoted_duration(value: object) -> str:
    return toml_value(format_duration(value)) if isinstance(value, int) else ""


def _topic_remedy() -> str:
    return "use letters, digits, dot, _ and -; at most 249"


def as_secret(value: object, where: str) -> Secret:
    """The error of a bad secret must not repeat it."""
    try:
        return Secret(as_text(value, where, longest=10_000, empty=True))
    except ConfigError:
        raise ConfigError(where, "is not a text without control characters", "write it in double quotes") from None


TEXT = Kind("text", lambda value, where: as_text(value, where, empty=True))
NAME = Kind("text", as_text)
FLAG = Kind("flag", as_flag)
PATH = Kind("path", lambda value, where: Path(as_text(value, where)), lambda value: toml_value(str(value or "")))
SECRET = Kind("secret", as_secret, lambda value: toml_value("") if not value else str(value))
DURATION = Kind("duration", _no_zero, _quoted_duration)
DURATION_OR_ZERO = Kind("duration", _or_zero, _quoted_duration)
SERVERS = Kind("list of host:port", _servers)
TEXTS = Kind("list of texts", lambda value, where: as_texts(value, where) if value != [] else ())
NETWORKS = Kind("list of addresses", _networks)
OPTIONAL_FIELDS = Kind("list of fields", _optional_fields)
CROSSES = Kind(f"list of dimension{CROSS}dimension", _crosses, _crosses_text)
LISTS = (SERVERS, TEXTS, NETWORKS, OPTIONAL_FIELDS, CROSSES)
ADDRESS = Kind("host:port", _address)
URL = Kind("URL", _url)
ZONE = Kind("time zone", _zone)
DATE = Kind("date", _date, _date_text)
CURRENCY = Kind("currency", lambda value, where: as_currency(value, where, empty=True))
TOPIC = Kind("topic", _matching(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,249}", "can't name a topic", _topic_remedy()))
TOPIC_PREFIX = Kind("text", _matching(r"[A-Za-z0-9._-]{1,100}", "can't begin a topic's name", _topic_remedy()))
DATABASE = Kind("text", _matching(r"[A-Za-z_][A-Za-z0-9_]{0,99}", "can't name a database", "use letters, digits and _"))
CLUSTER = Kind(
    "text", _matching(r"[A-Za-z0-9_.{}-]{1,100}", "can't name a cluster", "use letters, digits, _ . -", empty=True)
)


def integer(least: int, most: int = 2**63 - 1) -> Kind:
    return Kind("number", lambda value, where: as_integer(value, where, least=least, most=most))


def choice(choices: type[StrEnum], *, empty: bool = False) -> Kind:
    """One of an enumeration; with `empty`, absent is None and "" says so."""
    names = [member.value for member in choices]

    def read(value: object, where: str) -> StrEnum | None:
        return None if empty and value == "" else choices(as_choice(value, where, names))

    shown = " or ".join(f"`{name}`" for name in names)
    return Kind(shown, read, lambda value: toml_value("" if value is None else str(value)))


def from_text(kind: Kind, text: str) -> object:
    """A text from the environment or a flag as the TOML value that it stands for, to be read by `kind.read`."""
    if kind is FLAG:
        return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}.get(text.lower(), text)
    if kind.name == "number":
        return int(text) if re.fullmatch(r"[+-]?[0-9]{1,19}", text) else text
    if kind in LISTS:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text
