"""Readers of single values of a TOML document. Each takes the value and `where` it stands, and raises ConfigError."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from schemas.errors import ConfigError
from schemas.problems import close_match
from schemas.toml import show

LONGEST_TEXT = 500
INTEGER_LIMIT = 2**63


def as_text(value: object, where: str, *, longest: int = LONGEST_TEXT, empty: bool = False) -> str:
    """A text of at most `longest` characters, valid Unicode, without control characters; empty only if `empty`."""
    if not isinstance(value, str):
        raise ConfigError(where, f"{show(value)} is not a text", "write it in double quotes")
    if not value and not empty:
        raise ConfigError(where, "is empty", "write a text, or leave the key out")
    if len(value) > longest:
        raise ConfigError(where, f"{show(value)} has {len(value)} characters", f"write at most {longest}")
    # Cc: control characters; Cs: half of a surrogate pair, which no file or socket can carry.
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in value):
        raise ConfigError(where, f"{show(value)} has control characters", "leave them out")
    return value


def as_texts(value: object, where: str, *, least: int = 0, most: int = 1000) -> tuple[str, ...]:
    """Texts: an array of them, or one alone. Each counts once. At least `least`, at most `most`."""
    items = value if isinstance(value, list | tuple) else [value]
    texts = tuple(dict.fromkeys(as_text(item, where) for item in items))
    if len(texts) < least:
        raise ConfigError(where, "is empty", 'write at least one text, such as ["a", "b"]')
    if len(texts) > most:
        raise ConfigError(where, f"has {len(texts)} values", f"write at most {most}")
    return texts


def as_flag(value: object, where: str) -> bool:
    if isinstance(value, bool):
        return value
    raise ConfigError(where, f"{show(value)} is neither true nor false", "write true or false, without quotes")


def as_integer(value: object, where: str, *, least: int = 0, most: int = INTEGER_LIMIT - 1) -> int:
    """A whole number from `least` to `most`, both included."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise ConfigError(where, f"{show(value)} is not a whole number", f"write a number such as {max(least, 1)}")
    if not least <= value <= most:
        span = f"at least {least}" if most >= INTEGER_LIMIT - 1 else f"{least} to {most}"
        raise ConfigError(where, f"{show(value)} is out of range", f"write {span}")
    return value


def as_share(value: object, where: str) -> float:
    """A share above 0 and at most 1: 0.35 is 35 %."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise ConfigError(where, f"{show(value)} is not a share above 0 and at most 1", "write 0.35 for 35 %")
    return float(value)


def as_choice(value: object, where: str, choices: Sequence[str]) -> str:
    """One of `choices`, as written there."""
    if isinstance(value, str) and value in choices:
        return value
    listed = ", ".join(f'"{choice}"' for choice in choices)
    close = close_match(value, choices) if isinstance(value, str) else None
    remedy = f'did you mean "{close}"?' if close else "write one of them"
    raise ConfigError(where, f"{show(value)} is none of {listed}", remedy)


def as_table(value: object, where: str) -> dict[str, object]:
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    raise ConfigError(where, f"{show(value)} is not a table", "write [section] or { key = value }")


def as_tables(value: object, where: str, example: str) -> list[dict[str, object]]:
    """An array of tables; `example` is its header, such as `[[sources]]`."""
    if isinstance(value, list | tuple) and all(isinstance(item, dict) for item in value):
        return [as_table(item, where) for item in value]
    raise ConfigError(where, f"{show(value)} is not an array of tables", f"write {example} above each one")
