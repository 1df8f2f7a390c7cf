"""The native format: one JSON object a record. This is the hot path: 100,000 records a second and more on one core.

The usual record goes straight from bytes into the Event. Whatever is unusual (a missing
id, odd types, control characters, anything wrong) leaves by `careful`, which looks at each field and names the reason.
Both give the same Event for the same record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

import msgspec

from schemas.decode.build import Build, builder
from schemas.decode.fields import consent, properties, variant
from schemas.decode.finish import finisher
from schemas.decode.identity import record_id
from schemas.decode.jsonrecord import json_object
from schemas.decode.money import token_money
from schemas.decode.options import Decode, DecodeOptions
from schemas.decode.times import FIRST_MICROS, FIRST_MILLIS, epoch_ms, iso_ms
from schemas.errors import InvalidEvent, SchemaNotFetched
from schemas.event import LONGEST_ID, Event
from schemas.reasons import Reason

#: Escapes that hide a control character or half a surrogate pair.
_HIDDEN = re.compile(rb"\\(?:u00[01]|u007[fF]|[bfnrt])")
_BACKSLASH, _DELETE = 0x5C, 0x7F
_SCALARS = frozenset((str, float, bool, type(None)))

#: A JSON object of any format → one in the native names.
Rename = Callable[[dict[str, Any]], Mapping[str, Any]]


def careful_decoder(options: DecodeOptions, build: Build, rename: Rename) -> Decode:
    """Any JSON object: parse, rename, check each field. About 15 µs for a record that the fast path does in 2."""

    def careful(data: bytes, now: int) -> Event:
        record = json_object(data, options.max_bytes, lambda odd: build(rename(odd), now, str, UTC))
        return build(rename(record), now, lambda: record_id(record), UTC)

    return careful


def guarded(decode: Decode) -> Decode:
    """`decode`, with its promise kept for the records that nobody thought of: InvalidEvent and nothing else."""

    def decode_or_refuse(data: bytes, now: int) -> Event:
        try:
            return decode(data, now)
        except (InvalidEvent, SchemaNotFetched):
            raise
        except RecursionError:
            raise InvalidEvent(Reason.TOO_LARGE, "nested too deeply") from None
        except Exception as error:  # noqa: BLE001 - the worker must not stop at one record, whatever is in it
            raise InvalidEvent(Reason.UNPARSEABLE, f"{type(error).__name__}: {error}"[:200]) from None

    return decode_or_refuse


def native_decoder(  # noqa: C901 - see decode
    options: DecodeOptions, rename: Rename = lambda record: record
) -> Decode:
    """The fast path, with `careful` behind it; `rename` is for the records that only `careful` understands."""
    finish = finisher(options)
    careful = guarded(careful_decoder(options, builder(options, finish), rename))
    parse = msgspec.json.Decoder(Event).decode
    earliest, max_ahead, max_bytes = options.earliest, options.max_ahead, options.max_bytes
    most, deepest = options.max_properties, options.max_depth
    shorter = options.max_id_length if options.max_id_length < LONGEST_ID else 0  # what msgspec doesn't check itself

    def decode(data: bytes, now: int) -> Event:
        try:
            event: Any = parse(data)  # not an Event yet: its fields are as the record spells them
            odd = _BACKSLASH in data or _DELETE in data or not data.isascii()
            if len(data) > max_bytes or (odd and _suspicious(data)) or not _has_ids(event, shorter):
                return careful(data, now)
            ts = event.ts
            if ts.__class__ is str:
                event.ts = ts = iso_ms(ts)
            elif not FIRST_MILLIS <= ts < FIRST_MICROS:
                event.ts = ts = epoch_ms(ts)
            if ts.__class__ is not int or not earliest <= ts <= now + max_ahead:
                return careful(data, now)
            if event.revenue is not None:
                event.revenue = token_money(bytes(event.revenue))
            if event.cost is not None:
                event.cost = token_money(bytes(event.cost))
            if event.properties is not None and not _flat(event.properties, most):
                event.properties = properties(event.properties, most, deepest)
            if event.consent is not None and event.consent.__class__ is not bool:
                event.consent = consent(event.consent)
            if event.variant is not None:
                event.variant = variant(event.variant)
            if event.referrer == "":
                event.referrer = None
            return finish(event)
        except Exception:  # noqa: BLE001 - whatever is wrong, the careful way finds the reason
            return careful(data, now)

    return decode


def _suspicious(data: bytes) -> bool:
    """May a text of this record hold control characters or broken Unicode? Raises UnicodeDecodeError for the latter."""
    data.decode()  # msgspec leaves fields alone that nobody asks for
    return _DELETE in data or _HIDDEN.search(data) is not None


def _has_ids(event: Any, shorter: int) -> bool:
    """An event id, one id of a unit at least, none longer than `shorter` (0: checked already). Makes integers texts."""
    user, visitor = event.user_id, event.visitor_id
    if user is None and visitor is None:
        if event.session_id is None and event.account_id is None:
            return False
    else:
        if user.__class__ is int:
            event.user_id = str(user)
        if visitor.__class__ is int:
            event.visitor_id = str(visitor)
    return event.event_id is not None and (not shorter or not _any_longer(event, shorter))


def _any_longer(event: Any, longest: int) -> bool:
    ids = (event.event_id, event.session_id, event.visitor_id, event.user_id, event.account_id, event.order_id)
    return any(len(str(each)) > longest for each in ids if each is not None)


def _flat(held: dict[str, Any], most: int) -> bool:
    """Only texts, doubles, booleans and ordinary integers, and at least one: nothing to check or copy."""
    if not 0 < len(held) <= most:
        return False
    for value in held.values():
        kind = value.__class__
        if kind not in _SCALARS and not (kind is int and -(2**63) <= value < 2**63):
            return False
    return True
