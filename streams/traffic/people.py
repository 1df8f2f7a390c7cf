"""Who visits the shop: people, crawlers, and their visits."""

from __future__ import annotations

from random import Random

import msgspec

from streams.traffic.segments import (
    CHANNELS,
    COUNTRIES,
    CRAWLERS,
    DEVICES,
    EMAIL,
    INSTAGRAM,
    MOBILE,
    PURPOSES,
    Channel,
    Country,
    Device,
)


class Visitor(msgspec.Struct, frozen=True, kw_only=True):
    """One person (or crawler), the same in all visits. `consent`: None where the person has not been asked yet."""

    number: int
    visitor_id: str
    user_id: str | None
    country: Country
    purpose: str
    consent: bool | None
    variant: str
    crawler: str | None = None


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """One visit: who, from where, on what, and why. `cart`: the visitor left a cart behind in an earlier visit."""

    visitor: Visitor
    ordinal: int
    start_ms: int
    channel: Channel
    campaign: str | None
    device: Device
    known: bool
    cart: bool = False

    @property
    def session_id(self) -> str:
        return f"s-{self.visitor.visitor_id}-{self.ordinal}"

    @property
    def appetite(self) -> float:
        known = 1.15 if self.known else 1.0
        return self.channel.appetite * self.device.appetite * self.visitor.country.appetite * known

    def dimension(self, name: str) -> str | None:
        """The value that an event of this visit has for `name`: one of the event's own dimension fields."""
        return {
            "channel": self.channel.name,
            "source": self.channel.source,
            "medium": self.channel.medium,
            "campaign": self.campaign,
            "device": self.device.name,
            "country": self.visitor.country.code,
            "customer_type": "returning" if self.known else "new",
        }.get(name)


def new_visitor(number: int, arrival_ms: int, rng: Random, bot_share: float) -> Visitor:
    """A visitor who comes for the first time at `arrival_ms`; a crawler with probability `bot_share`."""
    is_bot = rng.random() < bot_share
    mood = rng.random()
    return Visitor(
        number=number,
        visitor_id=f"{rng.getrandbits(40):010x}{number:x}.{arrival_ms // 1000}",
        user_id=f"u{rng.getrandbits(32):08x}{number:x}" if rng.random() < 0.22 and not is_bot else None,
        country=COUNTRIES.draw(rng),
        purpose=PURPOSES.draw(rng).name,
        consent=True if mood < 0.62 else False if mood < 0.86 else None,
        variant="one-page" if rng.random() < 0.5 else "classic",
        crawler=CRAWLERS.draw(rng).user_agent if is_bot else None,
    )


def first_visit(visitor: Visitor, start_ms: int, rng: Random) -> Visit:
    channel = CHANNELS.draw(rng)
    return Visit(
        visitor=visitor,
        ordinal=1,
        start_ms=start_ms,
        channel=channel,
        campaign=rng.choice(channel.campaigns) if channel.campaigns else None,
        device=DEVICES.draw(rng),
        known=visitor.user_id is not None,
    )


def by_campaign(visit: Visit, rng: Random) -> Visit:
    """The same first visit, by a campaign on Instagram."""
    campaign = rng.choice(INSTAGRAM.campaigns)
    device = MOBILE if rng.random() < 0.9 else visit.device
    return msgspec.structs.replace(visit, channel=INSTAGRAM, campaign=campaign, device=device)


def return_visit(last: Visit, start_ms: int, rng: Random, *, cart: bool) -> Visit:
    """The same person again: half of them by another channel, a quarter on another device.

    Who left a cart behind mostly comes by the e-mail that reminds of it.
    """
    channel = last.channel if rng.random() < 0.5 else CHANNELS.draw(rng)
    if cart and rng.random() < 0.6:
        channel = EMAIL
    return Visit(
        visitor=last.visitor,
        ordinal=last.ordinal + 1,
        start_ms=start_ms,
        channel=channel,
        campaign=rng.choice(channel.campaigns) if channel.campaigns else None,
        device=DEVICES.draw(rng) if rng.random() < 0.25 else last.device,
        known=True,
        cart=cart,
    )
