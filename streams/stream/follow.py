"""The way of the data through one chunk: fetch → decode → advance the funnels → transitions → state → ack → counters.

`on_source` and `on_log` are read top to bottom. They return False for a chunk whose partition was revoked meanwhile: it is not
acknowledged, and its next owner works it out again, to the same rows.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from aiokafka.errors import IllegalStateError
from faust import App
from faust.types import TP

from schemas.dead_letter import DeadLetter
from schemas.errors import ConfigError
from schemas.progress import Progress
from schemas.reasons import Outcome
from sinks.kafka import BatchWriter
from sinks.prometheus.counters import FunnelCounters
from sinks.prometheus.health import WorkerHealth
from streams.engine.clock import NEVER, Clock
from streams.engine.partition import Result
from streams.stream import log
from streams.stream.chunks import Chunk
from streams.stream.effects import Effects
from streams.stream.faust_fixes import OffsetGap, committed, let_go, sure_of_its_place
from streams.stream.source import Source
from streams.stream.unit_log import UnitLog

#: Every how many records one's latency is measured.
SAMPLE = 100


class Follower:
    """Follows sources and internal logs. `applied`: the offset after the last record whose effects are durable, by partition."""

    def __init__(
        self, app: App, sources: Sequence[Source], unit_logs: Sequence[UnitLog], writer: BatchWriter,
        counters: FunnelCounters, health: WorkerHealth,
    ) -> None:  # fmt: skip
        self.app, self.writer, self.counters, self.health = app, writer, counters, health
        self.sources = {source.topic: source for source in sources}
        self.logs = {unit_log.topic: unit_log for unit_log in unit_logs}
        self._done: dict[tuple[int, TP], int] = {}
        self._told: dict[tuple[str, str, str, int], Progress] = {}
        self._silent_since: dict[tuple[str, int], tuple[int, float]] = {}
        self.applied: dict[TP, int] = {}
        self._left: set[tuple[int, TP]] = set()

    # -- chunks

    async def on_source(self, stream: Any, event: Any) -> bool:
        """A chunk of a source topic."""
        chunk: Chunk = event.value
        source, unit_log = self.sources[chunk.topic], self.logs.get(chunk.topic)
        if self.left(event):
            return self.leave(event)
        self.check_contiguous(event)
        if not await source.learn(chunk, lambda: self.may_wait(event)):
            return self.leave(event)  # nothing is done yet: a stop or a rebalance need not wait for the registry
        effects = None if unit_log is None else unit_log.begin(chunk.partition)
        letters, rekeyed, lags = list[DeadLetter](), source.nothing_rekeyed(), list[int]()
        decode = partial(source.decode, chunk, letters=letters)
        if unit_log is not None and effects is not None and not source.logs:
            lags = await unit_log.follow_source(effects, chunk, decode)
        else:
            async for records in chunk.slices():
                events = list(map(decode, records))
                if unit_log is not None and effects is not None:
                    unit_log.follow_events(effects, records, events)
                source.rekey(chunk, records, events, rekeyed)
                if events[0] is not None:
                    lags.append(records[0].timestamp - events[0].ts)
        refused = await source.bury(chunk.partition, letters)
        result = None
        if unit_log is not None and effects is not None:
            result = await unit_log.write(effects, chunk.timestamp, lambda: self.surely_ours(event))
            if result is None:
                return self.leave(event)
        if source.logs:
            await source.send(chunk, rekeyed)
        await stream.ack(event)  # all effects are durable: the offset may be committed
        self.health.count_dead_letters(chunk.topic, refused)
        self.health.observe_event_lags(chunk.topic, lags)
        self.count(chunk, effects, result)
        return True

    async def on_log(self, stream: Any, event: Any) -> bool:
        """A chunk of an internal log."""
        chunk: Chunk = event.value
        unit_log = self.logs[chunk.topic]
        if self.left(event):
            return self.leave(event)
        self.check_contiguous(event)
        effects = unit_log.begin(chunk.partition)
        async for records in chunk.slices():
            unit_log.follow_records(effects, records)
        result = await unit_log.write(effects, chunk.timestamp, lambda: self.surely_ours(event))
        if result is None:
            return self.leave(event)
        await stream.ack(event)  # all effects are durable: the offset may be committed
        self.count(chunk, effects, result)
        return True

    def check_contiguous(self, event: Any) -> None:
        """Crashes the worker if records before this chunk were never handed over: the next commit would pass them."""
        message, chunk = event.message, event.value
        place = (message.generation_id, message.tp)
        expected = self._done.get(place)
        if expected is None:
            self._done = {known: at for known, at in self._done.items() if known[0] == message.generation_id}
            expected = committed(self.app, message.tp)
            if expected is not None and chunk.records[0].offset < expected:
                raise ConfigError(
                    f"topic {chunk.topic}",
                    f"partition {chunk.partition} begins again at {chunk.records[0].offset}, after {expected} were worked on",
                    "if the topic was made anew, give kafka.topic_prefix and kafka.group_prefix new names and start anew",
                )
        if expected is not None and chunk.follows is not None and chunk.follows > expected:
            raise OffsetGap(
                f"{chunk.topic}, partition {chunk.partition}: the chunk follows on {chunk.follows}, but only records before "
                f"{expected} were worked on; the worker stops so that none is lost, and reads again from its commit"
            )
        self._done[place] = chunk.offset + 1

    def may_wait(self, event: Any) -> bool:
        """Whether a chunk may still wait for somebody else."""
        return self.ours(event) and not self.app.rebalancing and not self.app.should_stop

    def left(self, event: Any) -> bool:
        """Whether a chunk before this one was left to the partition's next owner."""
        return (event.message.generation_id, event.message.tp) in self._left

    def leave(self, event: Any) -> bool:
        """Leaves a chunk, and all that follow it in this generation, to the partition's next owner: an acknowledgement of a later one would
        vouch for it."""
        message = event.message
        self._left = {known for known in self._left if known[0] == message.generation_id}
        self._left.add((message.generation_id, message.tp))
        let_go(self.app, message)
        return False

    def ours(self, event: Any) -> bool:
        """Whether the chunk's partition is still this worker's, in the same generation of the group."""
        message = event.message
        return message.generation_id == self.app.consumer_generation_id and message.tp in self.app.consumer.assignment()

    async def surely_ours(self, event: Any) -> bool:
        """The same, once the group has confirmed it: a worker that was frozen, or cut off, for longer than its session still takes
        itself for a member, and its state would overwrite what the next owner has made of it."""
        while self.ours(event) and not sure_of_its_place(self.app):
            if self.app.rebalancing or self.app.should_stop:
                return False
            await asyncio.sleep(0.05)
        return self.ours(event)

    # -- counters

    def count(self, chunk: Chunk, effects: Effects | None, result: Result | None) -> None:
        """Counters rise last: what they show is durable."""
        tp = TP(chunk.topic, chunk.partition)
        self.applied[tp] = chunk.offset + 1
        self.show_lag(tp, self.app.consumer.highwater(tp) or 0)
        now = int(time.time() * 1000)
        self.health.observe_chunk(
            len(chunk.records), [max(0, now - record.timestamp) for record in chunk.records[::SAMPLE]]
        )
        if effects is None or result is None:
            return
        self.counters.count(effects.tally, (chunk.topic, chunk.partition), effects.partition.clock.heard)
        for progress in result.progress:
            self.count_outcomes(progress)
            if progress.watermark > NEVER:
                self.health.set_watermark(progress.log, progress.partition, progress.watermark)

    def show_lag(self, tp: TP, end: int) -> None:
        """How far a partition of this worker's is behind its end. Right after a rebalance that may not be known: what was told stays."""
        applied = self.applied.get(tp, committed(self.app, tp))
        if applied is not None:
            self.health.set_consumer_lag(tp.topic, tp.partition, max(0, end - applied))

    def count_outcomes(self, progress: Progress) -> None:
        """What the partition's tally rose by since the last chunk (a recovered tally is where it begins)."""
        place = (progress.funnel, progress.version, progress.log, progress.partition)
        before = self._told.get(place)
        self._told[place] = progress
        if before is not None and before.revision <= progress.revision:
            self.health.count_events(progress.funnel, risen(before, progress))

    def begin(self, unit_log: UnitLog, number: int) -> None:
        """A partition was built from its state: what it holds was told by whoever had it before."""
        partition = unit_log.partition(number)
        self.counters.begin((unit_log.topic, number), partition.clock.heard, partition.units.standing)
        partition.units.standing.clear()
        for progress in (unit_log.partition(number).progress(funnel) for funnel in unit_log.funnels):
            self._told[progress.funnel, progress.version, progress.log, progress.partition] = progress

    def open_attempts(self) -> dict[str, int]:
        """Open attempts by funnel, of this worker's partitions."""
        found: Counter[str] = Counter()
        for unit_log in self.logs.values():
            for partition in unit_log.partitions.values():
                found.update(partition.units.open)
        return dict(found)

    def units(self) -> int:
        """Units that this worker keeps state of."""
        return sum(unit_log.units() for unit_log in self.logs.values())

    # -- silence

    async def declare_idle(self, idle_after: Mapping[str, float]) -> None:
        """Tells the internal logs of source partitions that fell silent. `idle_after`: seconds, by topic."""
        assigned = self.app.consumer.assignment()
        for topic, source in self.sources.items():
            if source.logs:
                source.keep({tp.partition for tp in assigned if tp.topic == topic})
                await source.declare_idle(idle_after[topic], self.unread)

    async def unread(self, tp: TP) -> bool:
        """Whether a partition holds records that this worker has not applied yet (one that it has just lost may): it is behind, or was held
        up, and the clock of the others must wait for them."""
        consumer = self.app.consumer
        if any(message.tp == tp for message in list(consumer.unacked)):
            return True
        try:
            position = await consumer.position(tp)
        except IllegalStateError:
            return True
        return position is None or position < (consumer.highwater(tp) or 0)

    async def tick(self) -> None:
        """Where all sources of an internal log are silent, time goes on by a record in that log, so that replays repeat it."""
        for topic, unit_log in self.logs.items():
            if topic in self.sources:
                continue
            for number, partition in list(unit_log.partitions.items()):
                clock, place = partition.clock, (topic, number)
                await self.retire_sources(topic, number, clock)
                if not clock.all_idle or clock.newest == NEVER or not partition.wakes:
                    self._silent_since.pop(place, None)
                    continue
                newest, since = self._silent_since.get(place, (NEVER, 0.0))
                if newest != clock.newest:  # it was heard since, here or by another worker: the silence begins anew
                    since = time.monotonic()
                    self._silent_since[place] = clock.newest, since
                now = clock.newest + int((time.monotonic() - since) * 1000)
                record = log.encode(log.LogRecord(log.TICK, watermark=now))
                await self.writer.write(topic, number, [(None, record)])

    async def retire_sources(self, topic: str, number: int, clock: Clock) -> None:
        """Declares silent those sources that are no longer in the settings: nobody else would, and time would stand still."""
        for name, source in list(clock.sources.items()):
            if not source.idle and name.rpartition(":")[0] not in self.sources:
                await self.writer.write(topic, number, [(None, log.encode(log.LogRecord(log.IDLE, name)))])

    def pause(self) -> None:
        """Nothing is read during a rebalance: that is no silence of the sources."""
        self._silent_since.clear()
        for source in self.sources.values():
            source.clocks.clear()


def risen(before: Progress, after: Progress) -> dict[Outcome, int]:
    """By how much each outcome's count rose."""
    return {outcome: getattr(after, outcome.value) - getattr(before, outcome.value) for outcome in Outcome}
