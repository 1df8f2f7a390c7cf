"""A mapping at work: from a record of any shape to the native names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from fnmatch import translate
from typing import Any

from schemas.decode.mapping import Mapping as MappingFile
from schemas.decode.mapping import Paths, Rule
from schemas.errors import InvalidEvent
from schemas.reasons import Reason

Record = Mapping[str, Any]
_Read = Callable[[Record], Any]
_HOLE = re.compile(r"\{([^{}]+)\}")
_TRUE, _FALSE = ("true", "yes", "1", "t", "y"), ("false", "no", "0", "f", "n", "")


def mapper(mapping: MappingFile) -> Callable[[Record], dict[str, Any]]:
    """The function from a record to native fields. It raises InvalidEvent: wrong_type, bad_revenue, bad_timestamp."""
    paths = mapping.fields if mapping.event is None else {**mapping.fields, "event": mapping.event}
    readers = [(*_place(name), _reader(path), _caster(mapping, name)) for name, path in paths.items()]
    constants = [(*_place(name), value) for name, value in mapping.constants.items()]
    defaults = [(*_place(name), value) for name, value in mapping.defaults.items()]
    rules = [(rule, _test(rule)) for rule in mapping.rules]

    def apply(record: Record) -> dict[str, Any]:
        native: dict[str, Any] = {}
        for group, name, value in constants:
            _put(native, group, name, value)
        for group, name, read, cast in readers:
            value = read(record)
            if value is not None and value != "":
                value = cast(value)
            if value is not None and value != "":
                _put(native, group, name, value)
        for group, name, value in defaults:
            if (native.get(group, {}) if group else native).get(name) is None:
                _put(native, group, name, value)
        for rule, fits in rules:
            if fits(record):
                native["event"] = rule.event
                native["bot"] = rule.bot or native.get("bot")
                break
        return native

    return apply


def _place(name: str) -> tuple[str, str]:
    group, _, rest = name.partition(".")
    return (group, rest) if rest else ("", name)


def _put(native: dict[str, Any], group: str, name: str, value: Any) -> None:
    if group:
        native.setdefault(group, {})[name] = value
    else:
        native[name] = value


def _reader(path: Paths) -> _Read:
    """A path, or a text with {paths}: the latter is None unless every path leads somewhere. Of several, the first that is
    neither missing nor empty."""
    if not isinstance(path, str):
        readers = [_reader(each) for each in path]
        return lambda record: next((v for read in readers if (v := read(record)) is not None and v != ""), None)
    if not _HOLE.search(path):
        return _path(path)
    holes = [_path(hole) for hole in _HOLE.findall(path)]
    template = _HOLE.sub("\x00", path).split("\x00")

    def compose(record: Record) -> str | None:
        values = [hole(record) for hole in holes]
        if any(value is None or value == "" or isinstance(value, dict | list) for value in values):
            return None
        return "".join(a + str(b) for a, b in zip(template, [*values, ""], strict=True))

    return compose


def _path(path: str) -> _Read:
    parts = path.split(".")

    def read(record: Record) -> Any:
        if path in record:
            return record[path]
        if len(parts) == 1:
            return None
        value: Any = record
        for part in parts:
            if isinstance(value, Mapping):
                value = value.get(part)
            elif isinstance(value, list) and part.isascii() and part.isdigit() and int(part[:9]) < len(value):
                value = value[int(part[:9])]
            else:
                return None
        return value

    return read


def _test(rule: Rule) -> Callable[[Record], bool]:
    tests = [
        (_path(path), re.compile("|".join(translate(glob) for glob in globs)), denied)
        for path, globs, denied in rule.where
    ]

    def fits(record: Record) -> bool:
        for read, pattern, denied in tests:
            value = read(record)
            if (pattern.match("" if value is None else str(value)[:4096]) is None) is not denied:
                return False
        return True

    return fits


def _caster(mapping: MappingFile, name: str) -> Callable[[Any], Any]:
    cast, values = mapping.casts.get(name), mapping.values.get(name)

    def convert(value: Any) -> Any:
        if values is not None:
            value = values.get(_word(value), values.get("*", value))
        return value if cast is None or value is None or value == "" else _cast(value, cast, name)

    return convert


def _word(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _cast(value: Any, cast: str, name: str) -> Any:
    if isinstance(value, dict | list):
        raise InvalidEvent(Reason.WRONG_TYPE, f"{name} is no single value, so it can't be cast to {cast}")
    if cast in ("text", "lower", "upper"):
        word = _word(value)
        return word if cast == "text" else getattr(word, cast)()
    if cast == "boolean":
        word = _word(value).strip().lower()
        if word not in _TRUE + _FALSE:
            raise InvalidEvent(Reason.WRONG_TYPE, f"{name} is {word[:40]!r}, not true or false")
        return word in _TRUE
    return _time(str(value), cast, name) if "%" in cast else _numeric(value, cast, name)


def _time(text: str, pattern: str, name: str) -> str:
    """A time as it is written → ISO 8601, without a zone where the pattern has none."""
    try:
        return datetime.strptime(text[:64].strip(), pattern).isoformat()  # noqa: DTZ007 - the mapping's `timezone` is its zone
    except (ValueError, OverflowError):
        reason = Reason.BAD_TIMESTAMP if name == "timestamp" else Reason.WRONG_TYPE
        raise InvalidEvent(reason, f"{name} is {text[:40]!r}, not a time like {pattern}") from None


def _numeric(value: Any, cast: str, name: str) -> Any:
    try:
        number = Decimal(str(value)[:64].strip())
        if not number.is_finite() or abs(number.adjusted()) > 40:
            number = Decimal("of no use")  # raises
        if cast == "cents":
            return number.scaleb(-2)
        if cast == "integer":
            return int(number)
        if cast == "number":
            return int(number) if number == number.to_integral_value() else number
        return {"s": number, "ms": number / 1000, "us": number / 1_000_000, "ns": number / 1_000_000_000}[cast]
    except (InvalidOperation, ValueError):
        money, time = name in ("revenue", "cost"), name == "timestamp"
        reason = Reason.BAD_REVENUE if money else Reason.BAD_TIMESTAMP if time else Reason.WRONG_TYPE
        raise InvalidEvent(reason, f"{name} is {str(value)[:40]!r}, not a number") from None
