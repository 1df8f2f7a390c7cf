"""A day of a shop as two workers would have told it: its fault begins 14 minutes ago, on mobile, in Paid Search, at the purchase."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec

from schemas import metrics as m
from schemas.definitions import load_funnels
from schemas.funnel import Funnel
from schemas.live import MINUTE, Account, Counts, Published
from schemas.metrics import CROSS

FUNNELS = Path(__file__).parents[2] / "examples" / "demo" / "funnels.toml"
FAULT_BEGAN = 14 * MINUTE
CROSSES = (("channel", "device"),)
#: Visits a minute of each channel and device, and how far their steps go beside the usual.
CHANNELS = {"Organic Search": 54, "Paid Search": 42, "Direct": 30, "Email": 15, "Paid Social": 12, "Referral": 6}
DEVICES = {"mobile": (0.58, 0.85), "desktop": (0.36, 1.15), "tablet": (0.06, 0.95)}
#: Stage → share of those at the required stage before that go on.
STEPS = {"view_item": 0.62, "add_to_cart": 0.3, "begin_checkout": 0.55, "add_payment_info": 0.7, "purchase": 0.62}

Key = tuple[str, tuple[str, ...], str, str]  # metric, labels, dimension, value


class Minute:
    """What is counted in one minute, by series."""

    def __init__(self, dice: random.Random, *, expects: bool) -> None:
        self.amounts, self._dice, self._expects = Counter[Key](), dice, expects

    def add(self, metric: m.Metric, labels: tuple[str, ...], channel: str, device: str, amount: int) -> None:
        """Into all traffic, both dimensions and their cross."""
        if amount:
            cross = f"channel{CROSS}device", f"{channel}{CROSS}{device}"
            for segment in (("all", "all"), ("channel", channel), ("device", device), cross):
                self.amounts[metric.name, labels, *segment] += amount

    def segment(self, channel: str, device: str, visits: float, skill: float, fault: float) -> None:
        """The visitors of one channel and device."""
        before, here = "visit", self.some(round(visits * 2.5), 0.8)
        self.add(m.STAGE_ENTERED, ("visit",), channel, device, here)
        for stage, usual in STEPS.items():
            rate = min(0.97, usual * (skill if stage in ("begin_checkout", "purchase") else 1.0))
            if self._expects and stage != "add_payment_info":
                expected = round(here * rate * m.STAGE_EXPECTED_CONVERSIONS.scale)
                self.add(m.STAGE_EXPECTED_CONVERSIONS, (before,), channel, device, expected)
            went = self.some(here, rate * (fault if stage == "purchase" else 1.0))
            self.add(m.STAGE_ENTERED, (stage,), channel, device, went)
            if stage == "add_payment_info":
                continue
            self.add(m.STAGE_CONVERSIONS, (before,), channel, device, went)
            left = self.some(here - went, 0.7)
            self.add(m.STAGE_DROPPED, (before, "window_timeout"), channel, device, left)
            self.add(m.STAGE_DROPPED, (before, "session_end"), channel, device, here - went - left)
            before, here = stage, went
        self.add(m.CONVERSIONS, (), channel, device, here)
        self.add(m.CONVERSION_VALUE, ("EUR",), channel, device, here * 6_490 * (m.CONVERSION_VALUE.scale // 100))

    def some(self, of: int, rate: float) -> int:
        """How many of them do what each does with probability `rate`."""
        spread = (of * rate * (1 - rate)) ** 0.5
        return min(of, max(0, round(self._dice.gauss(of * rate, spread))))

    def accounts(self) -> tuple[Account, ...]:
        found: dict[tuple[str, tuple[str, ...]], dict[str, dict[str, int]]] = {}
        for (metric, labels, dimension, value), amount in self.amounts.items():
            found.setdefault((metric, labels), {}).setdefault(dimension, {})[value] = int(amount)
        return tuple(Account(metric, labels, amounts) for (metric, labels), amounts in found.items())


def purchase() -> Funnel:
    return load_funnels(FUNNELS)[0]


def story(now: int, *, hours: int = 1, expects: bool = True, fault: float = 0.2) -> Iterator[Published]:
    """The records, oldest first. `fault`: share that still gets through where it strikes."""
    dice, funnels = random.Random(7), load_funnels(FUNNELS)
    last = now // MINUTE * MINUTE
    for minute in range(last - hours * 60 * MINUTE, last + MINUTE, MINUTE):
        for worker in ("shop-1", "shop-2"):
            of = Minute(dice, expects=expects)
            for channel, visits in CHANNELS.items():
                for device, (share, skill) in DEVICES.items():
                    struck = (channel, device) == ("Paid Search", "mobile") and minute > now - FAULT_BEGAN
                    of.segment(channel, device, visits * share, skill, fault if struck else 1.0)
            read = Account(m.EVENTS.name, ("matched",), {"all": {"all": 410}})
            late = Account(m.EVENTS.name, ("late",), {"all": {"all": 1}})
            ready: dict[str, int | None] = dict.fromkeys(("visit", *STEPS), 0) if expects else {}
            counts = [Counts(funnels[0].name, funnels[0].version, ready, (*of.accounts(), read, late))]
            counts += [Counts(funnel.name, funnel.version) for funnel in funnels[1:]]
            at = min(now - 700, minute + MINUTE - 1000)
            yield Published(
                worker, last - 40 * 60 * MINUTE, minute, at, lag=3, watermark=at - 1_300, open={"purchase": 412},
                counts=tuple(counts),
            )  # fmt: skip


def silent(record: Published, seconds: int) -> Published:
    """The same, of a worker that was last heard so long before."""
    return msgspec.structs.replace(record, at=record.at - seconds * 1000)
