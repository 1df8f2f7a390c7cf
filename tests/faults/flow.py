"""What flows: some hours of the generated shop, the same for each seed, and what `batch` says of it."""

from __future__ import annotations

import time
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


class Flow(msgspec.Struct, frozen=True):
    """`count` records of that seed, sent in `parts`."""

    seed: int
    count: int = 9_000
    parts: int = 30

    def send(self, stack: Stack, part: int) -> None:
        """Sends the part-th; the last one ends with heartbeats."""
        every = records(self.seed, self.count)
        chosen = every[part * len(every) // self.parts : (part + 1) * len(every) // self.parts]
        spread: dict[int, list[KeyValue]] = {number: [] for number in range(PARTITIONS)}
        for key, value in chosen:
            spread[sum(key or b"") % PARTITIONS].append((key, value))
        if part == self.parts - 1:
            end = msgspec.json.encode({"event": HEARTBEAT, "timestamp": self.answer().horizon})
            for values in spread.values():
                values.append((None, end))
        stack.send_all("clicks", spread)

    def answer(self) -> Expected:
        """What batch says of all of them."""
        return answer(self.seed, self.count)


@cache
def records(seed: int, count: int) -> tuple[tuple[bytes | None, bytes], ...]:
    """Keys and values in the order of sending."""
    made = Traffic(TrafficConfig(seed=seed, start_ms=MONDAY, visitors_per_day=90_000)).records()
    return tuple((record.key, record.data) for record in islice(made, count))


@cache
def answer(seed: int, count: int) -> Expected:
    """What batch says of them."""
    decode, now = decoder(DecodeOptions()), int(time.time() * 1000)
    return expected(load_funnels(FUNNELS), [value for _, value in records(seed, count)], lambda data: decode(data, now))
