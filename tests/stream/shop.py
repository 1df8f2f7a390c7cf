"""A few minutes of the generated shop, for tests that break something while it flows."""

from __future__ import annotations

import time
from functools import cache
from itertools import islice
from pathlib import Path

import msgspec

from schemas.decode import DecodeOptions, decoder
from schemas.event import HEARTBEAT
from sinks.kafka import KeyValue
from streams.traffic import Traffic, TrafficConfig
from tests.e2e.oracle import Expected, difference, expected, stored_rows
from tests.e2e.stack import Site, Stack

FUNNELS = Path(__file__).parents[1] / "e2e" / "funnels.toml"
MONDAY = 1_767_571_200_000
RECORDS = 9_000
PARTITIONS = 2
#: Sessions are followed on the source, visitors through an internal log; chunks are small, so that there are many.
SITE = Site(
    funnels=FUNNELS, sources={"clicks": 'keyed_by = "session"\nidle_after = "10m"'}, source_partitions=PARTITIONS,
    partitions=2, chunk_records=300,
)  # fmt: skip
#: Funnels that let the worker take records without decoding them: of sessions alone, and none that must see every event.
PLAIN = msgspec.structs.replace(SITE, funnels=Path(__file__).parents[2] / "schemas" / "presets" / "ecommerce.toml")


@cache
def records() -> tuple[tuple[bytes | None, bytes], ...]:
    """Keys and values in the order of sending."""
    made = Traffic(TrafficConfig(seed=3, start_ms=MONDAY, visitors_per_day=90_000)).records()
    return tuple((record.key, record.data) for record in islice(made, RECORDS))


@cache
def answer(stack_funnels: tuple[object, ...]) -> Expected:
    """What batch says of them all."""
    decode, now = decoder(DecodeOptions()), int(time.time() * 1000)
    return expected(stack_funnels, [value for _, value in records()], lambda data: decode(data, now))  # type: ignore[arg-type]


def send_part(stack: Stack, part: int, parts: int) -> None:
    """Sends the part-th of so many parts; the last one ends with heartbeats."""
    every = records()
    chosen = every[part * len(every) // parts : (part + 1) * len(every) // parts]
    spread: dict[int, list[KeyValue]] = {number: [] for number in range(PARTITIONS)}
    for key, value in chosen:
        spread[sum(key or b"") % PARTITIONS].append((key, value))
    if part == parts - 1:
        end = msgspec.json.encode({"event": HEARTBEAT, "timestamp": answer(stack.funnels).horizon})
        for values in spread.values():
            values.append((None, end))
    stack.send_all("clicks", spread)


def assert_rows(stack: Stack) -> None:
    """What ClickHouse has is what batch says: nothing lost, nothing twice."""
    client = stack.client()
    try:
        assert difference(stored_rows(client), answer(stack.funnels).rows) == ""
        sql = "SELECT funnel, sum(read), sum(late), sum(invalid) FROM progress_v GROUP BY funnel"
        counts = {funnel: (read, late, invalid) for funnel, read, late, invalid in client.query(sql).result_rows}
    finally:
        client.close()
    refused = len(answer(stack.funnels).refused)
    assert counts == {funnel.name: (RECORDS, 0, refused) for funnel in stack.funnels}
