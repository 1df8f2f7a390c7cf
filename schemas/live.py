"""What a worker tells all others for the live page: what it counted in the running minute, and how it is.

One record on the topic `…live` (one partition, compacted): its key is worker, birth and minute, so that the last one of a minute
stands for the whole of it, however often it was written. Sums over all records are the whole site, over restarts, too: a worker
that begins anew has another birth, and its own minutes.
"""

from __future__ import annotations

import msgspec

MINUTE = 60_000


class Account(msgspec.Struct, frozen=True, array_like=True):
    """What one counter rose by, retractions taken off, in the metric's integer units.

    `labels`: the metric's labels besides site, funnel and segment, in their order. `amounts`: dimension → value → amount.
    """

    metric: str
    labels: tuple[str, ...]
    amounts: dict[str, dict[str, int]]


class Counts(msgspec.Struct, frozen=True, array_like=True):
    """One funnel's share. `ready`: stages whose conversions this worker expects → 0; of those that are still learned, when (ms) they
    will be, None if that is not known yet."""

    funnel: str
    version: str
    ready: dict[str, int | None] = {}
    accounts: tuple[Account, ...] = ()


class Published(msgspec.Struct, frozen=True, array_like=True):
    """One worker's minute, so far.

    `worker`: its name, the same after a restart. `born`, `minute` (its beginning), `at` (now): ms UTC on the worker's clock.
    `ended`: it stops in order, and nothing more comes. `lag`: records that it has not applied yet, `watermark`: event time (ms) that
    its slowest partition has reached; None while unknown. `open`: open attempts by funnel.
    """

    worker: str
    born: int
    minute: int
    at: int
    ended: bool = False
    lag: int | None = None
    watermark: int | None = None
    open: dict[str, int] = {}
    counts: tuple[Counts, ...] = ()

    def key(self) -> bytes:
        return f"{self.worker} {self.born} {self.minute}".encode()


encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Published).decode
