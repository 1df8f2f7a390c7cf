"""The events: entries whose attempts stay open, and sessions that walk. Made one by one; nothing is kept but who is under way."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence

from benchmarks.definitions import Walk
from benchmarks.experiments.place import MARKER
from schemas.settings import Kafka
from sinks.kafka import BatchWriter

#: Partition, key and value.
Keyed = tuple[int, bytes, bytes]
SLICE = 20_000  # records that are held at a time while a backlog is written
NOISE = ("page_view", "scroll", "click", "hover", "video_play", "search", "filter", "image_zoom")
CHANNELS = ("Organic Search", "Direct", "Paid Search", "Email", "Paid Social", "Referral")
DEVICES = ("mobile", "desktop", "tablet")
COUNTRIES = ("DE", "FR", "GB", "US", "NL", "ES", "IT", "PL", "SE", "AT")


def entry(number: int, event: str, ts: int, partitions: int) -> Keyed:
    """A session's first event, about 110 bytes: ids of 13 and 17 characters."""
    session = f"s{number * 2_654_435_761 % 2**48:012x}"
    value = f'{{"event_id":"{session}0000","event":"{event}","timestamp":{ts},"session_id":"{session}"}}'
    return number % partitions, session.encode(), value.encode()


def long_entry(number: int, event: str, ts: int, partitions: int) -> Keyed:
    """The same with ids as UUIDs (36 characters each) and four dimensions."""
    spread = f"{number * 0x9E3779B97F4A7C15F39CC0605CEDC835 % 2**128:032x}"
    uuid = f"{spread[:8]}-{spread[8:12]}-{spread[12:16]}-{spread[16:20]}-{spread[20:]}"
    value = (
        f'{{"event_id":"{uuid[::-1]}","event":"{event}","timestamp":{ts},"session_id":"{uuid}",'
        f'"channel":"{CHANNELS[number % 6]}","device":"{DEVICES[number % 3]}","country":"{COUNTRIES[number % 10]}",'
        f'"customer_type":"{"new" if number % 2 else "returning"}"}}'
    )
    return number % partitions, uuid.encode(), value.encode()


def marker(partition: int, number: int, ts: int) -> tuple[bytes, bytes]:
    """Key and value of a marker: an event of a funnel of its own that names its partition."""
    key = f"marker-{partition}-{number}"
    value = f'{{"event_id":"{key}-{ts}","event":"{MARKER}","timestamp":{ts},"session_id":"{key}","campaign":"p{partition}"}}'
    return key.encode(), value.encode()


class Traffic:
    """Sessions side by side, each in a slot of its own, that take turns: `slots` = events a second × seconds between two of a session.

    `noise`: events that fit no stage, for each that does. `first`: sessions are counted from there. The same seed gives the same events.
    """

    def __init__(
        self,
        walks: Sequence[Walk],
        *,
        slots: int,
        partitions: int,
        noise: float = 0.0,
        seed: int = 1,
        first: int = 0,
    ) -> None:
        self._walks, self._noise, self._partitions = tuple(walks), noise, partitions
        self._rng = random.Random(seed)
        self._number, self._turn = first, 0
        self._slots: list[list[str]] = [[] for _ in range(slots)]
        self._sessions = [0] * slots
        for slot in range(slots):  # the first sessions are cut short, each elsewhere: they must not go in step
            self._begin(slot)
            coming = self._slots[slot]
            del coming[: self._rng.randrange(len(coming))]

    def _begin(self, slot: int) -> None:
        """The next session in this slot: its events, the last one first."""
        rng = self._rng
        walks = [walk for walk in self._walks if rng.random() < walk.share] or [rng.choice(self._walks)]
        stages: list[Iterator[str]] = []
        order: list[int] = []
        for place, walk in enumerate(walks):
            reached = 1
            while reached < len(walk.stages) and rng.random() < walk.stay:
                reached += 1
            stages.append(iter(walk.stages[:reached]))
            order += [place] * reached
        order += [-1] * round(len(order) * self._noise)
        if len(walks) > 1 or self._noise:
            rng.shuffle(order)
        events = [rng.choice(NOISE) if place < 0 else next(stages[place]) for place in order]
        self._number += 1
        self._sessions[slot] = self._number
        self._slots[slot] = events[::-1]

    def event(self, ts: int) -> Keyed:
        """The next event, at this time (ms)."""
        slot = self._turn
        self._turn = slot + 1 if slot + 1 < len(self._slots) else 0
        if not self._slots[slot]:
            self._begin(slot)
        coming, number = self._slots[slot], self._sessions[slot]
        name, place = coming.pop(), len(coming)
        if self._noise:
            return self._full(name, number, place, ts)
        session = f"s{number:012x}"
        value = f'{{"event_id":"{session}{place:04x}","event":"{name}","timestamp":{ts},"session_id":"{session}"}}'
        return number % self._partitions, session.encode(), value.encode()

    def _full(self, name: str, number: int, place: int, ts: int) -> Keyed:
        """An event of twelve fields, about 400 bytes."""
        session, mixed = f"s{number:012x}", number * 40_503
        page = (mixed + place * 7) % 5_000
        value = (
            f'{{"event_id":"{session}-{place:04x}","event":"{name}","timestamp":{ts},"session_id":"{session}",'
            f'"visitor_id":"v{mixed % 2**40:010x}",'
            f'"url":"https://www.shop.example/catalogue/department-{page % 40}/product-{page}.html",'
            f'"referrer":"https://www.shop.example/catalogue/department-{page % 40}/",'
            f'"channel":"{CHANNELS[mixed % 6]}","device":"{DEVICES[mixed // 6 % 3]}",'
            f'"country":"{COUNTRIES[mixed // 18 % 10]}","customer_type":"{"new" if mixed & 2 else "returning"}",'
            f'"properties":{{"page":"product-{page}","position":{place},"list":"recommended"}}}}'
        )
        return number % self._partitions, session.encode(), value.encode()


def write(kafka: Kafka, topic: str, count: int, make: Callable[[int], Keyed]) -> None:
    """Appends `count` records, as fast as can be, a slice at a time."""
    asyncio.run(_write(kafka, topic, count, make))


async def _write(kafka: Kafka, topic: str, count: int, make: Callable[[int], Keyed]) -> None:
    writer = BatchWriter(kafka)
    await writer.start()
    try:
        for start in range(0, count, SLICE):
            parts: dict[int, list[tuple[bytes, bytes]]] = {}
            for number in range(start, min(start + SLICE, count)):
                partition, key, value = make(number)
                parts.setdefault(partition, []).append((key, value))
            await asyncio.gather(*(writer.write(topic, partition, records) for partition, records in parts.items()))
    finally:
        await writer.stop()
