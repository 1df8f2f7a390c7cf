"""Attempts of a small shop, drawn minute by minute: checkout → buy, three channels."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

from schemas.definitions import parse_funnels
from schemas.event import MONEY_SCALE
from schemas.settings import Settings, Site
from streams.backtest.attempts import Attempt, Reached

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_767_571_200_000  # Monday, 5 January 2026, UTC
(FUNNEL,) = parse_funnels(
    {
        "funnels": [
            {
                "name": "shop", "unit": "session", "window": "2h", "dimensions": ["channel"],
                "stages": [{"name": name, "events": [name]} for name in ("checkout", "buy")],
            }
        ]
    },
    "test",
)  # fmt: skip
SETTINGS = Settings(site=Site(name="shop", currency="EUR"))
CHANNELS = {"instagram": 0.35, "email": 0.25, "paid": 0.40}
RATE, PRICE = 0.5, 40 * MONEY_SCALE

#: (ms, channel) → times the usual.
Factor = Callable[[int, str], float]


def usual(_at: int, _channel: str) -> float:
    return 1.0


def attempts(
    days: int, visits: Factor = usual, share: Factor = usual, seed: int = 3, each: float = 2.0
) -> list[Attempt]:
    """`each` entries a minute for so many days. `visits`: of entries; `share`: of conversions, by when they would happen."""
    rng, found = random.Random(seed), []
    for minute in range(START, START + days * DAY, MINUTE):
        for channel, part in CHANNELS.items():
            for _ in range(_poisson(rng, each * part * visits(minute, channel))):
                at = minute + rng.randrange(MINUTE)
                reached = [Reached(at, 0)]
                done = at + int(min(rng.lognormvariate(math.log(4), 1), 60) * MINUTE)
                if rng.random() < RATE and rng.random() < share(done, channel):
                    reached.append(Reached(done, 1, PRICE))
                found.append(Attempt((channel,), tuple(reached)))
    return found


def _poisson(rng: random.Random, mean: float) -> int:
    limit, product, count = math.exp(-mean), rng.random(), 0
    while product > limit:
        product *= rng.random()
        count += 1
    return count
