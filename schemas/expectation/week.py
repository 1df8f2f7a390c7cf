"""The week on the site's wall clock, in quarters of an hour: the slots by which rates are learned."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

QUARTER = 900_000  # ms
SLOTS = 7 * 24 * 4
#: Quarters of an hour before and after one that say what is usual in it: an hour each.
AROUND = 4
_KNOWN = 20_000


class Week:
    """Slots of moments. At a clock change wall time is what counts: the hour that comes twice has one set of slots for both,
    the one that is left out leaves its own without entries that week."""

    def __init__(self, zone: str) -> None:
        self.zone = zone
        self._place = ZoneInfo(zone)
        self._known: dict[int, int] = {}

    def slot(self, ms: int) -> int:
        """0 (Monday 00:00) to SLOTS − 1. All zones' offsets are whole quarters of an hour (since 1972)."""
        quarter = ms // QUARTER
        found = self._known.get(quarter)
        if found is None:
            if len(self._known) >= _KNOWN:
                self._known.clear()
            local = datetime.fromtimestamp(quarter * QUARTER / 1000, UTC).astimezone(self._place)
            found = local.weekday() * 96 + local.hour * 4 + local.minute // 15
            self._known[quarter] = found
        return found


def neighbours(slot: int) -> list[int]:
    """The slot and those within an hour of it, round the end of the week."""
    return [(slot + shift) % SLOTS for shift in range(-AROUND, AROUND + 1)]
