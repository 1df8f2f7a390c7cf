"""What faust-streaming 0.15.3 needs to lose nothing. Every override of a private method of Faust stands here, with the thread
or the place that it mends; tests/stream/test_faust_fixes.py fails on the stock classes.

Numbers are issues of github.com/faust-streaming/faust. All of it holds only with one sequential agent a topic
(concurrency 1), chunks that are acknowledged by hand once their effects are durable, and a worker that crashes on any error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

import faust.streams
from aiokafka.consumer import fetcher
from faust.app import App
from faust.tables.manager import TableManager
from faust.tables.recovery import Recovery
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT

from streams.stream.chunks import ChunkScheduler

AppType = TypeVar("AppType", bound=App)

#: A fetch waits for this many bytes, or for the app's `fetch_wait`.
FETCH_BYTES = 262_144


class OffsetGap(Exception):
    """Records between two chunks were never handed to the agent. Going on would commit past them."""


class PatientThread(driver.AIOKafkaConsumerThread):
    """drivers/aiokafka.py fixes fetches at "one byte is enough, else wait 1.5 s": beside a quiet site nearly every event then is a
    chunk of its own, with writes and acknowledgements of its own (a fifth of a core at 50 events a second)."""

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_min_bytes = FETCH_BYTES  # noqa: SLF001
        consumer._fetch_max_wait_ms = cast("Any", self.app).fetch_wait  # noqa: SLF001
        return consumer


class SafeConsumer(driver.Consumer):
    """Commits what is acknowledged, and tells the scheduler where each partition is read from."""

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return PatientThread(self, loop=self.loop, beacon=self.beacon)

    def on_buffer_full(self, tp: TP) -> None:
        """consumer.py leaves a partition out of its fetches while the stream's queue is nearly full, and then waits a whole second
        even if room is made at once. The queue itself holds the fetcher back, without that."""

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
        """Public, overridden to remember where reading starts."""
        offsets: Mapping[TP, int] = await super().seek_to_committed()
        for tp, offset in offsets.items():
            known = offset if offset is not None and offset >= 0 else None
            self.chunk_scheduler.sought(TP(tp.topic, tp.partition), known)
        return offsets

    def committed(self, tp: TP) -> int | None:
        """The offset that was last committed, None if there is none."""
        return self._committed_offset.get(tp)

    def let_go(self, message: Any) -> None:
        """consumer.py `wait_empty` lets a stop or a rebalance wait until every message is acknowledged. One that nothing was done about
        need not be: whoever reads on from the commit gets it again."""
        self._unacked_messages.discard(message)

    @property
    def chunk_scheduler(self) -> ChunkScheduler:
        return cast("ChunkScheduler", self.scheduler)


class LeanRecords(fetcher.PartitionRecords):  # type: ignore[misc]  # aiokafka.consumer.fetcher has no types
    """aiokafka's consumer copies every record into a dataclass of eleven fields, which costs twice what reading it does (1.0 of
    1.5 µs a record). A chunk knows topic and partition; the rest is handed on as it was parsed."""

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ARG002 - aiokafka calls it so
        return record


class SafeTransport(driver.Transport):
    """The aiokafka transport with the consumer above."""

    Consumer = SafeConsumer


class SafeRecovery(Recovery):
    """#596: recovery.py resumes partitions, seeks, then clears the queues while the fetcher runs: what it fetched in
    between is skipped, and the next commit passes it. Here the flow stands still until the seek is done."""

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


def recovered(app: App) -> bool:
    """Whether all state of the assigned partitions has been read back."""
    return cast("SafeTableManager", app.tables).recovery.completed.is_set()


def reads_changelog(app: AppT, tp: TP) -> bool:
    """Whether this partition of a changelog is this worker's now."""
    return tp in cast("SafeTableManager", app.tables).recovery.active_tps


def committed(app: App, tp: TP) -> int | None:
    """The offset that was last committed, None if there is none."""
    return cast("SafeConsumer", app.consumer).committed(tp)


def let_go(app: App, message: Any) -> None:
    """Has nobody wait for the acknowledgement of a message that is not worked on."""
    cast("SafeConsumer", app.consumer).let_go(message)


def make_safe(app: AppType) -> AppType:
    """Gives the app the transport above, and refuses to run where Faust's C streams are missing (the Python ones
    acknowledge messages of an earlier generation)."""
    if getattr(faust.streams, "_CStreamIterator", None) is None:
        raise RuntimeError("faust-streaming was installed without its C extensions; reinstall it from a wheel")
    fetcher.PartitionRecords = LeanRecords
    app.transport = SafeTransport(app.conf.broker, app)
    return app
