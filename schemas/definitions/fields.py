"""Which fields of an event a definition may name, in `where` and in `dimensions`."""

from __future__ import annotations

from schemas.errors import ConfigError
from schemas.metrics import CROSS
from schemas.problems import close_match
from schemas.toml import show
from schemas.values import as_text

#: Fields with a limited set of text values: dimensions, and texts in conditions.
TEXT_FIELDS = (
    "event",
    "site",
    "url",
    "landing_page",
    "referrer",
    "channel",
    "source",
    "medium",
    "campaign",
    "content",
    "term",
    "device",
    "country",
    "customer_type",
    "currency",
    "owner",
)
#: Fields that hold an id: good for conditions, never a dimension (a value for each person is no breakdown).
ID_FIELDS = ("event_id", "session_id", "visitor_id", "user_id", "account_id", "order_id")
NUMBER_FIELDS = ("revenue", "cost")
FLAG_FIELDS = ("consent",)
#: Fields that hold a mapping: named with the path to one value.
PATH_FIELDS = ("properties", "variant")
CONDITION_FIELDS = TEXT_FIELDS + ID_FIELDS + NUMBER_FIELDS + FLAG_FIELDS

_LONGEST_PATH = 200
_DEEPEST_PATH = 8


def is_path(name: str) -> bool:
    return name.split(".", 1)[0] in PATH_FIELDS


def as_path(value: object, where: str) -> str:
    """`properties.a.b` (at most 8 levels) or `variant.experiment`."""
    name = as_text(value, where, longest=_LONGEST_PATH)
    root, *rest = name.split(".")
    if root not in PATH_FIELDS or not rest or not all(rest) or len(rest) > _DEEPEST_PATH:
        raise ConfigError(where, f"{show(name)} is not a path", 'write "properties.plan" or "variant.experiment"')
    return name


def as_dimension(value: object, where: str) -> str:
    """A field by which a funnel may be broken down. Raises ConfigError."""
    name = as_text(value, where, longest=_LONGEST_PATH)
    if is_path(name):
        return as_path(name, where)
    if name in TEXT_FIELDS:
        return name
    if name in ID_FIELDS:
        raise ConfigError(where, f"{show(name)} is an id: each would be a value", "name a field with few values")
    if any(mark in name for mark in (CROSS, "*", ",")):
        raise ConfigError(where, f"{show(name)} names several fields", 'name each alone, such as ["channel", "device"]')
    raise ConfigError(
        where, f"{show(name)} is not a field of events that can be a dimension", _remedy(name, TEXT_FIELDS)
    )


def as_value(value: object, where: str) -> str:
    """The field from which a stage takes its money: `revenue` or `properties.x`. Raises ConfigError."""
    if value == "revenue":
        return "revenue"
    if isinstance(value, str) and value.startswith("properties."):
        return as_path(value, where)
    raise ConfigError(where, f"{show(value)} is no field with money", 'write "revenue" or "properties.amount"')


def as_condition_field(name: str, where: str) -> str:
    """A field that `where` may test. Raises ConfigError."""
    if is_path(name):
        return as_path(name, where)
    if name in CONDITION_FIELDS:
        return name
    raise ConfigError(where, "is not a field of events", _remedy(name, CONDITION_FIELDS))


def _remedy(name: str, fields: tuple[str, ...]) -> str:
    close = close_match(name, fields)
    if close:
        return f'did you mean "{close}"?'
    return f"known: {', '.join(fields)}, properties.<name>, variant.<experiment>"
