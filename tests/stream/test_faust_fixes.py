"""Each correction of Faust, and beside it the same check on the stock class, which fails it: should an upgrade of Faust mend
one, its second half here says so."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import faust
import mode
import pytest
from aiokafka.consumer import fetcher
from aiokafka.structs import ConsumerRecord
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import ConsumerMessage
from mode.threads import MethodQueue, ServiceThread

from schemas.settings import Kafka
from streams.engine.state import FORMAT, UnitState, pack
from streams.stream.app import StreamApp, create_app
from streams.stream.chunks import Chunk, ChunkScheduler, ChunkSchema
from streams.stream.faust_fixes import (
    STANDSTILL,
    THREAD_CALLS,
    BoundedWorker,
    OffsetGap,
    PatientThread,
    SafeConsumer,
    SafeRecovery,
    SafeTableManager,
    SafeTransport,
    StandsStill,
    let_go,
    sure_of_its_place,
    wake,
)
from streams.stream.table import StateTable

CLICKS = TP("clicks", 0)
STATE = TP("state", 0)


@pytest.fixture
async def app() -> AsyncIterator[StreamApp]:
    """An app that is never started; no broker is needed."""
    made = create_app("fixes", Kafka(servers=("127.0.0.1:1",)), "one")
    made.producer = Mock()
    yield made
    thread = getattr(made.consumer, "_thread", None)
    if isinstance(thread, ServiceThread):
        thread.thread_loop.close()  # its thread was never started


def consumer_of(app: StreamApp, kind: type[driver.Consumer]) -> Any:
    """A consumer of that class, which has read nothing."""
    app.finalize()
    app.topics.acking_topics.add(CLICKS.topic)
    made = kind(
        app.transport, callback=AsyncMock(), on_partitions_revoked=AsyncMock(), on_partitions_assigned=AsyncMock()
    )
    app.consumer = made
    return made


def manager_of(app: StreamApp) -> SafeTableManager:
    """The app's tables."""
    assert isinstance(app.tables, SafeTableManager)
    return app.tables


def message(offset: int, tp: TP = CLICKS) -> Any:
    """What stands for a chunk that ends at this offset."""
    return ConsumerMessage(tp.topic, tp.partition, offset, 0.0, 0, None, None, b"", None, 0, 0, tp, generation_id=1)


def acknowledge(consumer: Any, offset: int) -> None:
    """The agent has done with the chunk that ends at this offset."""
    done = message(offset)
    done.incref()
    consumer.track_message(done)
    done.ack(consumer)


# -- PatientThread.method_queue: calls that wait for a rebalance's end, and the one that it waits for


async def ends_once_committed(queue: MethodQueue) -> bool:
    """Whether a rebalance ends that waits for a commit, while a fetch and a seek wait for the rebalance."""
    ended = asyncio.Event()

    async def commit() -> None:
        ended.set()

    async with queue:
        loop = asyncio.get_running_loop()
        calls = [await queue.call(loop.create_future(), call) for call in (ended.wait, ended.wait, commit)]
        done, waiting = await asyncio.wait(calls, timeout=2)
        ended.set()
        await asyncio.gather(*calls)
    assert len(done) in {0, 3}
    return not waiting


async def test_a_commit_has_its_turn_beside_calls_that_wait_for_it(app: StreamApp) -> None:
    thread = consumer_of(app, SafeConsumer)._thread
    assert isinstance(thread, PatientThread)
    assert thread.method_queue.num_workers == THREAD_CALLS
    assert await ends_once_committed(MethodQueue(num_workers=THREAD_CALLS))


async def test_stock_threads_have_no_turn_for_it() -> None:
    assert not await ends_once_committed(MethodQueue())


# -- PatientThread._fetch_records: a fetch that still waits when a rebalance pauses all partitions


class WaitingFetch:
    """A fetch whose partitions are paused while it waits, whereupon the changelog's records come. `fetching`: what it takes."""

    def __init__(self, app: StreamApp, kind: type[driver.AIOKafkaConsumerThread], seconds: float) -> None:
        self.consumer = consumer_of(app, SafeConsumer)
        self.inner: Any = SimpleNamespace(
            _subscriptions=SimpleNamespace(
                reassignment_in_progress=False, is_assigned=lambda _tp: True, fetch_context=nullcontext
            ),
            _records={}, _closed=False, _notify=Mock(), _wait_consume_future=None, _fetch_waiters=set(),
            _loop=asyncio.get_running_loop(),
        )  # fmt: skip
        self.inner._create_fetch_waiter = partial(fetcher.Fetcher._create_fetch_waiter, self.inner)
        self.inner.fetched_records = partial(fetcher.Fetcher.fetched_records, self.inner)
        self.consumer.resume_partitions({CLICKS})
        reader = SimpleNamespace(_fetcher=self.inner, _closed=False)
        active = self.consumer._get_active_partitions()
        self.consumer._thread._consumer = reader
        self.fetching: asyncio.Task[Any] = asyncio.create_task(
            kind._fetch_records(self.consumer._thread, cast("Any", reader), active, seconds, 300)
        )

    async def pause(self) -> None:
        await asyncio.sleep(0.05)
        self.consumer.pause_partitions({CLICKS})
        result = object.__new__(fetcher.FetchResult)
        result.getall, result.has_more = (lambda _most: ["state"]), (lambda: False)
        self.inner._records[STATE] = result
        wake(self.inner._fetch_waiters)
        await asyncio.sleep(0.05)


async def taken_after_a_pause(app: StreamApp, kind: type[driver.AIOKafkaConsumerThread]) -> Any:
    """What it takes."""
    fetch = WaitingFetch(app, kind, 0.2)
    await fetch.pause()
    return await fetch.fetching


async def test_a_fetch_takes_nothing_of_partitions_that_are_paused_while_it_waits(app: StreamApp) -> None:
    assert await taken_after_a_pause(app, PatientThread) == {}


async def test_it_takes_what_lies_ready_as_soon_as_it_may(app: StreamApp, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a recovery would wait for the fetch's end, a second at most."""
    fetch = WaitingFetch(app, PatientThread, 60.0)
    await fetch.pause()
    monkeypatch.setattr(fetch.consumer._thread, "thread_loop", asyncio.get_running_loop())
    fetch.consumer.resume_partitions({STATE})
    fetch.consumer.resume_flow()
    assert await asyncio.wait_for(fetch.fetching, 10) == {STATE: ["state"]}


async def test_a_stock_one_takes_whatever_comes(app: StreamApp) -> None:
    assert await taken_after_a_pause(app, driver.AIOKafkaConsumerThread) == {STATE: ["state"]}


# -- SafeConsumer.stands_still: what waits for ever is told from what is at work


async def test_a_consumer_that_gets_no_answer_stands_still(app: StreamApp) -> None:
    consumer = consumer_of(app, SafeConsumer)
    assert not consumer.stands_still(time.monotonic())  # nothing was asked yet
    consumer.stop_flow()
    asked = asyncio.create_task(consumer._wait_next_records(1.0))
    await asyncio.sleep(0.05)
    assert not consumer.stands_still(time.monotonic() - 60)
    assert consumer.stands_still(time.monotonic())
    held = message(7)
    held.incref()
    consumer.track_message(held)
    assert not consumer.stands_still(time.monotonic())  # an agent is at work: ClickHouse may be down for hours
    held.ack(consumer)
    assert consumer.stands_still(time.monotonic())
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    assert not consumer.stands_still(time.monotonic())


async def test_a_standstill_ends_the_process(app: StreamApp, monkeypatch: pytest.MonkeyPatch) -> None:
    consumer = consumer_of(app, SafeConsumer)
    crashed: list[BaseException] = []
    monkeypatch.setattr(consumer, "crash", AsyncMock(side_effect=crashed.append))
    monkeypatch.setattr(consumer, "sleep", AsyncMock(side_effect=lambda _seconds: consumer._stopped.set()))
    consumer.asking = time.monotonic() - app.conf.broker_session_timeout * STANDSTILL + 30
    await consumer._watch_for_standstill(consumer)
    assert not crashed
    consumer._stopped.clear()
    consumer.asking -= 31
    await consumer._watch_for_standstill(consumer)
    assert [type(error) for error in crashed] == [StandsStill]


# -- SafeConsumer._add_gap: chunks are far from each other, and so are records beside a transaction's markers


async def commits_of_chunks(consumer: Any, ends: list[int]) -> list[int | None]:
    """What is committed after each chunk, as `Consumer._drain_messages` and the commit task would go about it."""
    consumer._committed_offset[CLICKS] = 0
    commits, read = [], 0
    for end in ends:
        if read and end - read > 1:
            await consumer._add_gap(CLICKS, read + 1, end)
        read = end
        acknowledge(consumer, end)
        commit = consumer._new_offset(CLICKS)
        commits.append(commit)
        if commit is not None:
            consumer._committed_offset[CLICKS] = commit
    return commits


async def test_each_acknowledged_chunk_is_committed_to_its_end(app: StreamApp) -> None:
    assert await commits_of_chunks(consumer_of(app, SafeConsumer), [499, 999, 1_499]) == [500, 1_000, 1_500]


async def test_stock_commits_stall_behind_chunks(app: StreamApp) -> None:
    assert await commits_of_chunks(consumer_of(app, driver.Consumer), [499, 999, 1_499]) != [500, 1_000, 1_500]


# -- SafeConsumer._new_offset (#606): the head was never acknowledged


def commits_after_an_unacknowledged_head(consumer: Any) -> int | None:
    """Records before 3 are committed, 4 to 7 acknowledged; 3 is not: its chunk failed."""
    consumer._committed_offset[CLICKS] = 3
    for offset in range(4, 8):
        acknowledge(consumer, offset)
    found: int | None = consumer._new_offset(CLICKS)
    return found


async def test_stock_commits_pass_an_unacknowledged_head(app: StreamApp) -> None:
    assert commits_after_an_unacknowledged_head(consumer_of(app, driver.Consumer)) == 8


async def test_no_chunk_is_acknowledged_after_one_that_failed(app: StreamApp) -> None:
    """Ours has no hole to look for: one sequential agent stops at the first chunk that fails, so nothing after it is acknowledged."""
    consumer = consumer_of(app, SafeConsumer)
    consumer._committed_offset[CLICKS] = 3
    assert consumer._new_offset(CLICKS) is None
    acknowledge(consumer, 7)
    assert consumer._new_offset(CLICKS) == 8
    assert consumer._new_offset(CLICKS) is None  # once


# -- SafeConsumer.seek_to_committed: a rebalance before the first commit


async def sought_without_a_commit(app: StreamApp, kind: type[driver.Consumer]) -> dict[TP, int]:
    """Where the consumer seeks to of two partitions, one of which has no committed offset; the topic's oldest record is 3."""
    consumer, other = consumer_of(app, kind), TP(CLICKS.topic, 1)
    sought: dict[TP, int] = {}
    consumer._thread.thread_loop.close()  # its thread was never started
    consumer._thread = Mock(
        seek_to_committed=AsyncMock(return_value={CLICKS: None, other: 50}),
        earliest_offsets=AsyncMock(return_value={CLICKS: 3}),
        seek_wait=AsyncMock(side_effect=sought.update),
    )
    assert await consumer.seek_to_committed() == {CLICKS: None, other: 50}
    if isinstance(consumer, SafeConsumer):
        assert (consumer.committed(CLICKS), consumer.chunk_scheduler._positions) == (3, {CLICKS: 3, other: 50})
    return sought


async def test_a_partition_without_a_commit_begins_anew_after_a_rebalance(app: StreamApp) -> None:
    assert await sought_without_a_commit(app, SafeConsumer) == {CLICKS: 3}


async def test_the_stock_one_goes_on_behind_what_was_cleared_from_the_queues(app: StreamApp) -> None:
    assert await sought_without_a_commit(app, driver.Consumer) == {}


# -- SafeRecovery (#596): what is fetched between resuming and seeking


class Fetching:
    """A consumer whose fetcher runs while the coordinator is slow to tell the committed offsets."""

    def __init__(self, app: StreamApp) -> None:
        self.app, self.flow_active, self.fetching, self.position = app, True, False, 0
        self.queue = app.FlowControlQueue(maxsize=100, clear_on_resume=True)

    def assignment(self) -> set[TP]:
        return {CLICKS}

    def stop_flow(self) -> None:
        self.flow_active = False

    def resume_flow(self) -> None:
        self.flow_active = True

    def resume_partitions(self, _tps: Any) -> None:
        self.fetching = True

    async def fetch(self, count: int) -> None:
        """The fetcher's loop: it hands over records while the flow is on."""
        for _ in range(count):
            if self.fetching and self.flow_active and self.app.flow_control.is_active():
                await self.queue.put(self.position)
                self.position += 1

    async def perform_seek(self) -> None:
        await self.fetch(3)


async def offsets_after_recovery(app: StreamApp, kind: type[Recovery], method: str) -> list[int]:
    """The offsets that reach the agent once the recovery is over."""
    app.flow_control.resume()
    consumer = Fetching(app)
    app.consumer = consumer  # type: ignore[assignment]
    app.consumer_generation_id = 1
    app._fetcher = SimpleNamespace(maybe_start=AsyncMock())  # type: ignore[assignment]
    app.assignor = Mock(assigned_standbys=set)
    recovery = kind(app, app.tables)
    await getattr(recovery, method)(1)
    await consumer.fetch(3)
    return [consumer.queue.get_nowait() for _ in range(consumer.queue.qsize())]


WAYS = pytest.mark.parametrize("method", ["on_recovery_completed", "_resume_streams"])


@WAYS
async def test_nothing_is_skipped_when_recovery_ends(app: StreamApp, method: str) -> None:
    assert await offsets_after_recovery(app, SafeRecovery, method) == [0, 1, 2]


@WAYS
async def test_stock_recovery_skips_what_it_fetched_before_the_seek(app: StreamApp, method: str) -> None:
    assert await offsets_after_recovery(app, Recovery, method) == [3, 4, 5]


async def test_the_app_uses_the_corrected_classes(app: StreamApp) -> None:
    assert isinstance(app.transport, SafeTransport)
    assert app.transport.Consumer is SafeConsumer
    assert isinstance(manager_of(app).recovery, SafeRecovery)


# -- StateTable: errors in recovery, and what comes of a partition that is gone


def changelog(offset: int, key: bytes | None, value: bytes, tp: TP = STATE) -> Any:
    """An event of the changelog: a chunk of one record."""
    record = ConsumerRecord(tp.topic, tp.partition, offset, 0, 0, key, value, None, 0, 0, ())
    chunk = Chunk(tp, [record], None)
    return SimpleNamespace(message=message(offset, tp), value=chunk, key=key, tp=tp)


def add_table(app: StreamApp, kind: type[faust.Table[Any, Any]]) -> Any:
    """A table of that class, with partition 0 of its changelog assigned."""
    topic = app.topic(STATE.topic, partitions=2, schema=ChunkSchema(), internal=True)
    table = kind(app, name="units", partitions=2, changelog_topic=topic)
    app.tables.add(table)
    manager_of(app).recovery.add_active(table, STATE)
    return table


async def crashes_in_recovery(app: StreamApp, kind: type[faust.Table[Any, Any]]) -> int:
    """How often the app is told to crash when a record of the changelog can't be applied."""
    table = add_table(app, kind)
    table.recovery_buffer_size = 1
    app.crash = AsyncMock()  # type: ignore[method-assign]
    app.consumer = Mock(position=AsyncMock(return_value=0))
    manager = manager_of(app)
    recovery = manager.recovery
    app.flow_control.resume()
    await manager.changelog_queue.put(changelog(0, None, b"state"))  # no key: nothing to apply it to
    slurping: asyncio.Future[Any] = asyncio.ensure_future(recovery._slurp_changelogs.fun(recovery))
    await asyncio.sleep(0.1)
    slurping.cancel()
    await asyncio.gather(slurping, return_exceptions=True)
    return int(app.crash.await_count)


async def test_a_changelog_record_that_cannot_be_applied_crashes_the_worker(app: StreamApp) -> None:
    assert await crashes_in_recovery(app, StateTable) == 1


async def test_stock_recovery_goes_on_with_a_hole(app: StreamApp, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert await crashes_in_recovery(app, faust.Table) == 0
    assert "Error in recovery" in caplog.text


async def test_what_was_queued_of_a_partition_that_is_gone_leaves_nothing(app: StreamApp) -> None:
    """recovery.py `_slurp_changelogs` falls through after its warning and hands the event to the last table."""
    table = add_table(app, StateTable)
    table.apply_changelog_batch([
        changelog(4, b"=a", b"1"),
        changelog(7, b"=b", b"2", TP(STATE.topic, 1)),
        changelog(9, b"=c", b"3", TP("state of another table", 0)),
    ])  # fmt: skip
    assert table.parts == {0: {"=a": b"1"}}
    assert table.written == {0: 4}
    assert table.persisted_offset(TP(STATE.topic, 1)) is None


async def test_a_revoked_partition_leaves_nothing(app: StreamApp) -> None:
    """The memory store keeps revoked keys, and would serve them stale when the partition returns."""
    table = add_table(app, StateTable)
    changed: list[int] = []
    table.on_change = changed.append
    table.apply_changelog_batch([changelog(4, b"=a", b"1"), changelog(5, b"=b", b"2"), changelog(6, b"=a", b"")])
    assert table.parts == {0: {"=b": b"2"}}
    await table.on_rebalance(set(), {STATE, CLICKS}, set(), 1)
    assert table.parts == {}
    assert table.persisted_offset(STATE) is None
    assert changed == [0, 0, 0, 0]


# -- SafeRecovery, StateTable: state that was fetched and never came


def chunk_of(first: int, last: int, follows: int | None) -> Any:
    """An event of the changelog: a chunk of so many records."""
    records = [
        ConsumerRecord(STATE.topic, STATE.partition, at, 0, 0, b"=a", state_of(at), None, 0, 0, ())
        for at in (first, last)
    ]
    return SimpleNamespace(message=message(last, STATE), value=Chunk(STATE, records, follows), key=b"=a", tp=STATE)


async def table_read_from(app: StreamApp, begins: int) -> tuple[Any, ChunkScheduler]:
    """A table whose changelog is read from there on, and the scheduler that was told."""
    table = add_table(app, StateTable)
    app.crash = AsyncMock()  # type: ignore[method-assign]
    scheduler = ChunkScheduler()
    consumer: Any = SimpleNamespace(seek_wait=AsyncMock(), chunk_scheduler=scheduler)
    await manager_of(app).recovery._seek_offsets(consumer, {STATE}, Counter({STATE: begins}), "active")
    return table, scheduler


@pytest.mark.parametrize("begins", [-1, 0, 40])  # -1: Faust's word for an empty changelog
async def test_state_that_never_came_crashes_the_worker(app: StreamApp, begins: int) -> None:
    table, _ = await table_read_from(app, begins)
    with pytest.raises(OffsetGap, match=f"state from {max(0, begins)} to 299 was fetched, and never came"):
        table.apply_changelog_batch([chunk_of(300, 340, follows=300)])
    assert table.parts.get(0, {}) == {}


async def test_a_changelog_that_comes_whole_is_applied(app: StreamApp) -> None:
    table, scheduler = await table_read_from(app, 40)
    ((_, chunk),) = scheduler.iterate({STATE: chunk_of(45, 49, None).value.records})  # the first were compacted away
    assert chunk.follows == 40
    table.apply_changelog_batch([SimpleNamespace(value=chunk), chunk_of(60, 70, follows=50)])
    table.wrote(0, 99)
    table.apply_changelog_batch([chunk_of(99, 110, follows=99), chunk_of(120, 130, follows=111)])
    assert table.written == {0: 130}
    with pytest.raises(OffsetGap, match="from 131 to 131 "):
        table.apply_changelog_batch([chunk_of(132, 140, follows=132)])


async def test_a_partition_that_returns_is_read_from_its_beginning(app: StreamApp) -> None:
    table, _ = await table_read_from(app, 0)
    table.apply_changelog_batch([chunk_of(0, 70, follows=0)])
    await table.on_rebalance(set(), {STATE}, set(), 1)
    await manager_of(app).recovery._seek_offsets(
        Mock(seek_wait=AsyncMock(), chunk_scheduler=ChunkScheduler()), {STATE}, Counter({STATE: 0}), "active"
    )
    with pytest.raises(OffsetGap, match="from 0 to 70 "):
        table.apply_changelog_batch([chunk_of(71, 80, follows=71)])


# -- StateTable: what a former owner wrote late


def state_of(offset: int) -> bytes:
    """A unit whose last record was this one."""
    return pack(UnitState(FORMAT, offset, 0, quiet=False, funnels={}))


async def test_state_that_a_former_owner_wrote_late_does_not_come_back(app: StreamApp) -> None:
    """Nothing fences a worker that was cut off: its state can arrive after what the next owner has made of the same unit."""
    table = add_table(app, StateTable)
    ours, late = state_of(20), state_of(10)
    table.apply_changelog_batch([changelog(4, b"=a", ours), changelog(5, b"=a", late), changelog(6, b"=b", late)])
    assert table.parts == {0: {"=a": ours, "=b": late}}
    assert table.written == {0: 6}
    table.apply_changelog_batch([changelog(7, b"=a", b""), changelog(8, b"=a", late)])  # it ended, and began anew
    assert table.parts == {0: {"=a": late, "=b": late}}


async def test_the_stock_table_takes_it_back(app: StreamApp) -> None:
    table = add_table(app, faust.Table)
    table.apply_changelog_batch([changelog(4, b"=a", state_of(20)), changelog(5, b"=a", state_of(10))])
    applied = list(table.data.data.values()) if hasattr(table.data, "data") else list(table.data.values())
    assert [chunk.records[0].value for chunk in applied][-1] == state_of(10)


# -- sure_of_its_place: a generation says only what was last heard


@pytest.mark.parametrize(("silence", "sure"), [(0.0, True), (26.0, True), (28.0, False), (3_600.0, False)])
async def test_a_worker_is_sure_of_its_place_for_a_part_of_its_session(
    app: StreamApp, silence: float, sure: bool
) -> None:
    consumer_of(app, SafeConsumer).heard = time.monotonic() - silence  # of 45 s
    assert sure_of_its_place(app) is sure


async def test_each_answered_heartbeat_counts_from_its_sending(app: StreamApp) -> None:
    consumer = consumer_of(app, SafeConsumer)
    thread = consumer._thread

    async def answer(known: bool) -> bool:
        await asyncio.sleep(0.05)
        return known

    before = time.monotonic()
    await thread.noted(answer)(True)
    assert before <= consumer.heard < before + 0.05
    heard = consumer.heard
    await thread.noted(answer)(False)
    assert consumer.heard == heard


# -- SafeConsumer.let_go: a chunk that is left to the next owner


async def waits_for_a_message_that_is_left(app: StreamApp, *, told: bool) -> bool:
    """Whether a rebalance still waits after a while, though the agent is done with its chunk (and still holds it)."""
    consumer = consumer_of(app, SafeConsumer)
    consumer.commit = consumer.commit_and_end_transactions = AsyncMock()
    consumer._wait_for_ack = lambda **_: asyncio.sleep(0.01)
    held = message(7)
    consumer.track_message(held)
    if told:
        let_go(app, held)
    waiting = asyncio.ensure_future(consumer.wait_empty())
    await asyncio.wait([waiting], timeout=0.3)
    still = not waiting.done()
    waiting.cancel()
    return still


async def test_a_rebalance_does_not_wait_for_a_chunk_that_is_left(app: StreamApp) -> None:
    assert not await waits_for_a_message_that_is_left(app, told=True)


async def test_stock_rebalances_wait_for_it_for_ever(app: StreamApp) -> None:
    assert await waits_for_a_message_that_is_left(app, told=False)


# -- BoundedWorker: nothing may keep a process that is to stop


def told_twice(kind: type[faust.Worker]) -> Any:
    """A worker's process that was told to stop, and is told again."""
    worker: Any = kind.__new__(kind)
    worker._signal_stop_time, worker.give_up = 5.0, Mock()
    worker._schedule_shutdown(signal.SIGTERM)
    return worker


def test_a_second_signal_ends_the_process() -> None:
    told_twice(BoundedWorker).give_up.assert_called_once_with("a second signal came", 143)


def test_stock_workers_pass_over_a_second_signal() -> None:
    told_twice(faust.Worker).give_up.assert_not_called()


async def stopping_for_ever(kind: type[faust.Worker], monkeypatch: pytest.MonkeyPatch) -> Any:
    """A worker's process that waits for a broker that does not answer."""
    worker: Any = kind.__new__(kind)
    worker.give_up, worker.stop_seconds = Mock(), 0.1
    monkeypatch.setattr(mode.Service, "stop", lambda _: asyncio.sleep(3_600))
    stopping = asyncio.ensure_future(worker.stop())
    await asyncio.sleep(0.5)
    stopping.cancel()
    await asyncio.gather(stopping, return_exceptions=True)
    return worker


async def test_stopping_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await stopping_for_ever(BoundedWorker, monkeypatch)
    worker.give_up.assert_called_once_with("what was under way was not done in time", 1)


async def test_stock_workers_stop_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = await stopping_for_ever(faust.Worker, monkeypatch)
    worker.give_up.assert_not_called()


# -- make_safe, and the settings that keep other traps shut


def test_a_faust_without_its_c_extension_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its Python streams acknowledge messages of an earlier generation."""
    monkeypatch.setattr(faust.streams, "_CStreamIterator", None)
    with pytest.raises(RuntimeError, match="without its C extensions"):
        create_app("fixes", Kafka(servers=("127.0.0.1:1",)), "one")


def test_the_environment_does_not_beat_the_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes sets WEB_PORT=tcp://… for a service of the name `web`."""
    monkeypatch.setenv("WEB_PORT", "tcp://10.0.0.1:80")
    create_app("fixes", Kafka(servers=("127.0.0.1:1",)), "one")
    with pytest.raises(ValueError, match="tcp://"):
        faust.App("stock").conf.web_port  # noqa: B018


async def test_a_full_buffer_leaves_no_partition_out(app: StreamApp) -> None:
    consumer = consumer_of(app, SafeConsumer)
    consumer.on_buffer_full(CLICKS)
    assert consumer._buffered_partitions == set()


async def test_stock_consumers_leave_it_out_for_a_second(app: StreamApp) -> None:
    consumer = consumer_of(app, driver.Consumer)
    consumer.assignment = lambda: {CLICKS}
    consumer._active_partitions = {CLICKS}
    consumer.on_buffer_full(CLICKS)
    assert CLICKS in consumer._buffered_partitions


# -- SafeConsumer.verify_event_path: a recovered table's changelog is no stream that stands still


def watched_streams(app: StreamApp, kind: type[driver.Consumer]) -> list[TP]:
    """Of a source and a changelog: whose standing still would be an error in the log."""
    consumer = consumer_of(app, kind)
    manager_of(app)._changelogs[STATE.topic] = Mock()
    consumer._thread.thread_loop.close()  # its thread was never started
    consumer._thread = Mock()
    for tp in (CLICKS, STATE):
        consumer.verify_event_path(1_000.0, tp)
    return [call.args[1] for call in consumer._thread.verify_event_path.call_args_list]


async def test_a_changelog_that_nobody_reads_is_no_error(app: StreamApp) -> None:
    assert watched_streams(app, SafeConsumer) == [CLICKS]


async def test_stock_consumers_complain_of_it(app: StreamApp) -> None:
    assert watched_streams(app, driver.Consumer) == [CLICKS, STATE]
