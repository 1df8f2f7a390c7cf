"""Time of an internal log: the minimum over its sources, silence, ticks, and records that a source sent again."""

from __future__ import annotations

from random import Random

from schemas.event import Event
from schemas.rows import Kind
from streams.engine.clock import NEVER, Clock
from streams.engine.partition import unpack_meta
from streams.engine.units import META
from tests.unit.engine.feeding import Run, batch_rows, event, events, funnel, stage
from tests.unit.engine.scenarios import scenarios

PAIR = funnel(stage("A"), stage("B"), window=100, lateness=10)


class LogRun(Run):
    """A run over an internal log: each record names its source, and each source counts its own offsets and its time."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.offsets: dict[str, int] = {}
        self.times: dict[str, int] = {}

    def send(self, source: str, one: Event, *, again: bool = False) -> None:
        """The next event of a source (or its last one again)."""
        number = self.offsets[source] = self.offsets.get(source, -1) + (not again)
        time = self.times[source] = max(self.times.get(source, one.ts), one.ts)
        self.partition.event_from(self.next_offset(), source, number, time, one)

    def idle(self, source: str) -> None:
        self.partition.clock_from(self.next_offset(), source, NEVER, NEVER, idle=True)

    def idle_after(self, source: str, one: Event) -> None:
        """The source sends an event and falls silent."""
        self.send(source, one)
        self.idle(source)

    def told(self, source: str, watermark: int, floor: int = NEVER) -> None:
        self.partition.clock_from(self.next_offset(), source, watermark, floor, idle=False)

    @property
    def watermark(self) -> int:
        return self.partition.clock.watermark


def test_the_watermark_is_the_minimum_over_the_sources() -> None:
    made = LogRun(PAIR)
    made.partition.clock.expect(["s/0", "s/1"])
    made.send("s/0", event("a", 100))
    assert made.watermark == NEVER  # s/1 has not been heard
    made.send("s/1", event("a", 40))
    assert made.watermark == 40
    made.send("s/0", event("a", 200))
    assert made.watermark == 40
    made.send("s/1", event("a", 150))
    assert made.watermark == 150
    made.send("s/1", event("a", 250))
    assert made.watermark == 200


def test_a_source_not_yet_heard_holds_deadlines_back() -> None:
    made = LogRun(PAIR)
    made.partition.clock.expect(["s/0", "s/1"])
    made.send("s/0", event("a", 0))
    made.send("s/0", event("z", 1_000))
    assert [row.kind for row in made.chunk().rows] == ["enter"]
    made.send("s/1", event("z", 111))
    (end,) = made.chunk().rows
    assert (end.kind, end.event_time, end.revision) == (Kind.END, 100, 2)


def test_a_source_that_appears_later_does_not_turn_time_back() -> None:
    made = LogRun(PAIR)
    made.send("s/0", event("a", 500))
    made.send("s/1", event("b", 100))
    assert made.watermark == 500
    assert made.counts() == {"read": 2, "matched": 1, "late": 1}
    made.send("s/0", event("a", 900))
    assert made.watermark == 500  # the new one holds it back from now on


def test_an_idle_source_leaves_and_returns() -> None:
    made = LogRun(PAIR)
    made.partition.clock.expect(["s/0", "s/1"])
    made.send("s/0", event("a", 300))
    made.send("s/1", event("a", 20))
    assert made.watermark == 20
    made.idle("s/1")
    assert made.watermark == 300
    made.send("s/0", event("a", 400))
    assert made.watermark == 400
    made.send("s/1", event("a", 395))
    made.send("s/0", event("a", 500))
    assert made.watermark == 400  # s/1 is back, at 395
    assert "late" not in made.counts()


def test_time_stands_still_when_all_sources_are_idle_until_a_tick() -> None:
    made = LogRun(PAIR)
    made.send("s/0", event("a", 100))
    heard = made.partition.clock.all_idle
    made.idle("s/0")
    assert (heard, made.partition.clock.all_idle) == (False, True)
    assert (made.watermark, made.partition.clock.newest) == (100, 100)
    assert [row.kind for row in made.chunk().rows] == ["enter"]
    made.partition.tick(made.next_offset(), 200)
    assert made.chunk().rows == []  # a deadline at the horizon has not passed
    made.partition.tick(made.next_offset(), 201)
    (end,) = made.chunk().rows
    assert (end.kind, end.outcome, end.event_time, end.revision) == ("end", "window_timeout", 200, 3)
    assert made.counts() == {"read": 1, "matched": 1}  # ticks are no records of anybody


def test_a_tick_never_turns_time_back() -> None:
    made = LogRun(PAIR)
    made.idle_after("s/0", event("z", 10))
    made.partition.tick(made.next_offset(), 500)
    made.partition.tick(made.next_offset(), 400)
    made.send("s/0", event("a", 450))
    assert made.watermark == 500
    assert made.counts() == {"read": 2, "ignored": 1, "late": 1}


def test_a_tick_that_comes_after_a_source_woke_is_passed_over() -> None:
    made = LogRun(PAIR)
    made.idle_after("s/0", event("z", 10))
    made.send("s/0", event("a", 20))  # while the tick was on its way
    made.partition.tick(made.next_offset(), 500)
    made.send("s/0", event("b", 30))
    assert made.watermark == 30
    assert "late" not in made.counts()


def test_a_clock_ahead_of_kafka_s_makes_nobody_late() -> None:
    made = LogRun(funnel(stage("A"), stage("B"), window=100, lateness=10))
    hour = 3_600_000
    made.partition.event(made.next_offset(), event("a", hour, visitor="ahead"), 50)
    for time in range(50, 90):
        made.partition.event(made.next_offset(), event("a", time, visitor=f"v{time}"), time)
    assert made.watermark == 89
    assert made.counts() == {"read": 41, "matched": 41}
    made.partition.event(made.next_offset(), event("$heartbeat", hour), 95)
    assert made.watermark == 95


def test_a_floor_is_the_minimum_of_the_sources_too() -> None:
    made = LogRun(PAIR)
    made.send("s/0", event("a", 0))
    made.told("s/0", 50, 200)
    assert made.partition.clock.horizon(10) == 200
    made.told("s/1", 60)
    made.told("s/0", 300, 300)
    assert made.partition.clock.horizon(10) == 200
    made.told("s/1", 290, 280)
    assert made.partition.clock.horizon(10) == 280  # watermark 290 less 10, and the floor, are equal here
    made.told("s/1", 310, 299)
    assert (made.watermark, made.partition.clock.floor) == (300, 299)


def test_a_declared_floor_ends_attempts_within_the_lateness() -> None:
    made = LogRun(PAIR)
    made.send("s/0", event("a", 0))
    made.told("s/0", 101, NEVER)
    assert [row.kind for row in made.chunk().rows] == ["enter"]
    made.told("s/0", 101, 100)
    assert made.chunk().rows == []
    made.told("s/0", 101, 101)
    assert [(row.kind, row.revision) for row in made.chunk().rows] == [("end", 3)]


def test_a_clock_record_moves_time_without_events() -> None:
    made = LogRun(PAIR)
    made.send("s/0", event("a", 0))
    made.told("s/0", 110)
    assert [row.kind for row in made.chunk().rows] == ["enter"]
    made.told("s/0", 111)
    assert [(row.kind, row.revision) for row in made.chunk().rows] == [("end", 2)]
    assert made.counts() == {"read": 1, "matched": 1}


def test_records_that_a_source_sent_again_are_passed_over() -> None:
    made = LogRun(PAIR)
    made.send("s/0", event("z", 1))
    made.send("s/0", event("z", 1), again=True)
    made.send("s/1", event("z", 2))  # the same offset of another source is another record
    made.partition.invalid_from(made.next_offset(), "s/0", 1)
    made.partition.invalid_from(made.next_offset(), "s/0", 1)
    assert made.counts() == {"read": 3, "ignored": 2, "invalid": 1}
    # After a crash, too: what was taken is part of the durable state.
    made.chunk()
    again = LogRun(PAIR, store=made.store, offset=made.offset)
    again.partition.event_from(again.next_offset(), "s/0", 1, 5, event("a", 5))
    again.partition.event_from(again.next_offset(), "s/0", 2, 6, event("a", 6))
    assert again.counts() == {"read": 4, "matched": 1, "ignored": 2, "invalid": 1}


def test_records_of_the_log_itself_are_applied_once() -> None:
    made = LogRun(PAIR)
    made.send("s/0", event("a", 0))
    before = made.counts()
    made.partition.event_from(0, "s/9", 0, 99, event("b", 1))
    made.partition.invalid_from(0, "s/9", 0)
    made.partition.invalid(0)
    made.partition.clock_from(0, "s/9", 500, 500, idle=False)
    made.partition.tick(0, 500)
    made.partition.event(0, event("b", 1))
    assert made.counts() == before
    assert made.watermark == 0


def test_two_sources_read_at_four_to_one_lose_nothing_with_the_minimum() -> None:
    def fed(*, minimum: bool) -> LogRun:
        """Two source partitions of one hour each, a record a second; the first is read four times as fast."""
        made = LogRun(funnel(stage("A"), stage("B"), window=60_000, lateness=600_000))
        made.partition.clock.expect(["s/0", "s/1"] if minimum else ["s/0"])
        fast, slow = 0, 0
        while slow < 3_600:
            for _ in range(min(4, 3_600 - fast)):
                made.send("s/0", event("a", fast * 1_000, f"f{fast}", visitor="v0"))
                fast += 1
            one = event("a", slow * 1_000, f"s{slow}", visitor="v1")
            if minimum:
                made.send("s/1", one)
            else:
                made.partition.event(made.next_offset(), one)
            slow += 1
        return made

    minimum = fed(minimum=True).counts()
    assert minimum == {"read": 7_200, "matched": 7_200}
    assert fed(minimum=False).counts()["late"] > 2_000


def test_the_outcomes_of_an_internal_log_sum_up_for_each_funnel() -> None:
    other = funnel(stage("C"), version="ba9876543210", lateness=500, window=7)
    rng, made = Random(11), LogRun(PAIR, other)
    for number in range(2_000):
        source = rng.choice(("s/0", "s/1", "s/2"))
        one = event(rng.choice("abcz"), number + rng.randint(-60, 0), str(rng.randint(0, 1_500)), rng.choice("uvw"))
        one.bot = rng.random() < 0.05
        draw = rng.random()
        if draw < 0.05 and source in made.offsets:
            made.send(source, one, again=True)
        elif draw < 0.1:
            made.offsets[source] = made.offsets.get(source, -1) + 1
            made.partition.invalid_from(made.next_offset(), source, made.offsets[source])
        elif draw < 0.12:
            made.idle(source)
        else:
            made.send(source, one)
        if rng.random() < 0.1:
            made.chunk()
    for index in (0, 1):
        counts = made.counts(index)
        assert counts.pop("read") == sum(counts.values()) == sum(made.offsets.values()) + 3
        assert {"matched", "ignored", "duplicate", "invalid", "bot"} <= set(counts)
    assert made.counts(0)["late"] > 50
    assert "late" not in made.counts(1)


def test_a_log_fed_by_several_sources_gives_the_batch_rows() -> None:
    for number, case in enumerate(scenarios("sources", 400)):
        rng, made = Random(number), LogRun(case.funnel)
        made.partition.clock.expect(["s/0", "s/1"])
        for one in case.events:
            if one.bot:
                continue
            made.send(rng.choice(("s/0", "s/1")), one)
            if rng.random() < 0.3:
                made.chunk()
        for source in ("s/0", "s/1"):
            made.idle(source)
        made.partition.tick(made.next_offset(), case.horizon)
        assert "late" not in made.counts(), case
        assert made.final() == batch_rows(case.funnel, case.events, case.horizon), case


def test_the_clock_is_part_of_the_durable_state() -> None:
    made = LogRun(PAIR)
    made.send("s/0", event("a", 70))
    made.send("s/1", event("a", 90))
    made.idle("s/0")
    made.chunk()
    clock = unpack_meta(made.store[META]).clock
    assert isinstance(clock, Clock)
    assert (clock.watermark, clock.sources["s/0"].idle, clock.sources["s/1"].offset) == (90, True, 0)


def test_a_bot_moves_no_time_and_no_unit() -> None:
    made = Run(PAIR).feed(events("a@0"))
    made.feed([event("b", 5_000, bot=True), event("b", 5_000, bot=True), event("b", 50)])
    assert made.partition.clock.watermark == 50
    assert made.counts() == {"read": 4, "matched": 2, "duplicate": 1, "bot": 1}


def test_a_heartbeat_is_no_record_of_anybody_and_time_never_falls() -> None:
    made = Run(PAIR).feed(events("a@0 b@50 $heartbeat@40 z@30 $heartbeat@45 z@39"))
    assert made.counts() == {"read": 4, "matched": 2, "ignored": 2}
    assert (made.partition.clock.watermark, made.partition.clock.horizon(10)) == (50, 45)
    made.feed(events("a@44 a@45"))
    assert made.counts() == {"read": 6, "matched": 3, "ignored": 2, "late": 1}


def test_a_source_that_returns_with_an_older_time_keeps_its_own() -> None:
    clock = Clock()
    clock.expect(["s/0"])
    clock.observe("s/0", 100)
    clock.silence("s/0")
    clock.observe("s/0", 50)
    assert (clock.sources["s/0"].watermark, clock.newest, clock.watermark) == (100, 100, 100)
    assert not clock.sources["s/0"].idle
