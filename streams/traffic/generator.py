"""The whole shop: visitors arrive, walk, come back, and what they do is sent, late, twice or broken as configured."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import count
from random import Random

import msgspec

from streams.traffic.catalogue import Order, Step
from streams.traffic.config import TrafficConfig
from streams.traffic.counts import Counts
from streams.traffic.faults import Fault
from streams.traffic.people import Visit, by_campaign, first_visit, new_visitor, return_visit
from streams.traffic.rhythm import HOUR_MS, next_arrival
from streams.traffic.shop import Walk, crawl
from streams.traffic.spoil import Bad, spoil
from streams.traffic.wire import ShopEvent, encode, shop_event

MOST_VISITS = 4
_BAD_KINDS = tuple(Bad)


class TrafficRecord(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """One record to send at `send_ms` (ms since 1970 UTC, never before the event's own time `ts`).

    `key` is the Kafka record key, `data` the value. The rest says what it is, for tests: `name` of the event, `bad`
    (how it is broken, None = good), `duplicate` (the same bytes went before), `bot`.
    """

    send_ms: int
    key: bytes | None
    data: bytes
    ts: int
    name: str
    bad: Bad | None = None
    duplicate: bool = False
    bot: bool = False


class _Going:
    """A visit that is under way: its random numbers and what comes next. They exist only from its start to its end."""

    __slots__ = ("rng", "steps", "visit", "walk")

    def __init__(self, visit: Visit, rng: Random, walk: Walk | None, steps: Iterator[Step]) -> None:
        self.visit, self.rng, self.walk, self.steps = visit, rng, walk, steps


class _Later(msgspec.Struct, frozen=True):
    """What the shop's people do long after a visit: they take goods back, or judge a lead."""

    visit: Visit
    name: str
    order: Order | None = None


class Traffic:
    """Endless, seeded traffic of one shop.

    Every visit draws from random numbers of its own, seeded by (seed, visitor, visit): a fault, or other shares of
    duplicates and bad records, change nothing for the visits that they don't touch.
    """

    def __init__(self, config: TrafficConfig) -> None:
        config.check()
        self.config = config
        self.faults: list[Fault] = list(config.faults)
        self.counts = Counts()
        self._sequence = count()
        self._agenda: list[tuple[int, int, Visit | _Later | _Going, Step | None]] = []
        self._outbox: list[tuple[int, int, TrafficRecord]] = []

    def inject(self, fault: Fault) -> None:
        """Switches a fault on while `records` is being read; it holds for all steps not yet decided."""
        self.faults.append(fault)

    def records(self, until_ms: int | None = None) -> Iterator[TrafficRecord]:
        """All records with `send_ms` < `until_ms` (None = no end), in sending order. Starts over at each call."""
        self.counts, self._sequence, self._agenda, self._outbox = Counts(), count(), [], []
        arrivals = Random(self.config.seed)
        arrival, number = self._after(self.config.start_ms, arrivals), 0
        while True:
            due = min(arrival, self._agenda[0][0]) if self._agenda else arrival
            if until_ms is not None and due >= until_ms:
                yield from self._sent_by(until_ms - 1)
                return
            yield from self._sent_by(due)
            if arrival <= due:
                self._arrive(number, arrival)
                arrival, number = self._after(arrival, arrivals), number + 1
            else:
                self._go_on()

    def _after(self, ms: int, rng: Random) -> int:
        return next_arrival(ms, self.config.visitors_per_day, self.config.utc_offset_ms, rng)

    def _sent_by(self, ms: int) -> Iterator[TrafficRecord]:
        outbox, counts = self._outbox, self.counts
        while outbox and outbox[0][0] <= ms:
            record = heappop(outbox)[2]
            counts.add(record.name, record.bad, duplicate=record.duplicate, bot=record.bot)
            yield record

    def _arrive(self, number: int, at: int) -> None:
        rng = self._random(number, 0)
        visitor = new_visitor(number, at, rng, self.config.bot_share)
        self.counts.visitors += 1
        visit, share = first_visit(visitor, at, rng), self.config.campaign_share
        self._plan(at, by_campaign(visit, rng) if share and rng.random() < share else visit)

    def _random(self, number: int, ordinal: int) -> Random:
        return Random((self.config.seed << 72) | (number << 8) | ordinal)

    def _plan(self, at: int, what: Visit | _Later | _Going, step: Step | None = None) -> None:
        heappush(self._agenda, (at, next(self._sequence), what, step))

    def _go_on(self) -> None:
        """Takes the next thing off the agenda: a visit starts, a step is done, the office answers."""
        at, _, what, step = heappop(self._agenda)
        if isinstance(what, Visit):
            self._advance(self._start(what))
        elif isinstance(what, _Later):
            rng = self._random(what.visit.visitor.number, 128 + what.visit.ordinal)
            self._send(what.visit, Step(at, what.name, "/office", None, what.order, server=True), rng)
        elif step:
            self._send(what.visit, step, what.rng)
            self._advance(what)

    def _start(self, visit: Visit) -> _Going:
        self.counts.visits += 1
        rng = self._random(visit.visitor.number, visit.ordinal)
        if visit.visitor.crawler:
            return _Going(visit, rng, None, crawl(visit, rng))
        walk = Walk(visit, rng, self._loses)
        return _Going(visit, rng, walk, walk.steps())

    def _advance(self, going: _Going) -> None:
        step = next(going.steps, None)
        if step:
            self._plan(step.ts, going, step)
        elif going.walk:
            self._part(going.walk, going.rng)

    def _part(self, walk: Walk, rng: Random) -> None:
        """A visit is over: some orders are sent back, leads are judged, some people return hours or days later."""
        visit = walk.visit
        later = walk.ended_ms + int(rng.lognormvariate(0, 0.9) * 9 * HOUR_MS)
        if walk.order and rng.random() < self.config.refund_share:
            self._plan(later, _Later(visit, "refund", walk.order))
        if walk.asked:
            self._plan(later, _Later(visit, "qualify_lead" if rng.random() < 0.6 else "disqualify_lead"))
        wish = 0.1 if walk.order else 0.55 if walk.cart else 0.2
        if visit.ordinal < MOST_VISITS and rng.random() < wish:
            at = walk.ended_ms + HOUR_MS + int(rng.lognormvariate(0, 1.0) * 6 * HOUR_MS)
            self._plan(at, return_visit(visit, at, rng, cart=bool(walk.cart) and rng.random() < 0.6))

    def _loses(self, visit: Visit, stage: str, ms: int, luck: float) -> bool:
        for fault in self.faults:
            if luck < fault.share_lost and fault.hits(visit, stage, ms):
                self.counts.lost += 1
                return True
        return False

    def _send(self, visit: Visit, step: Step, rng: Random) -> None:
        """Puts a step's record into the outbox, and what goes wrong with it. Always draws the same random numbers."""
        config = self.config
        delay, delay_2, id_luck, copy_luck, bad_luck = (rng.random() for _ in range(5))
        event_id = f"{rng.getrandbits(64):016x}"
        event = shop_event(visit, step, config.site, event_id if id_luck >= config.without_id_share else None)
        record = TrafficRecord(
            send_ms=step.ts + self._delay(delay),
            key=self._key(event),
            data=encode(event),
            ts=step.ts,
            name=step.name,
            bot=visit.visitor.crawler is not None,
        )
        self._post(record)
        if copy_luck < config.duplicate_share:
            again = max(record.send_ms, step.ts + int(delay_2 * config.disorder_ms))
            self._post(msgspec.structs.replace(record, send_ms=again, duplicate=True))
        if bad_luck < config.bad_share:
            kind = _BAD_KINDS[int(bad_luck / config.bad_share * len(_BAD_KINDS))]
            self._post(msgspec.structs.replace(record, data=spoil(event, kind), bad=kind))

    def _delay(self, luck: float) -> int:
        """Most records come within two seconds; `disorder_share` of them up to `disorder_ms` late."""
        config = self.config
        if luck < config.disorder_share:
            return int(luck / config.disorder_share * config.disorder_ms)
        return int((luck - config.disorder_share) * min(2_000, config.disorder_ms))

    def _key(self, event: ShopEvent) -> bytes | None:
        named = {"session": event.session_id, "visitor": event.visitor_id}.get(self.config.keyed_by)
        return named.encode() if named else None

    def _post(self, record: TrafficRecord) -> None:
        heappush(self._outbox, (record.send_ms, next(self._sequence), record))
