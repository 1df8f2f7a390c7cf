"""From bytes to a JSON object, with the reason where that can't be."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

from schemas.decode.identity import parse_json
from schemas.errors import InvalidEvent
from schemas.reasons import Reason

_BOM = b"\xef\xbb\xbf"


def json_object(data: bytes, max_bytes: int, check: Callable[[dict[str, Any]], object]) -> dict[str, Any]:
    """The record as an object; fractions are Decimals. Raises InvalidEvent, nothing else.

    `check` looks at an object that is JSON only to lenient readers (NaN, endless integers, half surrogates), and may
    raise a better reason than `unparseable`.
    """
    guard_size(data, max_bytes)
    try:
        data.decode()
        record = parse_json(data.removeprefix(_BOM))
    except UnicodeDecodeError as error:
        raise InvalidEvent(Reason.BAD_TEXT, f"not UTF-8 at byte {error.start}") from None
    except RecursionError:
        raise InvalidEvent(Reason.TOO_LARGE, "nested too deeply") from None
    except msgspec.DecodeError as error:
        _explain(data, check)
        raise InvalidEvent(Reason.UNPARSEABLE, str(error)[:200]) from None
    if not isinstance(record, dict):
        raise InvalidEvent(Reason.UNPARSEABLE, f"JSON, but no object: {type(record).__name__}")
    return record


def guard_size(data: bytes | None, max_bytes: int) -> None:
    """Raises InvalidEvent for records that are empty (tombstones are None) or over `max_bytes`."""
    if not data:
        raise InvalidEvent(Reason.UNPARSEABLE, "the record is empty")
    if len(data) > max_bytes:
        raise InvalidEvent(Reason.TOO_LARGE, f"{len(data)} bytes, {max_bytes} are allowed")


def _explain(data: bytes, check: Callable[[dict[str, Any]], object]) -> None:
    try:
        record = json.loads(data, parse_float=Decimal, parse_int=_integer)
    except RecursionError:
        raise InvalidEvent(Reason.TOO_LARGE, "nested too deeply") from None
    except ValueError:
        return
    if isinstance(record, dict):
        check(record)


def _integer(digits: str) -> int | Decimal:
    return int(digits) if len(digits) < 40 else Decimal(digits)
