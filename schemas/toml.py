"""TOML files in and TOML texts out: what funnelwatch.toml, funnels.toml and the presets share."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from schemas.errors import ConfigError

_LINE = re.compile(r"\s*\(at line (\d+), column (\d+)\)$")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_SHOWN = 80  # characters of a wrong value that an error repeats


def read_toml(path: Path, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The document in the TOML file `path` (UTF-8, with or without a byte order mark).

    Raises ConfigError that names the file, and the line where the TOML is wrong.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise ConfigError(str(path), "no such file", "check the path, or create the file") from None
    except UnicodeDecodeError as error:
        raise ConfigError(str(path), f"byte {error.start} is not UTF-8", "save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        raise ConfigError(str(path), f"can't be read ({getattr(error, 'strerror', None) or error})") from None
    return parse_toml(text, str(path), parse_float)


def parse_toml(text: str, where: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The document in `text`. `where` names its file. Raises ConfigError with the line of a syntax error."""
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        found = _LINE.search(said)
        line = f", line {found[1]}, column {found[2]}" if found else ""
        problem = _LINE.sub("", said).removesuffix(" (at end of document)")
        at_end = " at the end of the file" if "at end of document" in said else ""
        remedy = "see https://toml.io for the syntax; texts stand in double quotes"
        raise ConfigError(f"{where}{line}", f"not valid TOML: {problem}{at_end}", remedy) from None
    except (
        ValueError,
        ArithmeticError,
        RecursionError,
    ) as error:  # thousands of digits, an endless exponent, a thousand brackets
        reason = "nested too deeply" if isinstance(error, RecursionError) else "a number has too many digits"
        raise ConfigError(where, f"not valid TOML: {reason}", "write a smaller value") from None


def show(value: object) -> str:
    """A wrong value as an error repeats it: as TOML where possible, on one line, shortened."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list | tuple):
        return "an empty array" if not value else f"an array of {len(value)}"
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 256:
        return "a huge number"
    text = json.dumps(value) if isinstance(value, str) else toml_value(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def shown_key(key: str) -> str:
    """A key as an error names it: as it stands, unless a terminal would take it for something else."""
    return key if key.isprintable() and len(key) <= _SHOWN else show(key)


def toml_value(value: object) -> str:
    """`value` (text, flag, number, date, sequence or mapping of these) as a TOML value on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml_value(item) for item in value) + "]"
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml_key(str(key))} = {toml_value(item)}" for key, item in value.items()) + " }"
    return str(value)


def toml_key(key: str) -> str:
    """`key` as TOML writes it: bare where that is allowed, else quoted (a dotted name is one key, not a path)."""
    return key if _BARE_KEY.fullmatch(key) else toml_value(key)
