"""From a JSON object of any format, already in the native names, to an Event: every field checked, every reason named."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, tzinfo
from typing import Any

from schemas.decode import fields
from schemas.decode.finish import Finish, finisher
from schemas.decode.money import money
from schemas.decode.options import DecodeOptions
from schemas.decode.times import time_ms
from schemas.errors import InvalidEvent
from schemas.event import HEARTBEAT, Event
from schemas.reasons import Reason

_LONGEST_NAME = 256
UNIT_IDS = ("session_id", "visitor_id", "user_id", "account_id")
_IDS = (*UNIT_IDS, "order_id")
_TEXTS = (
    *("site", "url", "landing_page", "referrer", "channel", "source", "medium", "campaign", "content", "term"),
    *("device", "country", "customer_type", "currency", "owner", "user_agent", "ip"),
)

#: Fields in native names, reference time (ms), how to make an id where none is given, zone of naive times → Event.
Build = Callable[[Mapping[str, Any], int, Callable[[], str], tzinfo], Event]


def builder(options: DecodeOptions, finish: Finish | None = None) -> Build:
    """The checked way to an Event, for every format; the native format's fast path gives the same, or comes here."""
    finish = finish or finisher(options)
    longest = options.max_id_length

    def build(record: Mapping[str, Any], now: int, make_id: Callable[[], str], zone: tzinfo = UTC) -> Event:
        name = event_name(record.get("event"))
        ts = checked_time(time_ms(_needed_time(record), zone), now, options)
        event_id = fields.identifier(record.get("event_id") or None, "event_id", longest)
        if record.get("event_id") == "":
            raise InvalidEvent(Reason.BAD_ID, "event_id is empty")
        get = record.get
        given: dict[str, Any] = {
            field: fields.identifier(v, field, longest) for field in _IDS if (v := get(field)) is not None
        }
        if given.keys().isdisjoint(UNIT_IDS):
            if name == HEARTBEAT:
                return Event(event=name, ts=ts, event_id=event_id or "")
            raise InvalidEvent(Reason.MISSING_ID, f"none of {', '.join(UNIT_IDS)} is given")
        texts: dict[str, Any] = {field: fields.text(v, field) for field in _TEXTS if (v := get(field)) is not None}
        event = Event(event=name, ts=ts, event_id=event_id or make_id(), **given, **texts)
        if (told := get("properties")) is not None:
            event.properties = fields.properties(told, options.max_properties, options.max_depth)
        event.variant = fields.variant(get("variant"))
        event.revenue, event.cost = money(get("revenue"), "revenue"), money(get("cost"), "cost")
        event.consent = fields.consent(get("consent"))
        event.bot, event.test = _flag(get("bot"), "bot"), _flag(get("test"), "test")
        return finish(event)

    return build


def event_name(value: object) -> str:
    """The event's name. Raises InvalidEvent: missing_event, wrong_type, bad_text, too_large."""
    if value is None or value == "":
        raise InvalidEvent(Reason.MISSING_EVENT, "event is not given")
    if not isinstance(value, str):
        raise InvalidEvent(Reason.WRONG_TYPE, "event is not text")
    if len(value) > _LONGEST_NAME:
        raise InvalidEvent(Reason.TOO_LARGE, f"event is {len(value)} characters long")
    return fields.clean(value, "event")


def checked_time(ts: int, now: int, options: DecodeOptions) -> int:
    """`ts` itself. Raises InvalidEvent(timestamp_out_of_range) outside `earliest` … `now` + `max_ahead`."""
    if ts < options.earliest:
        raise InvalidEvent(Reason.TIMESTAMP_OUT_OF_RANGE, f"timestamp {ts} ms is before {options.earliest}")
    if ts > now + options.max_ahead:
        raise InvalidEvent(Reason.TIMESTAMP_OUT_OF_RANGE, f"timestamp {ts} ms is {ts - now} ms ahead")
    return ts


def _needed_time(record: Mapping[str, Any]) -> object:
    value = record.get("timestamp")
    if value is None or value == "":
        raise InvalidEvent(Reason.MISSING_TIMESTAMP, "timestamp is not given")
    return value


def _flag(value: object, field: str) -> bool:
    if value is None or isinstance(value, bool):
        return bool(value)
    if isinstance(value, str) and value.lower() in ("true", "false", "1", "0", ""):
        return value.lower() in ("true", "1")
    if value.__class__ is int and value in (0, 1):
        return bool(value)
    raise InvalidEvent(Reason.WRONG_TYPE, f"{field} is neither true nor false")
