"""What became of a partition's records: counted once each, for every funnel."""

from __future__ import annotations

import msgspec


class Counts(msgspec.Struct, array_like=True, gc=False):
    """Of one funnel version: what it looked at. The other fields are the tally's when the version began."""

    matched: int = 0
    duplicate: int = 0
    late: int = 0
    read_before: int = 0
    invalid_before: int = 0
    bot_before: int = 0
    repeated_before: int = 0


class Tally(msgspec.Struct, array_like=True, gc=False):
    """Of all records so far. `repeated`: duplicates among those that no funnel looked at. `funnels`: by tag."""

    read: int = 0
    invalid: int = 0
    bot: int = 0
    repeated: int = 0
    funnels: dict[int, Counts] = {}

    def begin(self, tag: int) -> Counts:
        """The counts of a funnel version, which may be new."""
        counts = self.funnels.get(tag)
        if counts is None:
            counts = self.funnels[tag] = Counts(
                read_before=self.read, invalid_before=self.invalid, bot_before=self.bot, repeated_before=self.repeated
            )
        return counts

    def outcomes(self, counts: Counts) -> dict[str, int]:
        """The counts of a report for one version: `read` and what it is the sum of; `ignored` is what is left."""
        found = {
            "read": self.read - counts.read_before,
            "matched": counts.matched,
            "duplicate": counts.duplicate + self.repeated - counts.repeated_before,
            "late": counts.late,
            "invalid": self.invalid - counts.invalid_before,
            "bot": self.bot - counts.bot_before,
        }
        return found | {"ignored": 2 * found["read"] - sum(found.values())}
