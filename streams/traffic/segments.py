"""The shop's segments: channels, devices, countries, purposes and crawlers, each with its share and its appetite.

Shares are relative weights. `appetite` multiplies the chance of the steps that cost a visitor something (cart,
checkout, purchase): this is what makes segments convert differently.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Generic, Protocol, TypeVar

import msgspec


class _Weighted(Protocol):
    @property
    def weight(self) -> float: ...


T = TypeVar("T", bound=_Weighted)


class Deck(Generic[T]):
    """A list to draw from by weight, one random number a draw."""

    def __init__(self, cards: Sequence[T]) -> None:
        self.cards = tuple(cards)
        self._cumulated = tuple(accumulate(card.weight for card in cards))

    def draw(self, rng: Random) -> T:
        return rng.choices(self.cards, cum_weights=self._cumulated)[0]


class Channel(msgspec.Struct, frozen=True):
    """A way into the shop. `name` as GA4's default channel grouping calls it; `referrer` as the browser states it."""

    name: str
    source: str
    medium: str
    weight: float
    appetite: float
    referrer: str = ""
    campaigns: tuple[str, ...] = ()


class Device(msgspec.Struct, frozen=True):
    name: str
    weight: float
    appetite: float
    user_agent: str


class Country(msgspec.Struct, frozen=True):
    code: str
    weight: float
    appetite: float
    currency: str


class Purpose(msgspec.Struct, frozen=True):
    """What brings a visitor: `shop`, `newsletter` (may also shop) or `lead` (a business customer's enquiry)."""

    name: str
    weight: float


class Crawler(msgspec.Struct, frozen=True):
    weight: float
    user_agent: str


CHANNELS: Deck[Channel] = Deck(
    (
        Channel("Organic Search", "google", "organic", 26, 1.0, "https://www.google.com/"),
        Channel("Direct", "(direct)", "(none)", 21, 1.12),
        Channel(
            "Paid Search", "google", "cpc", 17, 1.08, "https://www.google.com/", ("brand", "generic", "autumn-sale")
        ),
        Channel(
            "Paid Social", "instagram", "paid_social", 14, 0.82, "https://l.instagram.com/", ("reels", "autumn-sale")
        ),
        Channel("Email", "newsletter", "email", 9, 1.25, "", ("weekly", "autumn-sale", "win-back")),
        Channel("Referral", "blog.example.net", "referral", 6, 0.95, "https://blog.example.net/best-mugs"),
        Channel("Organic Social", "facebook.com", "referral", 5, 0.8, "https://www.facebook.com/"),
        Channel("Display", "adnet", "display", 2, 0.55, "https://news.example.com/", ("retargeting",)),
    )
)
EMAIL = next(channel for channel in CHANNELS.cards if channel.name == "Email")
INSTAGRAM = next(channel for channel in CHANNELS.cards if channel.source == "instagram")

DEVICES: Deck[Device] = Deck(
    (
        Device(
            "mobile",
            57,
            0.87,
            "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/18.1 Mobile/15E148 Safari/604.1",
        ),
        Device(
            "desktop",
            37,
            1.12,
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 "
            "Safari/537.36",
        ),
        Device(
            "tablet",
            6,
            0.96,
            "Mozilla/5.0 (iPad; CPU OS 17_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.6 Mobile/15E148 Safari/604.1",
        ),
    )
)

MOBILE = next(device for device in DEVICES.cards if device.name == "mobile")

COUNTRIES: Deck[Country] = Deck(
    (
        Country("DE", 36, 1.0, "EUR"),
        Country("FR", 14, 0.95, "EUR"),
        Country("GB", 13, 1.0, "GBP"),
        Country("US", 10, 0.85, "USD"),
        Country("NL", 9, 1.04, "EUR"),
        Country("AT", 7, 1.05, "EUR"),
        Country("CH", 6, 1.1, "CHF"),
        Country("SE", 5, 0.96, "SEK"),
    )
)

PURPOSES: Deck[Purpose] = Deck((Purpose("shop", 86), Purpose("newsletter", 7), Purpose("lead", 7)))

CRAWLERS: Deck[Crawler] = Deck(
    (
        Crawler(5, "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"),
        Crawler(3, "Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)"),
        Crawler(2, "Mozilla/5.0 (compatible; AhrefsBot/7.0; +http://ahrefs.com/robot/)"),
        Crawler(1, "python-requests/2.32.3"),
    )
)
