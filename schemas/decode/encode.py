"""The way back: an Event as the native JSON that decodes to it."""

from __future__ import annotations

import msgspec

from schemas.decode.money import money_text
from schemas.decode.times import epoch_ms
from schemas.event import FIELDS, Event

_encode = msgspec.json.Encoder().encode
_PLAIN = tuple(field for field in FIELDS if field not in ("event", "ts", "event_id", "revenue", "cost", "bot"))


def encode_native(event: Event) -> bytes:
    """The native JSON of an event, without the fields that it leaves open. Decoding gives the same event again.

    The timestamp is integer ms where those can't be taken for seconds (from 1973 on), else seconds with a fraction.
    """
    fields: dict[str, object] = {"event": event.event, "timestamp": _time(event.ts)}
    if event.event_id:
        fields["event_id"] = event.event_id
    for name in _PLAIN:
        value = getattr(event, name)
        if value is not None:
            fields[name] = value
    for name, amount in (("revenue", event.revenue), ("cost", event.cost)):
        if amount is not None:
            fields[name] = msgspec.Raw(money_text(amount).encode())
    if event.bot:
        fields["bot"] = True
    return _encode(fields)


def _time(ts: int) -> int | msgspec.Raw:
    if epoch_ms(ts) == ts:
        return ts
    return msgspec.Raw(f"{'-' if ts < 0 else ''}{abs(ts) // 1000}.{abs(ts) % 1000:03d}".encode())
