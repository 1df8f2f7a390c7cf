"""A small shop through the real engine and the real counters: log partitions that several workers may share and hand over."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence

import msgspec

from schemas.definitions.funnels import parse_funnels
from schemas.event import Event
from schemas.expectation.baselines import Baselines
from schemas.expectation.curve import learn_curve
from schemas.expectation.learned import Counts, LearnedStep
from schemas.funnel import Funnel
from schemas.metrics import STAGE_CONVERSIONS, STAGE_EXPECTED_CONVERSIONS
from sinks.prometheus.counters import FunnelCounters
from sinks.prometheus.labels import EVERYTHING, LabelPolicy, Segment
from streams.engine.match import CompiledFunnel
from streams.engine.partition import Partition
from streams.stream.effects import Effects

MINUTE = 60_000
DAY = 86_400_000
START = 1_767_571_200_000  # Monday, 5 January 2026, UTC
MEDIAN = 4.0  # minutes to convert
LONGEST = 60
LEVELS = ("view", "cart", "buy")
RATES = {"paid": (0.3, 0.5), "email": (0.6, 0.7)}
DEVICES = ("mobile", "desktop")


def funnel(**more: object) -> Funnel:
    """view, cart, buy; by channel and device."""
    table = {
        "name": "shop", "unit": "session", "window": "2h", "lateness": "1m", "dimensions": ["channel", "device"],
        "stages": [{"name": name, "events": [name]} for name in LEVELS], **more,
    }  # fmt: skip
    return parse_funnels({"funnels": [table]}, "test")[0]


def delay(rng: random.Random) -> float:
    """Minutes to convert: lognormal, cut off."""
    while True:
        found = rng.lognormvariate(math.log(MEDIAN), 1)
        if found < LONGEST:
            return found


def ages(count: int = 20_000) -> dict[int, int]:
    """Delays as they are learned: differences of minutes."""
    rng, found = random.Random(5), dict[int, int]()
    for _ in range(count):
        age = int(rng.random() + delay(rng))
        found[age] = found.get(age, 0) + 1
    return found


class Visit(msgspec.Struct, frozen=True):
    """When (ms), who."""

    at: int
    session: str
    channel: str
    device: str


def visits(rng: random.Random, minutes: int, per_minute: float, paid: float = 0.5) -> list[Visit]:
    """Entries over this time from START on; `paid`: the share of that channel."""
    found: list[Visit] = []
    at = 0.0
    while (at := at + rng.expovariate(per_minute)) < minutes:
        channel = "paid" if rng.random() < paid else "email"
        found.append(Visit(START + int(at * MINUTE), f"s{len(found)}", channel, rng.choice(DEVICES)))
    return found


def events(rng: random.Random, entered: Sequence[Visit], fault: tuple[int, str, float] | None = None) -> list[Event]:
    """What the visitors do, in order of time. `fault`: from that time (ms) on, so much of the conversions to that level is left."""
    found = []
    for visit in entered:
        at, rates = float(visit.at), (1.0, *RATES[visit.channel])
        for level, rate in zip(LEVELS, rates, strict=True):
            if level != LEVELS[0]:
                at += delay(rng) * MINUTE
                kept = fault[2] if fault is not None and level == fault[1] and at >= fault[0] else 1.0
                if rng.random() >= rate * kept:
                    break
            found.append(
                Event(
                    event=level, ts=int(at), event_id=f"{visit.session}{level}", session_id=visit.session,
                    channel=visit.channel, device=visit.device,
                )
            )  # fmt: skip
    return sorted(found, key=lambda event: event.ts)


def learned(definition: Funnel, level: int) -> LearnedStep:
    """What four weeks of the shop teach of the step from that level on, with as many visits of each kind."""
    n = 100_000
    rate = {channel: rates[level] for channel, rates in RATES.items()}
    # Who gets to a later level has come through the step before.
    n_of = {channel: int(n * rates[0]) if level else n for channel, rates in RATES.items()}
    cells = {
        f"{channel}×{device}": Counts(n_of[channel] // 2, int(n_of[channel] // 2 * rate[channel]))
        for channel in RATES
        for device in DEVICES
    }
    whole = Counts(sum(c.entered for c in cells.values()), sum(c.converted for c in cells.values()))
    baselines = Baselines([definition], MINUTE)
    step = baselines.by_level[definition.name, level].step
    curve = learn_curve(ages(), MINUTE, step.delay // MINUTE)
    return LearnedStep(
        step.fingerprint, START - 28 * DAY, START, START - 14 * DAY, whole, curve, {"channel×device": cells}
    )


class Worker:
    """One worker with its counters. What is durable (`stores`) outlives it."""

    def __init__(self, definition: Funnel, stores: dict[int, dict[str, bytes]], *, seeded: bool = True) -> None:
        self.definition, self.stores = definition, stores
        policy = LabelPolicy(crosses=(("channel", "device"),))
        self.counters = FunnelCounters([definition], policy, "site", clock=lambda: 0)
        if seeded:
            for level in range(len(LEVELS) - 1):
                assert self.counters.baselines.learn(learned(definition, level), "UTC", START)
        self.partitions: dict[int, Partition] = {}
        self.compiled = CompiledFunnel(definition)

    def follow(self, number: int, chunk: Sequence[tuple[int, Event]]) -> None:
        """A chunk of a log partition, as `Follower` takes it. `chunk`: offsets and events."""
        partition = self.partitions.get(number)
        place = ("log", number)
        if partition is None:
            store = self.stores.setdefault(number, {})
            partition = self.partitions[number] = Partition("log", number, self.definition.unit, [self.compiled], store)
            self.counters.begin(place, partition.clock.heard, partition.units.standing)
        effects = Effects(partition, {self.definition.version: self.definition.dimensions})
        for offset, event in chunk:
            partition.event(offset, event)
        result = partition.finish()
        effects.end(result)
        partition.keep(result)
        self.counters.count(effects.tally, place, partition.clock.heard)

    def leave(self, number: int) -> None:
        """The partition goes to another worker."""
        self.partitions.pop(number, None)
        self.counters.forget(("log", number))

    def expected(self, level: str, segment: Segment = EVERYTHING) -> float:
        return self.counters.net(STAGE_EXPECTED_CONVERSIONS, "shop", level, segment=segment) / 1_000_000

    def observed(self, level: str, segment: Segment = EVERYTHING) -> int:
        return self.counters.net(STAGE_CONVERSIONS, "shop", level, segment=segment)


def chunks(
    rng: random.Random, seen: Sequence[Event], partitions: int, size: int = 200
) -> Iterator[tuple[int, list[tuple[int, Event]]]]:
    """The events by partition, in chunks of random length: the partition, and its offsets and events."""
    waiting: list[list[tuple[int, Event]]] = [[] for _ in range(partitions)]
    due = [rng.randint(1, size) for _ in range(partitions)]
    for offset, event in enumerate(seen):
        number = hash_of(event.session_id or "") % partitions
        waiting[number].append((offset, event))
        if len(waiting[number]) >= due[number]:
            yield number, waiting[number]
            waiting[number], due[number] = [], rng.randint(1, size)
    for number, rest in enumerate(waiting):
        if rest:
            yield number, rest


def hash_of(text: str) -> int:
    return sum(ord(letter) * 31**place for place, letter in enumerate(text))
