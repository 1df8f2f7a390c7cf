"""What is looked at while a long run goes on, and whether it grew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from benchmarks.experiments import pages
from benchmarks.experiments.memory import MIB
from benchmarks.experiments.processes import Running
from benchmarks.soak.inside import Seen
from schemas.errors import SinkError


class Look(msgspec.Struct, frozen=True):
    """One process at one moment. `at`: seconds since the load began; `rss`: bytes; `handles`: files and sockets; `series`: on its page."""

    at: float
    rss: int
    handles: int
    series: int
    seen: Seen = Seen()


class Watched(msgspec.Struct):
    """A process that lives as long as the run, and what was seen of it. `inside`: where it tells of itself."""

    name: str
    running: Running
    port: int
    inside: Path | None
    looks: list[Look] = []

    def look(self, at: float) -> None:
        """Takes a look. One that fails because the process is busy is left out."""
        page = pages.page(self.port)
        try:
            seen = msgspec.json.decode(self.inside.read_bytes(), type=Seen) if self.inside else Seen()
        except FileNotFoundError:
            seen = Seen()
        if page:
            series = sum(1 for line in page.splitlines() if line and line[0] != "#")
            self.looks.append(Look(at, self.running.rss(), self.running.handles(), series, seen))


class Growth(msgspec.Struct, frozen=True):
    """Means of a figure over the first whole cycle after the warm-up and over the last one. (Within a cycle it may swing.)"""

    first: float
    last: float

    @property
    def percent(self) -> float:
        return 100 * (self.last - self.first) / self.first if self.first else 0.0


def growth(looks: Sequence[Look], figure: Callable[[Look], float], cycle: float, warm_up: float, end: float) -> Growth:
    """Of a cycle in which no look succeeded the nearest one stands. Raises SinkError if there was none at all."""
    if not looks:
        raise SinkError("the run was too short: nothing was seen of a process")

    def mean(begin: float) -> float:
        nearest = min(looks, key=lambda look: abs(look.at - begin - cycle / 2))
        chosen = [figure(look) for look in looks if begin <= look.at < begin + cycle] or [figure(nearest)]
        return sum(chosen) / len(chosen)

    return Growth(mean(warm_up), mean(end - cycle))


def megabytes(look: Look) -> float:
    """RSS in MiB."""
    return look.rss / MIB
