"""What flows: some hours of the generated shop, the same for each seed, and what `batch` says of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import cache
from itertools import islice

import msgspec

from schemas.decode import DecodeOptions, decoder
from schemas.definitions import load_funnels
from schemas.event import HEARTBEAT
from sinks.kafka import KeyValue
from streams.traffic import Traffic, TrafficConfig
from tests.e2e.oracle import Expected, expected
from tests.e2e.stack import Site, Stack
from tests.stream.shop import FUNNELS, MONDAY

PARTITIONS = 4
#: Sessions are followed on the source, visitors through an internal log. Small chunks: many places to die at.
SITE = Site(
    funnels=FUNNELS, sources={"clicks": 'keyed_by = "session"\nidle_after = "1h"'}, source_partitions=PARTITIONS,
    partitions=3, chunk_records=200,
)  # fmt: skip


IDLE_AFTER = 20  # seconds
#: All is followed through internal logs. Silence is noticed, but not where a source only waits for a fault to end.
UNEVEN_SITE = Site(
    funnels=FUNNELS, sources=dict.fromkeys(("web", "app", "quiet"), f'idle_after = "{IDLE_AFTER}s"'), source_partitions=2, partitions=2,
    chunk_records=200,
)  # fmt: skip
#: How many times faster than the other source `web` sends its half.
FASTER = 4
Spread = dict[str, dict[int, list[KeyValue]]]


class Flow(msgspec.Struct, frozen=True):
    """`count` records of that seed, sent in `parts`. `uneven`: by two sources, one far ahead of the other, and done early; a partition
    of each, and a third source, have nothing at all."""

    seed: int
    count: int = 9_000
    parts: int = 30
    uneven: bool = False

    @property
    def site(self) -> Site:
        """Where it flows."""
        return UNEVEN_SITE if self.uneven else SITE

    def send(self, stack: Stack, part: int) -> None:
        """Sends the part-th; the last one ends with heartbeats."""
        spread = self.halves(part) if self.uneven else self.by_key(part)
        if part == self.parts - 1:
            end = heartbeat(self.answer().horizon)
            for partitions in spread.values():
                for values in partitions.values():
                    values.append((None, end))
        for source, partitions in spread.items():
            stack.send_all(source, partitions)

    def by_key(self, part: int) -> Spread:
        """One source; a session lies in one partition."""
        partitions: dict[int, list[KeyValue]] = {number: [] for number in range(PARTITIONS)}
        for key, value in cut(records(self.seed, self.count), part, self.parts):
            partitions[sum(key or b"") % PARTITIONS].append((key, value))
        return {"clicks": partitions}

    def halves(self, part: int) -> Spread:
        """Every other record is of the fast source."""
        every = records(self.seed, self.count)
        fast, slow = cut(every[::2], part, self.parts // FASTER), cut(every[1::2], part, self.parts)
        return {"web": {0: list(fast)}, "app": {0: list(slow)}}

    def answer(self, until: int | None = None) -> Expected:
        """What batch says of all of them. `until`: and of the time after them, ms."""
        return answer(self.seed, self.count, until)


def cut(every: Sequence[KeyValue], part: int, parts: int) -> Sequence[KeyValue]:
    """The part-th of so many; nothing beyond the last."""
    return every[part * len(every) // parts : (part + 1) * len(every) // parts]


@cache
def records(seed: int, count: int) -> tuple[tuple[bytes | None, bytes], ...]:
    """Keys and values in the order of sending."""
    made = Traffic(TrafficConfig(seed=seed, start_ms=MONDAY, visitors_per_day=90_000)).records()
    return tuple((record.key, record.data) for record in islice(made, count))


@cache
def answer(seed: int, count: int, until: int | None) -> Expected:
    """What batch says of them."""
    decode, now = decoder(DecodeOptions()), int(time.time() * 1000)
    values = [value for _, value in records(seed, count)]
    if until is not None:
        values.append(heartbeat(until))
    return expected(load_funnels(FUNNELS), values, lambda data: decode(data, now))


def heartbeat(ts: int) -> bytes:
    """Nothing older comes than this time, ms."""
    return msgspec.json.encode({"event": HEARTBEAT, "timestamp": ts})
