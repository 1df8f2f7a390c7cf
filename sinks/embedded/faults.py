"""Faults on demand, for tests: what a real server and network do rarely, done at the next insert or request."""

from __future__ import annotations

import msgspec


class Faults(msgspec.Struct, forbid_unknown_fields=True):
    """How many times, from now on, each fault still happens.

    `cut_inserts`: the connection is cut after the insert was applied, before the answer.
    `refuse`: requests answered 503. `stall`: requests held back `stall_seconds` before they run.
    """

    cut_inserts: int = 0
    refuse: int = 0
    stall: int = 0
    stall_seconds: float = 0.0

    def take(self, name: str) -> bool:
        """True when fault `name` is to happen now; it counts as done."""
        left: int = getattr(self, name)
        if left > 0:
            setattr(self, name, left - 1)
        return left > 0
