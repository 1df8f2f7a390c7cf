"""One check for each kind of field: ids, texts, consent, experiments, properties. All raise InvalidEvent only."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import Any

from schemas.errors import InvalidEvent
from schemas.reasons import Reason

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_YES = frozenset(("granted", "true", "yes", "y", "1", "opt_in", "opted_in", "accepted", "allow", "allowed"))
_NO = frozenset(("denied", "false", "no", "n", "0", "opt_out", "opted_out", "rejected", "deny"))
_CONSENT_KEYS = ("marketing", "advertising", "ad_storage", "ad_user_data", "ad_personalization")
_INTEGERS = range(-(2**63), 2**64)  # what 64 bits and so every encoding of ours carries


def clean(text: str, field: str) -> str:
    """The text itself. bad_text: it holds NUL, or half a surrogate pair."""
    if "\x00" in text:
        raise InvalidEvent(Reason.BAD_TEXT, f"{field} holds NUL")
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise InvalidEvent(Reason.BAD_TEXT, f"{field} is broken Unicode") from None
    return text


def text(value: object, field: str) -> str | None:
    """A text; an integer as its decimal text; None for null and empty text."""
    if value is None or value == "":
        return None
    if value.__class__ is int and value in _INTEGERS:
        return str(value)
    if not isinstance(value, str):
        raise InvalidEvent(Reason.WRONG_TYPE, f"{field} is {_kind(value)}, not text")
    return clean(value, field)


def identifier(value: object, field: str, longest: int) -> str | None:
    """An id: 1 to `longest` characters, no control characters; an integer as its decimal text; None for null."""
    if value is None:
        return None
    if value.__class__ is int:
        if value not in _INTEGERS:
            raise InvalidEvent(Reason.BAD_ID, f"{field} is an integer beyond 64 bits")
        value = str(value)
    if not isinstance(value, str):
        raise InvalidEvent(Reason.WRONG_TYPE, f"{field} is {_kind(value)}, not text or an integer")
    if not value or len(value) > longest:
        raise InvalidEvent(Reason.BAD_ID, f"{field} is empty" if not value else f"{field} is over {longest} characters")
    if _CONTROL.search(value):
        raise InvalidEvent(Reason.BAD_ID, f"{field} holds a control character")
    return clean(value, field)


def consent(value: object) -> bool | None:
    """Marketing consent: bool, `granted`/`denied` and the like, or an object (`marketing`, Google's `ad_storage` …).

    Of several answers in an object all must be yes. What says nothing about marketing is None.
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        word = value.strip().lower().replace("-", "_")
        return True if word in _YES else False if word in _NO else None
    if isinstance(value, dict):
        inner = value.get("categoryPreferences")  # Segment's way to write it
        answers = {str(k).lower(): v for k, v in (inner if isinstance(inner, dict) else value).items()}
        told = [
            a
            for a in (consent(answers.get(key)) for key in _CONSENT_KEYS if not _nested(answers, key))
            if a is not None
        ]
        return all(told) if told else None
    if value in (0, 1):
        return bool(value)
    raise InvalidEvent(Reason.WRONG_TYPE, f"consent is {_kind(value)}, not true or false")


def _nested(answers: dict[str, Any], key: str) -> bool:
    return not isinstance(answers.get(key), bool | str | int | None)


def variant(value: object) -> dict[str, str] | None:
    """Experiment → variant. From an object, or from `experiment:variant` (several: with commas; alone: of `default`)."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        parts = (part.strip() for part in value.split(","))
        pairs = (part.partition(":") if ":" in part else ("default", "", part) for part in parts if part)
        value = {experiment: arm for experiment, _, arm in pairs}
    if not isinstance(value, dict):
        raise InvalidEvent(Reason.WRONG_TYPE, f"variant is {_kind(value)}, not text or an object")
    named = {clean(str(key), "variant"): text(_flag(arm), "variant") for key, arm in value.items()}
    return {key: arm for key, arm in named.items() if arm is not None} or None


def _flag(value: object) -> object:
    return str(value).lower() if isinstance(value, bool) else value


def properties(value: object, most: int, deepest: int) -> dict[str, Any] | None:
    """A checked copy of a JSON object. too_large: an object of over `most` keys, or over `deepest` levels.

    Integers beyond 64 bits become floats; numbers beyond those are wrong_type.
    """
    if value is None:
        return None
    if not isinstance(value, dict):
        raise InvalidEvent(Reason.WRONG_TYPE, f"properties is {_kind(value)}, not an object")
    return _object(value, most, deepest) or None


def _object(value: dict[Any, Any], most: int, levels: int) -> dict[str, Any]:
    if len(value) > most:
        raise InvalidEvent(Reason.TOO_LARGE, f"properties holds {len(value)} keys in one object, {most} are allowed")
    return {clean(str(key), "properties"): _value(item, most, levels - 1) for key, item in value.items()}


def _value(value: object, most: int, levels: int) -> object:
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return clean(value, "properties")
    if isinstance(value, dict | list):
        if levels <= 0:
            raise InvalidEvent(Reason.TOO_LARGE, "properties is nested too deeply")
        if isinstance(value, dict):
            return _object(value, most, levels)
        return [_value(item, most, levels - 1) for item in value]
    return _number(value)


def _number(value: object) -> int | float:
    if isinstance(value, int) and value in _INTEGERS:
        return value
    try:
        number = float(value)  # type: ignore[arg-type]
    except (OverflowError, TypeError, ValueError):
        number = float("inf")
    if not isfinite(number):
        raise InvalidEvent(Reason.WRONG_TYPE, "properties holds a number that no double can carry")
    return number


def _kind(value: object) -> str:
    names = {bool: "a boolean", int: "an integer", float: "a number", Decimal: "a number", dict: "an object"}
    return names.get(type(value), "an array" if isinstance(value, list) else type(value).__name__)
