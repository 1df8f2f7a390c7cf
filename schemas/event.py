"""The event: one thing that one person did at one moment, as every format is decoded into."""

from __future__ import annotations

from typing import Any

import msgspec

#: One unit of revenue in the integer that carries it: exact to nine decimals.
MONEY_SCALE = 1_000_000_000

#: A record of this event name is no event: it says that nothing older than its `timestamp` will come on its partition.
HEARTBEAT = "$heartbeat"


class Event(msgspec.Struct, gc=False, array_like=True, kw_only=True):
    """A decoded, checked event.

    `ts`: event time, integer milliseconds since 1970 UTC. `event_id`: the sender's, else 32 hex digits (128-bit hash of
    the canonical record). `revenue`, `cost`: integers of 1/MONEY_SCALE of `currency` (ISO 4217, upper case).
    `consent`: marketing consent as stated by this event; None when it says nothing. `bot`: recognised as a bot, or as
    internal or test traffic. Texts hold no NUL and are valid Unicode. As an array it is the form on the internal log.
    """

    event: str
    ts: int
    event_id: str
    site: str | None = None
    session_id: str | None = None
    visitor_id: str | None = None
    user_id: str | None = None
    account_id: str | None = None
    url: str | None = None
    landing_page: str | None = None
    referrer: str | None = None
    channel: str | None = None
    source: str | None = None
    medium: str | None = None
    campaign: str | None = None
    content: str | None = None
    term: str | None = None
    device: str | None = None
    country: str | None = None
    customer_type: str | None = None
    variant: dict[str, str] | None = None
    revenue: int | None = None
    currency: str | None = None
    order_id: str | None = None
    cost: int | None = None
    consent: bool | None = None
    owner: str | None = None
    properties: dict[str, Any] | None = None
    bot: bool = False
