"""The streams of the benchmarks: fixed by a seed, in the order of their times, made while they are read.

*dense*: every event is a stage. Sessions walk product_view → … → purchase, and some stop on the way.
*realistic*: four events of five fit no stage of any of the three funnels; twelve fields, about 435 bytes.
*gap*: dense, but without session ids: visitors come back, and their pauses cut the sessions.
*rekeyed*: realistic, on a topic keyed by the visitor instead of the session, so that all passes an internal log.

A thousand events a second (event time), sessions spread over minutes: a session's next event mostly lies in another chunk,
so that state is read and written for nearly every event. That is the harder case, and that of a busy site.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator
from heapq import heappop, heappush

import msgspec

from benchmarks import records
from benchmarks.definitions import DENSE, DIMENSIONS, REALISTIC, SESSION_GAP, WINDOW, Walk
from benchmarks.oracle import Count, Expected, Step
from benchmarks.records import PARTITIONS, partition_of_session, partition_of_visitor, session_id, visitor_id

__all__ = ["PARTITIONS", "START", "Count", "Expected", "Step", "Workload", "dense", "gap", "realistic", "rekeyed"]

SEED = 20_250_602
#: Monday, 2 June 2025, 00:00 UTC: all events of a run lie within that day.
START = 1_748_822_400_000
RATE = 1_000  # events a second of event time

NOISE = ("page_view", "scroll", "click", "hover", "video_play", "search", "filter", "image_zoom")
#: Noise events to each stage event, so that with the bouncing sessions' they make four of five.
NOISE_RATIO, BOUNCES, BOUNCE_EVENTS = 3.4, 0.25, 5
#: Chance that a visitor comes back, and the most sessions of one.
RETURNS, MOST_SESSIONS = 0.5, 4


class Beat(msgspec.Struct, frozen=True, gc=False):
    """One event of a session. `pause`: ms since the one before it."""

    pause: int
    event: str


class Workload(msgspec.Struct, frozen=True):
    """A stream of `count` events and its funnels. A longer one begins with a shorter one's events.

    `script`: the events of one session (gap: of one visitor). `keyed_by`: the unit whose id is each record's key, as
    `[[sources]]` names it. `direct`: it feeds its funnels without an internal log. `rate`: events a second of event time.
    """

    name: str
    walks: tuple[Walk, ...]
    dimensions: tuple[str, ...]
    count: int
    script: Callable[[random.Random], list[Beat]]
    encode: Callable[[Step], bytes]
    key: Callable[[int], str] = session_id
    place: Callable[[int], int] = partition_of_session
    keyed_by: str = "session"
    session_gap: int | None = None
    direct: bool = True
    rate: float = RATE

    def steps(self) -> Iterator[Step]:
        """The events by time, of sessions that begin one after the other; only those of open sessions are held."""
        rng = random.Random(SEED)
        coming: list[tuple[int, int, int, str]] = []
        begin, number, left = float(START), 0, self.count
        while True:
            beats, ts = self.script(rng), int(begin)
            for place, beat in enumerate(beats):
                ts += beat.pause
                heappush(coming, (ts, number, place, beat.event))
            begin += rng.expovariate(self.rate / 1000) * len(beats)
            number += 1
            until = int(begin)  # no later session has anything before this
            while coming and coming[0][0] < until:
                yield Step(*heappop(coming))
                left -= 1
                if not left:
                    return

    def records(self, partition: int) -> Iterator[tuple[bytes, bytes]]:
        """Key and value of one partition's records, in order."""
        for step in self.steps():
            if self.place(step.session) == partition:
                yield self.key(step.session).encode(), self.encode(step)

    def first(self, count: int) -> Workload:
        """The same stream, cut off after `count` events."""
        return msgspec.structs.replace(self, count=min(count, self.count))

    def counter(self) -> Count:
        """The plain count of this stream, before its first step."""
        return Count(self.walks, self.session_gap, self.place, direct=self.direct)

    def expected(self) -> Expected:
        """What the whole stream comes to."""
        counter = self.counter()
        for step in self.steps():
            counter.add(step)
        return counter.expected()


def dense(count: int) -> Workload:
    """`count` events, each a stage of the one funnel."""
    return Workload("dense", DENSE, (), count, _dense_session, records.dense_record)


def realistic(count: int) -> Workload:
    """`count` events; one of five is a stage of one of three funnels."""
    return Workload("realistic", REALISTIC, DIMENSIONS, count, _realistic_session, records.realistic_record)


def gap(count: int) -> Workload:
    """`count` dense events without session ids."""
    return Workload(
        "gap", DENSE, (), count, _visitor, records.gap_record, visitor_id, partition_of_visitor, "visitor", SESSION_GAP,
        direct=False,
    )  # fmt: skip


def rekeyed(count: int) -> Workload:
    """`count` realistic events on a topic keyed by the visitor."""
    return msgspec.structs.replace(
        realistic(count), name="rekeyed", key=visitor_id, place=partition_of_visitor, keyed_by="visitor", direct=False
    )


def depth(rng: random.Random, walk: Walk) -> int:
    """How many stages a session reaches: at least the first."""
    reached = 1
    while reached < len(walk.stages) and rng.random() < walk.stay:
        reached += 1
    return reached


def _dense_session(rng: random.Random) -> list[Beat]:
    return _paced(rng, list(DENSE[0].stages[: depth(rng, DENSE[0])]), 5_000, 55_000)


def _visitor(rng: random.Random) -> list[Beat]:
    """Sessions of one visitor, with more than the gap between them."""
    beats = _dense_session(rng)
    for _ in range(MOST_SESSIONS - 1):
        if rng.random() >= RETURNS:
            break
        first, *others = _dense_session(rng)
        beats += [Beat(rng.randint(SESSION_GAP + 1, 3 * SESSION_GAP), first.event), *others]
    return beats


def _realistic_session(rng: random.Random) -> list[Beat]:
    if rng.random() < BOUNCES:
        return _paced(rng, [rng.choice(NOISE) for _ in range(BOUNCE_EVENTS)], 1_000, 10_000)
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
    return _paced(rng, events, 1_000, 10_000)


def _paced(rng: random.Random, events: list[str], shortest: int, longest: int) -> list[Beat]:
    """Pauses such that the session stays well within the window."""
    longest = min(longest, (WINDOW - 60_000) // len(events))
    shortest = min(shortest, longest)
    return [Beat(rng.randint(shortest, longest) if place else 0, event) for place, event in enumerate(events)]
