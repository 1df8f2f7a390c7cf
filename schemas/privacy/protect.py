"""What is done to an event before anybody but its decoder sees it: fields left out or masked, addresses masked, ids replaced.

Nothing is stored before: the internal logs, the state, the tables and the metrics know the protected event alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from schemas.event import FORGET, Event
from schemas.privacy.addresses import mask_addresses, may_hold_address
from schemas.privacy.pseudonyms import Pseudonym, pseudonym

#: Changes an event in place. The bytes are those of the record that it was decoded from.
Protect = Callable[[Event, bytes], None]

MASKED = "(masked)"
UNIT_IDS = ("session_id", "visitor_id", "user_id", "account_id")
#: Ids that an address in them is not masked in, but replaced by a pseudonym: masked, they would all be one.
_IDS = (*UNIT_IDS, "event_id", "order_id")
_TEXTS = (
    "event", "site", "url", "landing_page", "referrer", "channel", "source", "medium", "campaign", "content", "term", "device",
    "country", "customer_type", "owner",
)  # fmt: skip
#: Fields that can be left out or masked; `properties.x` as well.
OPTIONAL_FIELDS = (*_TEXTS[1:], "order_id", "properties", "variant")


def protector(
    id_key: bytes = b"", *, addresses: bool = True, dropped: Sequence[str] = (), masked: Sequence[str] = ()
) -> Protect | None:
    """What protects events; None if nothing is to be done. `id_key`: unit ids are replaced by their pseudonyms; empty: they are
    not. `addresses`: e-mail and IP addresses within texts are masked. `dropped`, `masked`: of OPTIONAL_FIELDS, or `properties.x`.
    """
    steps: list[Protect] = [_field_step(name, None) for name in dropped]
    steps += [_field_step(name, MASKED) for name in masked]
    if addresses:
        steps.append(_address_step(pseudonym(id_key)))
    if id_key:
        steps.append(_id_step(pseudonym(id_key)))
    if len(steps) <= 1:
        return steps[0] if steps else None

    def protect(event: Event, data: bytes) -> None:
        for step in steps:
            step(event, data)

    return protect


def _field_step(name: str, instead: str | None) -> Protect:
    head, *path = name.split(".")

    def plain(event: Event, _data: bytes) -> None:
        if getattr(event, head) is not None:
            setattr(event, head, instead)

    def mapping(event: Event, _data: bytes) -> None:
        held = getattr(event, head)
        if held is not None:
            setattr(event, head, None if instead is None else dict.fromkeys(held, instead))

    def inside(event: Event, _data: bytes) -> None:
        held: Any = getattr(event, head)
        for key in path[:-1]:
            held = held.get(key) if isinstance(held, dict) else None
        if isinstance(held, dict) and path[-1] in held:
            if instead is None:
                del held[path[-1]]
            else:
                held[path[-1]] = instead

    if path:
        return inside
    return mapping if head in ("properties", "variant") else plain


def _address_step(hashed: Pseudonym) -> Protect:
    def addresses(event: Event, data: bytes) -> None:
        if event.event == FORGET or not may_hold_address(data):
            return
        for name in _TEXTS:
            text = getattr(event, name)
            if text is not None:
                setattr(event, name, mask_addresses(text))
        for name in _IDS:
            text = getattr(event, name)
            if text is not None and mask_addresses(text) != text:
                setattr(event, name, hashed(text))
        if event.properties is not None:
            event.properties = _masked(event.properties)
        if event.variant is not None:
            event.variant = _masked(event.variant)

    return addresses


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_addresses(value)
    if isinstance(value, dict):
        return {mask_addresses(key): _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _id_step(hashed: Pseudonym) -> Protect:
    def ids(event: Event, _data: bytes) -> None:
        if event.event == FORGET:  # it names ids as they are stored
            return
        if event.session_id is not None:
            event.session_id = hashed(event.session_id)
        if event.visitor_id is not None:
            event.visitor_id = hashed(event.visitor_id)
        if event.user_id is not None:
            event.user_id = hashed(event.user_id)
        if event.account_id is not None:
            event.account_id = hashed(event.account_id)

    return ids
