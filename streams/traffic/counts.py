"""What has been sent so far, so that a test or a demo can compare it with what was counted at the other end."""

from __future__ import annotations

from collections import Counter

from streams.traffic.spoil import Bad


class Counts:
    """`records` handed out = good events (`events`, by name; without copies) + `duplicates` + bad ones (`bad`).

    `bots`: those of the good events and copies that crawlers sent. `visitors` who have arrived and `visits` that have
    begun may be ahead of the records. `lost`: steps that faults took.
    """

    __slots__ = ("bad", "bots", "duplicates", "events", "lost", "records", "visitors", "visits")

    def __init__(self) -> None:
        self.records = self.duplicates = self.bots = self.visitors = self.visits = self.lost = 0
        self.events: Counter[str] = Counter()
        self.bad: Counter[Bad] = Counter()

    def add(self, name: str, bad: Bad | None, *, duplicate: bool, bot: bool) -> None:
        """Counts one record."""
        self.records += 1
        if bad is not None:
            self.bad[bad] += 1
            return
        self.bots += bot
        if duplicate:
            self.duplicates += 1
        else:
            self.events[name] += 1
