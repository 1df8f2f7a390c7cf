"""CloudEvents and Segment: from their fields to the native names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schemas.decode.build import UNIT_IDS
from schemas.errors import InvalidEvent
from schemas.reasons import Reason

_CALLS = frozenset(("track", "page", "screen", "identify", "group", "alias"))
_CAMPAIGN = {"name": "campaign", "source": "source", "medium": "medium", "content": "content", "term": "term"}


def is_cloudevent(record: Mapping[str, Any]) -> bool:
    return "specversion" in record and ("data" in record or "type" in record)


def is_segment(record: Mapping[str, Any]) -> bool:
    """A call of Segment's (or RudderStack's) tracking API."""
    named = any(key in record for key in ("messageId", "anonymousId", "userId", "originalTimestamp"))
    return named and isinstance(record.get("type"), str) and record["type"] in _CALLS


def is_native(record: Mapping[str, Any]) -> bool:
    """Whether all is there that an event needs, as the native fast path looks at it: nothing else in the record then says otherwise."""
    needed = map(record.get, ("event", "timestamp", "event_id"))
    return all(value not in (None, "") for value in needed) and any(
        record.get(unit) not in (None, "") for unit in UNIT_IDS
    )


def from_any(record: dict[str, Any]) -> Mapping[str, Any]:
    """The format is told by the record's own fields; one without any sign is native already."""
    if is_native(record):
        return record
    if is_cloudevent(record):
        return from_cloudevent(record)
    return from_segment(record) if is_segment(record) else record


def from_cloudevent(record: dict[str, Any]) -> Mapping[str, Any]:
    """Structured mode. `id`, `time` and `type` stand in where `data` has no event_id, timestamp, event."""
    if "specversion" not in record:
        raise InvalidEvent(Reason.UNPARSEABLE, "no CloudEvents envelope: specversion is not given")
    data = record.get("data")
    if not isinstance(data, dict):
        raise InvalidEvent(
            Reason.WRONG_TYPE, f"data of the CloudEvents envelope is {type(data).__name__}, not an object"
        )
    native = dict(from_segment(data) if is_segment(data) else data)
    for inner, outer in (("event_id", "id"), ("timestamp", "time"), ("event", "type")):
        if native.get(inner) is None:
            native[inner] = record.get(outer)
    return native


def from_segment(record: dict[str, Any]) -> Mapping[str, Any]:
    """A track, page, screen, identify, group or alias call. The event of all but `track` is the call's own name."""
    call = record.get("type")
    if call not in _CALLS if isinstance(call, str) else True:
        raise InvalidEvent(Reason.UNPARSEABLE, "no Segment call: type is not track, page, screen, identify or group")
    context = _object(record, "context")
    properties = _object(record, "properties")
    page, campaign = _object(context, "page"), _object(context, "campaign")
    native: dict[str, Any] = {
        "event": record.get("event") if call == "track" else call,
        "timestamp": _first(record, "timestamp", "originalTimestamp", "sentAt", "receivedAt"),
        "event_id": record.get("messageId"),
        "visitor_id": record.get("anonymousId"),
        "user_id": record.get("userId"),
        "session_id": _first(properties, "session_id", "sessionId") or _first(context, "sessionId", "session_id"),
        "account_id": record.get("groupId") or context.get("groupId"),
        "url": page.get("url") or properties.get("url"),
        "referrer": page.get("referrer") or properties.get("referrer"),
        "device": _object(context, "device").get("type"),
        "country": _object(context, "location").get("country"),
        "revenue": properties.get("revenue"),
        "currency": properties.get("currency"),
        "order_id": _first(properties, "orderId", "order_id"),
        "consent": context.get("consent"),
        "user_agent": context.get("userAgent"),
        "ip": context.get("ip"),
        "properties": _named(record, properties),
    }
    native |= {ours: campaign.get(theirs) for theirs, ours in _CAMPAIGN.items()}
    return native


def _named(record: dict[str, Any], properties: dict[str, Any]) -> dict[str, Any]:
    named = {key: record[key] for key in ("name", "category") if record.get(key) is not None}
    traits = {} if properties else _object(record, "traits")
    return {**traits, **named, **properties}


def _object(record: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = record.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidEvent(Reason.WRONG_TYPE, f"{key} is {type(value).__name__}, not an object")
    return value


def _first(record: Mapping[str, Any], *keys: str) -> Any:
    return next((record[key] for key in keys if record.get(key) is not None), None)
