"""Four weeks of the shop before the demo begins: what the expectation is learned from."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from streams.demo.plan import Timeline
from streams.traffic import Traffic

_DAY = 86_400_000
#: A day more than is looked back upon.
SPAN = 29 * _DAY
#: Visitors a day: enough to learn rates and delays from (with half as many a rare goal was expected a tenth too often), few enough to be
#: there within seconds.
VISITORS = 600.0
#: Its visitors are others than the demo's.
OTHERS = 1_000_003


def write_history(path: Path, times: Timeline) -> int:
    """Writes the events before `times.start_ms` as JSON lines, without the demo's fault; returns how many."""
    made = replace(
        times.traffic, seed=times.traffic.seed + OTHERS, start_ms=times.start_ms - SPAN, visitors_per_day=VISITORS,
        disorder_ms=0, bad_share=0.0, duplicate_share=0.0, faults=(),
    )  # fmt: skip
    written = 0
    with path.open("wb") as file:
        for record in Traffic(made).records(times.start_ms):
            file.write(record.data + b"\n")
            written += 1
    return written
