"""What a worker tells: everything once, whatever becomes of the writing, and whenever the minute turns."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import metrics as m
from schemas.errors import SinkError
from schemas.funnel import Funnel
from schemas.live import MINUTE, Published, decode
from schemas.reasons import Outcome
from schemas.rows import Row
from schemas.settings import Kafka
from sinks.kafka import BatchWriter, Keyed
from sinks.prometheus.counters import FunnelCounters, Tally
from sinks.prometheus.health import WorkerHealth
from sinks.prometheus.labels import LabelPolicy
from streams.live.history import History, Place, Series, Span
from streams.live.publish import Publisher
from tests.unit.live.conftest import NOON

ENTERED = m.STAGE_ENTERED.name


class Topic(BatchWriter):
    """Keeps the records; refuses them while it is `broken`, or takes them and says that it did not (`deaf`)."""

    def __init__(self) -> None:
        super().__init__(Kafka())
        self.records: list[Published] = []
        self.broken = self.deaf = False

    async def write(
        self, topic: str, partition: int, records: Iterable[Keyed], timestamp: int | None = None
    ) -> int | None:
        assert (topic, partition) == ("p.live", 0)
        ((key, value),) = records
        if not self.broken:
            record = decode(value or b"")
            assert key == record.key()
            self.records.append(record)
        if self.broken or self.deaf:
            raise SinkError("Kafka: no answer")
        return len(self.records)


class Worker:
    """Counters, and what publishes them."""

    def __init__(self, funnel: Funnel, born: int = NOON, name: str = "a") -> None:
        self.counters = FunnelCounters([funnel], LabelPolicy({"channel": ("paid",)}), "site")
        self.health = WorkerHealth("site", [funnel.name], [], (), "1")
        self.topic = Topic()
        self.publisher = Publisher(name, born, [funnel], self.counters, self.health, self.topic, "p.")

    def count(self, *rows: Row) -> None:
        self.counters.count(Tally(rows))


@pytest.fixture
def worker(shop: Funnel) -> Worker:
    return Worker(shop)


@pytest.fixture(scope="session")
def entry(row: Callable[..., Row]) -> Row:
    return row(to_stage="view", entry_dims=("paid", "mobile"))


def amounts(record: Published) -> dict[tuple[str, tuple[str, ...]], dict[str, dict[str, int]]]:
    return {(account.metric, account.labels): account.amounts for of in record.counts for account in of.accounts}


async def test_a_record_holds_the_minute_by_segment(worker: Worker, entry: Row) -> None:
    worker.count(entry, entry)
    worker.health.count_events("shop", {Outcome.MATCHED: 3})
    worker.health.set_consumer_lag("clicks", 0, 4)
    worker.health.set_consumer_lag("clicks", 1, 5)
    worker.health.set_watermark("clicks", 0, NOON - 1000)
    worker.health.set_watermark("clicks", 1, NOON - 2000)
    worker.health.attempts_open = lambda: {"shop": 2}
    assert await worker.publisher.publish(NOON + 2000)
    (record,) = worker.topic.records
    assert (record.worker, record.minute, record.at, record.ended) == ("a", NOON, NOON + 2000, False)
    assert (record.lag, record.watermark, record.open) == (9, NOON - 2000, {"shop": 2})
    assert amounts(record)[ENTERED, ("view",)] == {
        "all": {"all": 2}, "channel": {"paid": 2}, "device": {"mobile": 2},
    }  # fmt: skip
    assert amounts(record)[m.EVENTS.name, ("matched",)] == {"all": {"all": 3}}
    assert record.counts[0].ready == {"view": None, "cart": None, "coupon": None}


async def test_the_next_minute_begins_at_nothing(worker: Worker, entry: Row) -> None:
    worker.count(entry)
    await worker.publisher.publish(NOON + 58_000)
    worker.count(entry, entry)
    await worker.publisher.publish(NOON + 59_999)
    worker.count(entry)
    await worker.publisher.publish(NOON + 61_000)
    found = [
        (record.minute - NOON, amounts(record)[ENTERED, ("view",)]["all"]["all"]) for record in worker.topic.records
    ]
    assert found == [(0, 1), (0, 3), (MINUTE, 1)]


async def test_a_row_taken_back_is_told_as_less(worker: Worker, entry: Row, row: Callable[..., Row]) -> None:
    worker.count(entry, entry)
    await worker.publisher.publish(NOON)
    worker.count(row(to_stage="view", is_deleted=1))
    await worker.publisher.publish(NOON + MINUTE)
    assert amounts(worker.topic.records[-1])[ENTERED, ("view",)]["all"]["all"] == -1


async def test_while_nothing_is_taken_the_minute_stands_still(worker: Worker, entry: Row) -> None:
    worker.count(entry)
    worker.topic.broken = True
    assert not await worker.publisher.publish(NOON + 59_000)
    worker.count(entry)
    assert not await worker.publisher.publish(NOON + 5 * MINUTE)
    worker.topic.broken = False
    assert await worker.publisher.publish(NOON + 6 * MINUTE)
    assert [(record.minute, amounts(record)[ENTERED, ("view",)]["all"]["all"]) for record in worker.topic.records] == [
        (NOON, 2)
    ]


async def test_quiet_workers_are_heard_as_well_and_the_last_word_is_marked(worker: Worker) -> None:
    await worker.publisher.publish(NOON + 1)
    await worker.publisher.publish(NOON + MINUTE, ended=True)
    assert [(record.ended, amounts(record)) for record in worker.topic.records] == [(False, {}), (True, {})]


Step = tuple[
    int, int, int, int
]  # rows counted, seconds that pass, how the writing goes, whether the worker restarts after it


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 130), st.integers(0, 5), st.integers(0, 9)), max_size=40))
async def test_what_arrives_is_what_was_counted(shop: Funnel, entry: Row, steps: list[Step]) -> None:
    """Writing fails, or is taken unheard; the worker restarts in order (its last word arrives): never lost, never twice."""
    worker, history, now, counted = Worker(shop), History(), NOON, 0
    told: list[Published] = []
    for rows, seconds, writing, restarts in [*steps, (0, 1, 5, 9)]:
        now += seconds * 1000
        worker.count(*[entry] * rows)
        counted += rows
        worker.topic.broken, worker.topic.deaf = writing == 0, writing == 1
        taken = await worker.publisher.publish(now)
        if restarts == 0 and taken:
            told += worker.topic.records
            worker = Worker(shop, born=now + len(told))
    for record in told + worker.topic.records:
        history.take(record)
    found = history.sums(Place("shop", "v1", "channel"), Span(0, 2 * NOON))
    assert found.get(Series(ENTERED, ("view",), "paid"), 0) == counted
