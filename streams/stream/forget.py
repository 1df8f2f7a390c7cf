"""The order to forget a unit, as it goes through a source: a record beside the events, in order with them."""

from __future__ import annotations

import msgspec

from schemas.event import FORGET, Event

#: How such a record begins, as `forget_record` writes it.
_BEGINS = b'{"event":"$forget",'


class Order(msgspec.Struct):
    """The record. `id`: as it is stored, and so a pseudonym where ids are replaced."""

    event: str
    timestamp: int
    session_id: str
    visitor_id: str
    account_id: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Order).decode


def forget_record(unit_id: str, ts: int) -> tuple[bytes, bytes]:
    """Key and value of the record that has a unit of any kind forgotten. `ts`: ms, older than all events: it moves no time."""
    return unit_id.encode(), _encode(Order(FORGET, ts, unit_id, unit_id, unit_id))


def read_forget(value: bytes | None) -> Event | None:
    """The order, as an event; None if the record is none."""
    if value is None or not value.startswith(_BEGINS):
        return None
    try:
        order = _decode(value)
    except msgspec.DecodeError:
        return None
    return Event(
        event=FORGET, ts=order.timestamp, event_id="", session_id=order.session_id, visitor_id=order.visitor_id,
        account_id=order.account_id,
    )  # fmt: skip
