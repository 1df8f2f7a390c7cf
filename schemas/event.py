"""The event: one thing that one person did at one moment, as every format is decoded into."""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import msgspec

#: One unit of revenue in the integer that carries it: exact to nine decimals.
MONEY_SCALE = 1_000_000_000

#: A record of this event name is no event: it says that nothing older than its `timestamp` will come on its partition.
HEARTBEAT = "$heartbeat"

#: A record of this event name is no event, either: all that is kept of the unit whose id it names is to be forgotten.
FORGET = "$forget"
#: Names of what is no event.
CONTROLS = frozenset((HEARTBEAT, FORGET))

LONGEST_ID = 256  # of what msgspec itself lets through; longer ids, where allowed, take the careful way

# JSON is parsed straight into the event. These are the types as records spell them; decoding then makes of each what the
# annotation says before anybody else sees the event.
if TYPE_CHECKING:
    Name: TypeAlias = str
    Id: TypeAlias = str
    Time: TypeAlias = int
    Text: TypeAlias = str | None
    OptionalId: TypeAlias = str | None
    NumberedId: TypeAlias = str | None
    AnyText: TypeAlias = str | None
    Money: TypeAlias = int | None
    Variant: TypeAlias = dict[str, str] | None
    Consent: TypeAlias = bool | None
else:
    Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    Time = int | float | str
    Text = Annotated[str, msgspec.Meta(min_length=1)] | None
    Id = OptionalId = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)] | None
    NumberedId = OptionalId | Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]  # shops number these
    AnyText = str | None
    Money = msgspec.Raw  # as it stands, so that no amount ever passes through a double
    Variant = dict[str, str] | str | None
    Consent = bool | str | dict[str, Any] | None


class Event(msgspec.Struct, gc=False, kw_only=True):
    """A decoded, checked event.

    `ts`: event time, integer milliseconds since 1970 UTC. `event_id`: the sender's, else 32 hex digits (128-bit hash of
    the canonical record). `revenue`, `cost`: integers of 1/MONEY_SCALE of `currency` (ISO 4217, upper case).
    `consent`: marketing consent as stated by this event; None when it says nothing. `bot`: recognised as a bot, or as
    internal or test traffic. Texts hold no NUL and are valid Unicode. The last three tell decoding of bots, and are then gone.
    """

    event: Name
    ts: Time = msgspec.field(name="timestamp")
    event_id: Id = None  # type: ignore[assignment]  # decoding gives one to an event that has none
    site: Text = None
    session_id: OptionalId = None
    visitor_id: NumberedId = None
    user_id: NumberedId = None
    account_id: OptionalId = None
    url: Text = None
    landing_page: Text = None
    referrer: AnyText = None  # browsers send an empty one all the time
    channel: Text = None
    source: Text = None
    medium: Text = None
    campaign: Text = None
    content: Text = None
    term: Text = None
    device: Text = None
    country: Text = None
    customer_type: Text = None
    variant: Variant = None
    revenue: Money = None
    currency: Text = None
    order_id: OptionalId = None
    cost: Money = None
    consent: Consent = None
    owner: Text = None
    properties: dict[str, Any] | None = None
    bot: bool = False
    user_agent: AnyText = None
    ip: AnyText = None
    test: bool | None = None


class PackedEvent(Event, array_like=True):
    """An event on an internal log, or on disk: the array of its values, of which all but money are spelled as in JSON."""

    revenue: int | None = None
    cost: int | None = None


#: The values of an event, in a PackedEvent's order.
values = attrgetter(*PackedEvent.__struct_fields__)
#: What an event tells of itself, in order: all but what is gone after decoding.
FIELDS = Event.__struct_fields__[:-3]
