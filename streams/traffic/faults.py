"""Faults: something breaks in the shop for a while, and fewer visitors of one segment get past one step."""

from __future__ import annotations

import msgspec

from streams.traffic.people import Visit


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """Between `start_ms` and `end_ms` (event time, end excluded) fewer visitors of a segment do `stage`.

    Who would do it (an event name, such as `purchase`) leaves instead, with probability `share_lost`.

    `where`: dimension and value pairs that must all hold, such as `(("device", "mobile"), ("channel", "Paid Social"))`;
    none = all visitors.
    """

    start_ms: int
    end_ms: int
    stage: str
    share_lost: float
    where: tuple[tuple[str, str], ...] = ()

    def hits(self, visit: Visit, stage: str, ms: int) -> bool:
        """Whether the step falls under this fault at all, before luck decides."""
        if stage != self.stage or not self.start_ms <= ms < self.end_ms:
            return False
        return all(visit.dimension(name) == value for name, value in self.where)
