"""How much is run: in full, and with --quick, which only shows that everything still works."""

from __future__ import annotations

import msgspec


class Plan(msgspec.Struct, frozen=True):
    """Sizes. `attempts`: open ones, of memory and recovery. `backlog`: events read as fast as can be; `scale_events`: in each run of scale, whose runs are made `scale_rounds` times. `seconds`: of a paced load.

    `rate`: events a second of the latency's load, 0 = half of the maximum that is measured first. `load`: of the others' loads.
    `session_timeout`: seconds until Kafka gives up a silent worker. `outage`: seconds that ClickHouse stalls, then refuses.
    `worker_counts`, `partition_counts`: of scale. `chunks`: measured chunks of each cost in process. `open_attempts`: there.
    """

    attempts: int
    backlog: int
    scale_events: int
    scale_rounds: int
    seconds: float
    load: int
    session_timeout: int
    outage: float
    worker_counts: tuple[int, ...]
    partition_counts: tuple[int, ...]
    chunks: int
    open_attempts: tuple[int, ...]
    rate: float = 0.0


FULL = Plan(
    attempts=1_000_000, backlog=1_000_000, scale_events=2_000_000, scale_rounds=3, seconds=60.0, load=2_000, session_timeout=45, outage=45.0,
    worker_counts=(1, 2, 4), partition_counts=(8, 32), chunks=12, open_attempts=(10_000, 100_000, 1_000_000),
)  # fmt: skip
QUICK = Plan(
    attempts=20_000, backlog=20_000, scale_events=20_000, scale_rounds=1, seconds=8.0, load=400, session_timeout=6, outage=8.0,
    worker_counts=(1, 2), partition_counts=(8,), chunks=2, open_attempts=(1_000, 10_000),
)  # fmt: skip
