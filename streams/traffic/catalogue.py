"""What the shop sells, the orders that come of it, and the steps that lead there."""

from __future__ import annotations

from random import Random

import msgspec

#: What one euro costs, so that prices look like prices in every country.
PRICE_LEVEL = {"EUR": 1.0, "GBP": 0.87, "USD": 1.1, "CHF": 1.05, "SEK": 11.4}


class Item(msgspec.Struct, frozen=True):
    sku: str
    category: str
    cents: int


class Order(msgspec.Struct, frozen=True):
    """`cents`: hundredths of `currency`."""

    order_id: str
    cents: int
    currency: str


class Step(msgspec.Struct, frozen=True, gc=False):
    """One thing done in a visit at `ts` (event time, ms). `page`: the path.

    `server`: reported by the shop's server, not by the browser.
    """

    ts: int
    name: str
    page: str
    item: Item | None = None
    order: Order | None = None
    server: bool = False


_CATEGORIES = ("mugs", "lamps", "rugs", "chairs", "knives", "plants")


def _catalogue(size: int) -> tuple[Item, ...]:
    rng = Random(20)
    return tuple(
        Item(f"sku-{number:04d}", rng.choice(_CATEGORIES), int(rng.lognormvariate(3.6, 0.7) * 100) // 10 * 10 + 9)
        for number in range(size)
    )


ITEMS = _catalogue(240)


def pick(rng: Random) -> Item:
    """An item; the first of the catalogue are the favourites (half of the views fall on a sixth of the items)."""
    return ITEMS[int(len(ITEMS) * rng.random() ** 2.6)]


def order_of(number: int, ordinal: int, items: list[Item], currency: str) -> Order:
    """The order of visitor `number` in visit `ordinal`: what the cart holds, in the country's currency."""
    cents = int(sum(item.cents for item in items) * PRICE_LEVEL[currency])
    return Order(f"W{number:07d}-{ordinal}", max(cents, 100), currency)
