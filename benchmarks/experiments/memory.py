"""Memory of an open attempt: the worker's RSS while sessions enter a funnel of five stages, one event each, and stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import msgspec

from benchmarks.definitions import DENSE, DIMENSIONS
from benchmarks.experiments import pages, records
from benchmarks.experiments.outcome import Chart, Figure, Line, Outcome, Table, cells
from benchmarks.experiments.place import Config, Place, definition
from benchmarks.experiments.plan import Plan
from benchmarks.experiments.processes import Running, ready_worker, settled, wait
from schemas.metrics import ATTEMPTS_OPEN, STATE_UNITS

BAR = 600.0  # bytes
STEPS = 10
MIB = 1024 * 1024
WALK = DENSE[0]


class Kind(msgspec.Struct, frozen=True):
    """One sort of attempts."""

    name: str
    what: str
    dimensions: tuple[str, ...]
    make: Callable[[int, str, int, int], records.Keyed]


KINDS = (
    Kind("short", "short ids, no dimension", (), records.entry),
    Kind("long", "UUIDs, four dimensions", DIMENSIONS, records.long_entry),
)


def run(place: Place, plan: Plan) -> Outcome:
    """Both kinds of attempts. Raises SinkError if a process fails."""
    figures: list[Figure] = []
    lines, rows = [], []
    for kind in KINDS:
        sizes = measure(place, plan, kind)
        grown = sizes[-1][1] - sizes[0][1]
        per = grown / plan.attempts
        main = kind.name == "short"
        suffix = "" if main else f"_{kind.name}"
        figures += [
            Figure(f"memory_bytes_per_open_attempt{suffix}", per, "bytes", BAR if main else None),
            Figure(f"memory_bytes_per_further_attempt{suffix}", slope(sizes[len(sizes) // 2 :]), "bytes"),
            Figure(f"memory_rss_before{suffix}", sizes[0][1] / MIB, "MiB"),
            Figure(f"memory_rss_after{suffix}", sizes[-1][1] / MIB, "MiB"),
        ]
        lines.append(Line(kind.what, tuple((count / 1000, size / MIB) for count, size in sizes)))
        rows += [cells(kind.what, count, size / MIB) for count, size in sizes]
    return Outcome(
        "memory", "Memory of an open attempt",
        f"{plan.attempts:,} sessions enter a funnel of five stages (window 24 h, lateness 10 min), one event each, in {STEPS} portions; after each "
        "the worker's RSS is taken once it stands still. *Open attempt*: all that it grew by, since it was ready and had read nothing, "
        "through all attempts. *Further attempt*: by how much the later half of the portions raised it. *Short ids*: 13 characters of the session, 17 of the event; *UUIDs*: 36 each.",
        tuple(figures), (Table("RSS by open attempts", ("attempts", "open", "RSS, MiB"), tuple(rows)),),
        (Chart("memory", "The worker's memory by open attempts", "open attempts, thousands", "RSS, MiB", tuple(lines)),),
    )  # fmt: skip


def measure(place: Place, plan: Plan, kind: Kind) -> list[tuple[int, int]]:
    """Open attempts and RSS, before the first portion and after each."""
    site = place.site(f"memory-{kind.name}", definition(WALK, dimensions=kind.dimensions))
    config = site.config()
    with ready_worker(config) as worker:
        sizes = [(0, settled(worker))]
        for step in range(1, STEPS + 1):
            done, upto = plan.attempts * (step - 1) // STEPS, plan.attempts * step // STEPS
            fill(place, site.topic, site.partitions, range(done, upto), kind)
            wait_for_open(config, worker, upto)
            sizes.append((upto, settled(worker)))
        return sizes


def fill(place: Place, topic: str, partitions: int, numbers: range, kind: Kind = KINDS[0]) -> None:
    """Appends the entries of these sessions."""
    now = int(time.time() * 1000)
    event = WALK.stages[0]

    def make(number: int) -> records.Keyed:
        return kind.make(numbers.start + number, event, now, partitions)

    records.write(place.settings, topic, len(numbers), make)


def wait_for_open(config: Config, worker: Running, count: int) -> None:
    """Waits until the worker has that many open attempts, and their state is durable."""

    def done() -> bool:
        page = pages.page(config.port)
        return (
            pages.total(page, ATTEMPTS_OPEN.name, funnel=WALK.name) >= count
            and pages.total(page, STATE_UNITS.name) >= count
        )

    wait(done, worker, pause=0.25)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """By how much y rises with x: least squares."""
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread
