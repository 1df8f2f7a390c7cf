"""The events of the benchmarks: fixed by a seed, in the order of their times, and what a plain count makes of them.

*dense*: every event is a stage. Sessions walk product_view → … → purchase, and some stop on the way.
*realistic*: four events of five fit no stage of any of the three funnels; twelve fields, about 400 bytes.

A thousand events a second (event time), sessions spread over minutes: a session's next event mostly lies in another chunk,
so that state is read and written for nearly every event. That is the harder case, and that of a busy site.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from heapq import heappop, heappush

import msgspec

from benchmarks.definitions import DENSE, DIMENSIONS, LATENESS, REALISTIC, WINDOW, Walk
from schemas.event import MONEY_SCALE

SEED = 20_250_602
#: Monday, 2 June 2025, 00:00 UTC: all events of a run lie within that day.
START = 1_748_822_400_000
RATE = 1_000  # events a second of event time
PARTITIONS = 4
PRICE_CENTS = 4_990

NOISE = ("page_view", "scroll", "click", "hover", "video_play", "search", "filter", "image_zoom")
CHANNELS = ("Organic Search", "Direct", "Paid Search", "Email", "Paid Social", "Referral")
DEVICES = ("mobile", "desktop", "tablet")
COUNTRIES = ("DE", "FR", "GB", "US", "NL", "ES", "IT", "PL", "SE", "AT")
CUSTOMERS = ("new", "returning")
#: Noise events to each stage event, so that with the bouncing sessions' they make four of five.
NOISE_RATIO, BOUNCES, BOUNCE_EVENTS = 3.4, 0.25, 5


class Step(msgspec.Struct, frozen=True, gc=False):
    """One event before it is encoded. `number`: its place in the session."""

    ts: int
    session: int
    number: int
    event: str


class Expected(msgspec.Struct, frozen=True):
    """What the events come to: by (funnel, stage) attempts that entered it; by funnel those that converted and dropped off.

    `dropped`: whose window has run out by the last event of their partition, lateness included. `revenue`: in 1/MONEY_SCALE.
    """

    entered: dict[tuple[str, str], int]
    converted: dict[str, int]
    dropped: dict[str, int]
    revenue: int


class Workload(msgspec.Struct, frozen=True):
    """A stream of events and its funnels."""

    name: str
    walks: tuple[Walk, ...]
    dimensions: tuple[str, ...]
    steps: list[Step]
    encode: Callable[[Step], bytes]

    def records(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Key (the session) and value of one partition's records, in order."""
        for step in self.steps:
            if step.session % PARTITIONS == partition:
                yield session_id(step.session).encode(), self.encode(step)

    def first(self, count: int) -> Workload:
        """The same stream, cut off after `count` events."""
        return msgspec.structs.replace(self, steps=self.steps[:count])

    def expected(self) -> Expected:
        """A plain count, written apart from the engine: each session's stages come in order, within the window."""
        stage_of = {stage: (walk, level) for walk in self.walks for level, stage in enumerate(walk.stages)}
        entries: dict[tuple[str, int], int] = {}
        highest: dict[tuple[str, int], int] = {}
        newest: Counter[int] = Counter()
        entered: Counter[tuple[str, str]] = Counter()
        for step in self.steps:
            newest[step.session % PARTITIONS] = step.ts
            if step.event in stage_of:
                walk, level = stage_of[step.event]
                attempt = (walk.name, step.session)
                if highest.get(attempt, -1) != level - 1 or step.ts - entries.setdefault(attempt, step.ts) > WINDOW:
                    raise AssertionError(f"session {step.session} does not walk in order at {step.event}")
                highest[attempt] = level
                entered[walk.name, step.event] += 1
        last = {walk.name: len(walk.stages) - 1 for walk in self.walks}
        converted, dropped = Counter(dict.fromkeys(last, 0)), Counter(dict.fromkeys(last, 0))
        for (name, session), level in highest.items():
            if level == last[name]:
                converted[name] += 1
            elif entries[name, session] + WINDOW + LATENESS < newest[session % PARTITIONS]:
                dropped[name] += 1
        revenue = entered["purchase", "purchase"] * PRICE_CENTS * (MONEY_SCALE // 100)
        return Expected(dict(entered), dict(converted), dict(dropped), revenue)


def dense(count: int) -> Workload:
    """`count` events, each a stage of the one funnel."""
    walk = DENSE[0]

    def session(rng: random.Random) -> list[str]:
        return list(walk.stages[: depth(rng, walk)])

    steps = _steps(count, session, (5_000, 55_000))
    return Workload("dense", DENSE, (), steps, _encode_dense)


def realistic(count: int) -> Workload:
    """`count` events; one of five is a stage of one of three funnels."""

    def session(rng: random.Random) -> list[str]:
        if rng.random() < BOUNCES:
            return [rng.choice(NOISE) for _ in range(BOUNCE_EVENTS)]
        order: list[Walk | None] = [
            walk for walk in REALISTIC if rng.random() < walk.share for _ in range(depth(rng, walk))
        ]
        order += [None] * max(1, round(len(order) * NOISE_RATIO))
        rng.shuffle(order)
        taken: Counter[str] = Counter()
        events = []
        for walk in order:
            events.append(rng.choice(NOISE) if walk is None else walk.stages[taken[walk.name]])
            if walk is not None:
                taken[walk.name] += 1
        return events

    steps = _steps(count, session, (1_000, 10_000))
    return Workload("realistic", REALISTIC, DIMENSIONS, steps, _encode_realistic)


def depth(rng: random.Random, walk: Walk) -> int:
    """How many stages a session reaches: at least the first."""
    reached = 1
    while reached < len(walk.stages) and rng.random() < walk.stay:
        reached += 1
    return reached


def session_id(session: int) -> str:
    return f"s{session * 2_654_435_761 % 2**48:012x}"


def _steps(count: int, session: Callable[[random.Random], list[str]], pause: tuple[int, int]) -> list[Step]:
    """The first `count` events by time of sessions that begin one after the other. `pause`: ms between two events of one.

    A longer stream begins with a shorter one's events.
    """
    rng = random.Random(SEED)
    coming: list[tuple[int, int, int, str]] = []
    steps: list[Step] = []
    begin, number = float(START), 0
    while len(steps) < count:
        events, ts = session(rng), int(begin)
        longest = min(pause[1], (WINDOW - 60_000) // len(events))
        for place, event in enumerate(events):
            heappush(coming, (ts, number, place, event))
            ts += rng.randint(min(pause[0], longest), longest)
        begin += rng.expovariate(RATE / 1000) * len(events)
        number += 1
        while coming and coming[0][0] < int(begin):  # no later session has anything before this
            steps.append(Step(*heappop(coming)))
    return steps[:count]


def _encode_dense(step: Step) -> bytes:
    session = session_id(step.session)
    money = (
        f',"revenue":{PRICE_CENTS / 100:.2f},"currency":"EUR","order_id":"o{session}"'
        if step.event == "purchase"
        else ""
    )
    return (
        f'{{"event_id":"{session}{step.number:04x}","event":"{step.event}","timestamp":{step.ts},'
        f'"session_id":"{session}"{money}}}'
    ).encode()


def _encode_realistic(step: Step) -> bytes:
    session, mixed = session_id(step.session), step.session * 40_503
    page = (mixed + step.number * 7) % 5_000
    money = (
        f'"revenue":{PRICE_CENTS / 100:.2f},"currency":"EUR","order_id":"o{session}",'
        if step.event == "purchase"
        else ""
    )
    return (
        f'{{"event_id":"{session}-{step.number:04x}-{step.ts:x}","event":"{step.event}","timestamp":{step.ts},'
        f'"session_id":"{session}","visitor_id":"v{mixed % 2**40:010x}",'
        f'"url":"https://www.shop.example/catalogue/department-{page % 40}/product-{page}.html",'
        f'"referrer":"https://www.shop.example/catalogue/department-{page % 40}/",'
        f'"channel":"{CHANNELS[mixed % 6]}","device":"{DEVICES[mixed // 6 % 3]}",'
        f'"country":"{COUNTRIES[mixed // 18 % 10]}","customer_type":"{CUSTOMERS[mixed // 180 % 2]}",{money}'
        f'"properties":{{"page":"product-{page}","position":{step.number},"list":"recommended"}}}}'
    ).encode()
