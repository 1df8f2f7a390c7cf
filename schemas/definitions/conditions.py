"""`where`: the field conditions of a stage, from TOML to `Condition`.

    where = { device = "mobile", "properties.plan" = ["pro", "team"], revenue = { ge = 100 }, term = { exists = true } }

A text or flag alone, or an array of them, is `in` (an amount alone is `eq`). A table holds operators; all conditions
must hold.
`properties = { plan = "pro" }` and `properties.plan = "pro"` say the same as `"properties.plan" = "pro"`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from schemas.definitions.fields import FLAG_FIELDS, NUMBER_FIELDS, PATH_FIELDS, as_condition_field, is_path
from schemas.errors import ConfigError
from schemas.funnel import Condition
from schemas.problems import Problems, nearest
from schemas.toml import show
from schemas.values import INTEGER_LIMIT, as_flag, as_table, as_text

LISTS = ("in", "not_in")
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")
OPERATORS = (*LISTS, *COMPARISONS, "exists")

_DEEPEST = 8
_MOST_VALUES = 1000


def parse_where(value: object, where: str) -> tuple[Condition, ...]:
    """The conditions of the table `value`, which stands at `where`. Raises ConfigError, one for all that is wrong."""
    problems = Problems()
    conditions: list[Condition] = []
    for field, tested in _leaves(as_table(value, where), "", where, 0):
        at = f"{where}.{field}" if field.isascii() and field.isprintable() else where
        conditions += problems.caught([], _conditions, field, tested, at)
    tested_by = [(condition.field, condition.operator) for condition in conditions]
    for field, operator in sorted({test for test in tested_by if tested_by.count(test) > 1}):
        problems.add(f"{where}.{field}", f"is tested twice with {operator}", "write one test with a list of values")
    problems.raise_any()
    return tuple(conditions)


def _leaves(table: dict[str, object], prefix: str, where: str, depth: int) -> Iterator[tuple[str, object]]:
    """(field, what is tested) pairs; tables below `properties` and `variant` that hold no operator are a path."""
    if depth > _DEEPEST:
        raise ConfigError(where, "is nested too deeply", f"name a property of at most {_DEEPEST} levels")
    for key, value in table.items():
        field = f"{prefix}{key}"
        path = bool(prefix) or key in PATH_FIELDS or is_path(key)
        if path and isinstance(value, dict) and value and (key in PATH_FIELDS or not set(value) & set(OPERATORS)):
            yield from _leaves(as_table(value, where), f"{field}.", where, depth + 1)
        else:
            yield field, value


def _conditions(field: str, tested: object, where: str) -> list[Condition]:
    name = as_condition_field(field, where)
    if name in NUMBER_FIELDS and isinstance(tested, int | float) and not isinstance(tested, bool):
        return [Condition(name, "eq", (_number(tested, where),))]
    if not isinstance(tested, dict):
        return [Condition(name, "in", _listed(name, tested, where))]
    if not tested:
        raise ConfigError(where, "is an empty table", f"write an operator: {', '.join(OPERATORS)}")
    return [
        _operation(name, str(operator), value, f"{where}.{_shown(str(operator))}") for operator, value in tested.items()
    ]


def _shown(operator: str) -> str:
    """An operator as an error names it: as it is, or escaped."""
    return operator if operator.isidentifier() and operator.isascii() else show(operator)


def _operation(field: str, operator: str, value: object, where: str) -> Condition:
    if operator in LISTS:
        return Condition(field, operator, _listed(field, value, where))
    if operator == "exists":
        return Condition(field, operator, (as_flag(value, where),))
    if operator not in COMPARISONS:
        raise ConfigError(where, "unknown operator", nearest(operator, OPERATORS))
    if not (field in NUMBER_FIELDS or is_path(field)):
        raise ConfigError(
            where, f"{field} is not a number", 'compare texts with = "a", = ["a", "b"] or { not_in = "a" }'
        )
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigError(where, f"{show(value)} is not a number", "write a number without quotes")
    return Condition(field, operator, (_number(value, where),))


def _listed(field: str, value: object, where: str) -> tuple[object, ...]:
    items = value if isinstance(value, list | tuple) else [value]
    if not items:
        raise ConfigError(where, "is empty: nothing would fit", "write at least one value, or leave the condition out")
    if len(items) > _MOST_VALUES:
        raise ConfigError(where, f"has {len(items)} values", f"write at most {_MOST_VALUES}")
    return tuple(_listed_value(field, item, where) for item in items)


def _listed_value(field: str, item: object, where: str) -> object:
    """One value of a list, of the type that the field has: texts (globs), flags; any of a property."""
    if is_path(field) and isinstance(item, bool | int | float):
        return item if isinstance(item, bool) else _number(item, where)
    if field in FLAG_FIELDS:
        return as_flag(item, where)
    if field in NUMBER_FIELDS:
        raise ConfigError(
            where, f"{show(item)} can't be looked up: {field} is an amount", f"write {field} = {{ ge = 100 }}"
        )
    return as_text(item, where)


def _number(value: float, where: str) -> int | float:
    if not math.isfinite(value) or abs(value) >= INTEGER_LIMIT:
        raise ConfigError(where, f"{show(value)} is not a number that events have", "write a smaller number")
    return value
