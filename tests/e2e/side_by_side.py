"""Traffic of several funnels at once, minute by minute of event time: each has its own trouble, or none."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator

import msgspec

from schemas.rules.model import MINUTE

LEVELS = ("view", "cart", "buy")
#: Of those who view, then of those with a cart.
RATES = (0.6, 0.5)
#: How well the channels' carts sell, times the usual; and their shares of the visitors.
SELLS = {"instagram": 1.0, "email": 1.2, "search": 0.6}
SHARES = (0.2, 0.3, 0.5)
MOBILE = 0.6
MEDIAN, LONGEST = 2.0, 30.0  # minutes to convert: lognormal, cut off


class Now(msgspec.Struct, frozen=True):
    """How a minute is: `entries` times the usual, shares of the channels, and the channel that can't buy."""

    entries: float = 1.0
    shares: tuple[float, ...] = SHARES
    broken: str = ""


class Event(msgspec.Struct, frozen=True, order=True):
    """What one visitor does. `at`: ms."""

    at: int
    session: str
    funnel: str
    level: str
    channel: str
    device: str

    def line(self) -> bytes:
        """The record."""
        return msgspec.json.encode(
            {
                "event": f"{self.funnel}_{self.level}", "timestamp": self.at, "event_id": f"{self.session}{self.level}",
                "session_id": self.session, "channel": self.channel, "device": self.device,
            }
        )  # fmt: skip


class Traffic:
    """Visitors of each funnel, so many a minute, from `start` (ms) on. `name`: sets their sessions apart from those of others."""

    def __init__(self, name: str, start: int, funnels: tuple[str, ...], per_minute: float, seed: int) -> None:
        self._name, self._start, self._funnels, self._per_minute = name, start, funnels, per_minute
        self._rng = random.Random(seed)
        self._later: list[Event] = []
        self._visits = self.minutes = 0

    @property
    def now(self) -> int:
        """Event time: all before it was made (ms)."""
        return self._start + self.minutes * MINUTE

    def minute(self, how: Callable[[str], Now] = lambda _: Now()) -> list[Event]:
        """The next minute's events, in order of time. `how`: it is, by funnel."""
        for funnel in self._funnels:
            found = how(funnel)
            for at in self._arrivals(found.entries):
                self._later += self._visit(funnel, at, found)
        self.minutes += 1
        due = sorted(event for event in self._later if event.at < self.now)
        self._later = [event for event in self._later if event.at >= self.now]
        # Who is in a cart already can't buy either.
        return [event for event in due if not (event.level == "buy" and how(event.funnel).broken == event.channel)]

    def _arrivals(self, entries: float) -> Iterator[int]:
        at = 0.0
        while entries and (at := at + self._rng.expovariate(self._per_minute * entries)) < 1:
            yield self.now + int(at * MINUTE)

    def _visit(self, funnel: str, entered: int, how: Now) -> Iterator[Event]:
        rng, self._visits = self._rng, self._visits + 1
        (channel,) = rng.choices(list(SELLS), how.shares)
        device = "mobile" if rng.random() < MOBILE else "desktop"
        at, rates = float(entered), (1.0, RATES[0], RATES[1] * SELLS[channel])
        for level, rate in zip(LEVELS, rates, strict=True):
            if level != LEVELS[0]:
                at += self._delay() * MINUTE
            if rng.random() >= rate:
                return
            yield Event(int(at), f"{self._name}{self._visits}", funnel, level, channel, device)

    def _delay(self) -> float:
        while (found := self._rng.lognormvariate(math.log(MEDIAN), 1)) > LONGEST:
            pass
        return found


def definitions(funnels: tuple[str, ...]) -> str:
    """funnels.toml: all alike."""
    return "".join(
        f'[[funnels]]\nname = "{funnel}"\nunit = "session"\nwindow = "2h"\nlateness = "1m"\nteam = "shop"\n'
        'dimensions = ["channel", "device"]\n'
        + "".join(f'[[funnels.stages]]\nname = "{level}"\nevents = ["{funnel}_{level}"]\n' for level in LEVELS)
        for funnel in funnels
    )
