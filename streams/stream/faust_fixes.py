"""What faust-streaming 0.15.3 needs to lose nothing. Every override of a private method of Faust stands here, with the thread
or the place that it mends; tests/stream/test_faust_fixes.py fails on the stock classes.

Numbers are issues of github.com/faust-streaming/faust. All of it holds only with one sequential agent a topic
(concurrency 1), chunks that are acknowledged by hand once their effects are durable, and a worker that crashes on any error.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar, cast

import faust
import faust.streams
import mode
from faust.app import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT
from mode.threads import MethodQueue

from streams.stream.chunks import ChunkScheduler
from streams.stream.fetching import fetch_in_batches

AppType = TypeVar("AppType", bound=App)

#: A fetch waits for this many bytes (no more than one partition may bring), or for the app's `fetch_wait`: each chunk costs some milliseconds.
FETCH_BYTES = 1_048_576


#: Share of the session's timeout for which a heartbeat vouches: what is written then is with the broker before the session can end.
SURE = 0.6


#: Calls that the consumer's thread has under way at once, and sessions' timeouts after which one that asks for records and gets no answer
#: is given up.
THREAD_CALLS, STANDSTILL = 16, 4


class StandsStill(Exception):
    """The consumer asks for records and gets no answer, not even that there are none."""


class OffsetGap(Exception):
    """Records between two chunks were never handed to the agent. Going on would commit past them."""


class ActiveNow:
    """Partitions as they are active from one moment to the next. Never false: aiokafka takes an empty set for all partitions."""

    def __init__(self, active: Container[TP]) -> None:
        self._active = active

    def __contains__(self, tp: object) -> bool:
        return tp in self._active


class PatientThread(driver.AIOKafkaConsumerThread):
    """drivers/aiokafka.py fixes fetches at "one byte is enough, else wait 1.5 s": beside a quiet site nearly every event then is a
    chunk of its own, with writes and acknowledgements of its own (a fifth of a core at 50 events a second)."""

    async def _fetch_records(
        self, consumer: Any, active_partitions: Any, timeout: float | None = None, max_records: int | None = None  # noqa: ASYNC109
    ) -> Any:  # fmt: skip
        """drivers/aiokafka.py gives a fetch the set of active partitions itself, which a rebalance empties while the fetch still waits. It then
        takes what comes first of whatever partition, the beginning of a changelog, and consumer.py drops it: a worker that was given
        a partition went on without a part of its units' state, and with all that was written after it."""
        if active_partitions is not None:
            active_partitions = ActiveNow(active_partitions)
        return await super()._fetch_records(consumer, active_partitions, timeout, max_records)

    @property
    def method_queue(self) -> MethodQueue:
        """mode/threads.py has two calls under way at once. In a rebalance a fetch that was left behind and a seek may both wait for its end;
        the commit that the rebalance waits for then has no turn, and the consumer stands still for ever."""
        if self._method_queue is None:
            self._method_queue = MethodQueue(num_workers=THREAD_CALLS, loop=self.thread_loop, beacon=self.beacon)
        return self._method_queue

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        app = cast("Any", self.app)
        consumer._fetch_min_bytes = min(FETCH_BYTES, app.conf.consumer_max_fetch_size)  # noqa: SLF001
        consumer._fetch_max_wait_ms = app.fetch_wait  # noqa: SLF001
        return consumer

    def look_again(self) -> None:
        """Has a fetch that still waits see what is active now: what came while nothing was lies ready, and nothing else would wake it."""
        fetcher = getattr(self._consumer, "_fetcher", None)
        if fetcher is not None and not self.thread_loop.is_closed():
            self.thread_loop.call_soon_threadsafe(wake, fetcher._fetch_waiters)  # noqa: SLF001

    async def on_start(self) -> None:
        """Notes when the group's coordinator last knew this worker: nothing else tells a worker that was frozen, or cut off, that
        others may have its partitions by now (nothing fences it; its generation is what it last heard)."""
        await super().on_start()
        coordinator = cast("Any", self._consumer)._coordinator  # noqa: SLF001
        coordinator._do_heartbeat = self.noted(coordinator._do_heartbeat)  # noqa: SLF001
        coordinator._do_rejoin_group = self.noted(coordinator._do_rejoin_group)  # noqa: SLF001

    def noted(self, ask: Callable[..., Awaitable[bool]]) -> Callable[..., Awaitable[bool]]:
        """The same request, after which the consumer knows when it was last answered as to a member."""
        consumer = cast("SafeConsumer", self.consumer)

        async def asked(*arguments: Any) -> bool:
            began = time.monotonic()
            known = await ask(*arguments)
            if known:
                consumer.heard = began
            return known

        return asked


def wake(waiters: Iterable[asyncio.Future[None]]) -> None:
    """Ends the waits of these, in their own thread."""
    for waiter in list(waiters):
        if not waiter.done():
            waiter.set_result(None)


class SafeConsumer(driver.Consumer):
    """Commits what is acknowledged, and tells the scheduler where each partition is read from. `heard`: monotonic seconds of the last
    request that the group's coordinator answered as to a member. `begins`: where partitions without a commit are read from. `asking`:
    monotonic seconds since which it has asked for records; None while it hands them on."""

    heard = 0.0
    asking: float | None = None
    begins: Mapping[TP, int] = MappingProxyType({})

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return PatientThread(self, loop=self.loop, beacon=self.beacon)

    def resume_flow(self) -> None:
        super().resume_flow()
        cast("PatientThread", self._thread).look_again()

    async def _wait_next_records(self, timeout: float) -> Any:  # noqa: ASYNC109 - Faust calls it so
        self.asking = time.monotonic()
        try:
            return await super()._wait_next_records(timeout)
        finally:
            self.asking = None

    @mode.Service.task
    async def _watch_for_standstill(self) -> None:
        """Nothing of Faust's ends a consumer that waits for something that never comes. The process ends, and reads on at the next start."""
        patience = self.app.conf.broker_session_timeout * STANDSTILL
        while not self.should_stop:
            await self.sleep(patience / STANDSTILL)
            if self.stands_still(time.monotonic() - patience):
                await self.crash(
                    StandsStill(f"no answer to a fetch for {patience:.0f} s, and nothing is being worked on")
                )

    def stands_still(self, since: float) -> bool:
        """Whether it has asked for records ever since then, and not because an agent is still at work."""
        self._clean_unacked_messages()
        return self.asking is not None and self.asking < since and not self.unacked

    def on_buffer_full(self, tp: TP) -> None:
        """consumer.py leaves a partition out of its fetches while the stream's queue is nearly full, and then waits a whole second
        even if room is made at once. The queue itself holds the fetcher back, without that."""

    def verify_event_path(self, now: float, tp: TP) -> None:
        """drivers/aiokafka.py takes a changelog, which nobody reads once its state is recovered, for a stream that stands still: for each
        partition an error of a dozen lines every few seconds, from five minutes after the start on."""
        if tp.topic not in self.app.tables.changelog_topics:
            super().verify_event_path(now, tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """consumer.py `_add_gap` takes the distance between two messages for missing offsets and counts the message
        itself; with chunks every message is far from the last, and commits stall."""

    def _new_offset(self, tp: TP) -> int | None:
        """#606: consumer.py `_new_offset` lets a commit pass an unacknowledged head. One sequential agent a topic acknowledges in
        order: the highest acknowledged offset vouches for all before it."""
        acked = self._acked[tp]
        if not acked:
            return None
        highest = max(acked)
        acked.clear()
        self._acked_index[tp].clear()
        return int(highest) + 1

    async def seek_to_committed(self) -> Mapping[TP, int]:
        """aiokafka's `seek_to_committed` passes over partitions that have no committed offset yet: what had been fetched of them before a
        rebalance, and was cleared from the queues, is never read again. Here they begin anew. Remembers where reading starts."""
        offsets: Mapping[TP, int] = await super().seek_to_committed()
        places = {TP(tp.topic, tp.partition): offset for tp, offset in offsets.items()}
        changelogs = self.app.tables.changelog_topics
        fresh = [tp for tp, offset in places.items() if not (offset and offset > 0) and tp.topic not in changelogs]
        self.begins = {}
        if fresh:
            earliest = await self._thread.earliest_offsets(*fresh)
            self.begins = {TP(tp.topic, tp.partition): offset for tp, offset in earliest.items()}
            await self._thread.seek_wait(self.begins)
        for tp, offset in places.items():
            self.chunk_scheduler.sought(tp, self.begins.get(tp, offset))
        return offsets

    def committed(self, tp: TP) -> int | None:
        """The offset that was last committed; of a partition without, where its reading began."""
        known: int | None = self._committed_offset.get(tp)
        return self.begins.get(tp) if known is None else known

    def let_go(self, message: Any) -> None:
        """consumer.py `wait_empty` lets a stop or a rebalance wait until every message is acknowledged. One that nothing was done about
        need not be: whoever reads on from the commit gets it again."""
        self._unacked_messages.discard(message)

    @property
    def chunk_scheduler(self) -> ChunkScheduler:
        return cast("ChunkScheduler", self.scheduler)


class SafeTransport(driver.Transport):
    """The aiokafka transport with the consumer above."""

    Consumer = SafeConsumer


class SafeRecovery(Recovery):
    """#596: recovery.py resumes partitions, seeks, then clears the queues while the fetcher runs: what it fetched in
    between is skipped, and the next commit passes it. Here the flow stands still until the seek is done.

    Nothing of Faust's sees that a part of a changelog was fetched and never came: tables and the scheduler know where it is read from."""

    async def _seek_offsets(self, consumer: Any, tps: Any, offsets: Any, title: str) -> None:
        await super()._seek_offsets(consumer, tps, offsets, title)
        for tp in tps:
            begins = max(0, offsets[tp])
            consumer.chunk_scheduler.sought(tp, begins)
            cast("Any", self.tp_to_table[tp]).begins[tp.partition] = begins

    async def on_recovery_completed(self, generation_id: int = 0) -> None:
        self.app.consumer.stop_flow()
        self.app.flow_control.suspend()
        await super().on_recovery_completed(generation_id)

    async def _resume_streams(self, generation_id: int = 0) -> None:
        self.app.consumer.stop_flow()
        self.app.flow_control.suspend()
        await super()._resume_streams(generation_id)


class SafeTableManager(TableManager):
    """The table manager with the recovery above."""

    @property
    def recovery(self) -> Recovery:
        if self._recovery is None:
            self._recovery = SafeRecovery(self.app, self, beacon=self.beacon, loop=self.loop)
        return self._recovery


class BoundedWorker(faust.Worker):
    """mode/worker.py waits without limit for what is under way when it is told to stop or an agent crashes (a broker that does not
    answer keeps it for ever, and its partitions with it), and passes over every further signal. Here stopping has `stop_seconds`, and a
    second signal ends the process."""

    #: Less than the 30 s after which Kubernetes kills.
    stop_seconds = 20.0

    async def stop(self) -> None:
        self.limit(self.stop_seconds, "what was under way was not done in time")
        await super().stop()

    def _schedule_shutdown(self, signal: Any) -> None:
        if self._signal_stop_time:
            self.give_up("a second signal came", 128 + signal)
        else:
            super()._schedule_shutdown(signal)

    def limit(self, seconds: float, why: str, code: int = 1) -> None:
        """Ends the process after so long, whatever it then waits for: also for threads of Faust's that do not end."""
        timer = threading.Timer(seconds, self.give_up, (why, code))
        timer.daemon = True
        timer.start()

    def give_up(self, why: str, code: int) -> None:
        """Ends the process as it is. Nothing is lost by it: what was not acknowledged is read again."""
        self.log.error("Stopping at once: %s; what was not acknowledged is read again at the next start", why)
        os._exit(code)


def recovered(app: App) -> bool:
    """Whether all state of the assigned partitions has been read back."""
    return cast("SafeTableManager", app.tables).recovery.completed.is_set()


def reads_changelog(app: AppT, tp: TP) -> bool:
    """Whether this partition of a changelog is this worker's now."""
    return tp in cast("SafeTableManager", app.tables).recovery.active_tps


def committed(app: App, tp: TP) -> int | None:
    """The offset that was last committed; of a partition without, where its reading began. None while it is not known."""
    return cast("SafeConsumer", app.consumer).committed(tp)


def let_go(app: App, message: Any) -> None:
    """Has nobody wait for the acknowledgement of a message that is not worked on."""
    cast("SafeConsumer", app.consumer).let_go(message)


def sure_of_its_place(app: App) -> bool:
    """Whether the group's coordinator knew this worker so lately that nobody else can have its partitions yet."""
    silence = time.monotonic() - cast("SafeConsumer", app.consumer).heard
    return silence < app.conf.broker_session_timeout * SURE


def make_safe(app: AppType) -> AppType:
    """Gives the app the transport above, and refuses to run where Faust's C streams are missing (the Python ones
    acknowledge messages of an earlier generation)."""
    if getattr(faust.streams, "_CStreamIterator", None) is None:
        raise RuntimeError("faust-streaming was installed without its C extensions; reinstall it from a wheel")
    fetch_in_batches()
    app.transport = SafeTransport(app.conf.broker, app)
    return app
