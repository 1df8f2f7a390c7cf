"""The table of unit states: a Faust table whose partitions are dicts of packed values.

Faust recovers it and tells it of rebalances. Values are written by the agent itself, as record batches, once the
transitions are durable; nothing is written by setting a key.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import faust
import msgspec
from faust.types import TP

from streams.engine.state import FORMAT
from streams.stream.chunks import Chunk
from streams.stream.faust_fixes import OffsetGap, reads_changelog

State = dict[str, bytes]


class Place(msgspec.Struct, array_like=True, gc=False):
    """How every packed state begins."""

    format: int
    offset: Any = 0


unpack_place = msgspec.msgpack.Decoder(Place).decode


class StateTable(faust.Table[str, bytes]):
    """`parts[p]`: key → packed value. `written[p]`: last offset of the changelog that they include; `begins[p]`: where the changelog of
    a partition that is new here is read from.

    `on_change`: called with a partition whose values changed other than by the agent (recovered, revoked).
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.parts: dict[int, State] = {}
        self.written: dict[int, int] = {}
        self.begins: dict[int, int] = {}
        self.on_change: Callable[[int], None] = ignore

    def part(self, partition: int) -> State:
        """The values of one partition."""
        return self.parts.setdefault(partition, {})

    def wrote(self, partition: int, last_offset: int) -> None:
        """The agent's changelog is durable up to here: a rebalance that leaves the partition here need not read it again."""
        self.written[partition] = last_offset

    def persisted_offset(self, tp: TP) -> int | None:
        return self.written.get(tp.partition)

    def apply_changelog_batch(self, batch: Iterable[Any]) -> None:
        """Recovery: each event is a chunk of the changelog."""
        try:
            for event in batch:
                chunk = event.value
                if not self.reads(TP(chunk.topic, chunk.partition)):
                    continue
                self.check_contiguous(chunk)
                part = self.part(chunk.partition)
                for record in chunk.records:
                    key = record.key.decode()
                    if not record.value:
                        part.pop(key, None)
                    elif key not in part or offset_of(record.value) >= offset_of(part[key]):
                        part[key] = record.value
                self.written[chunk.partition] = chunk.offset
                self.on_change(chunk.partition)
        except Exception as error:  # recovery.py only logs what goes wrong here, and goes on with holes
            self.app.loop.create_task(self.app.crash(error))
            raise

    def check_contiguous(self, chunk: Chunk) -> None:
        """Raises OffsetGap for state between this chunk of the changelog and what was applied before it: units would have lost what they had
        come to, and nobody would know."""
        begins = self.begins.get(chunk.partition, chunk.offset)
        applied = self.written.get(chunk.partition, begins - 1)
        if chunk.follows is not None and chunk.follows > applied + 1:
            raise OffsetGap(
                f"{chunk.topic}, partition {chunk.partition}: state from {applied + 1} to {chunk.follows - 1} was fetched, and never came; "
                "the worker stops, and reads all of it again at its next start"
            )

    def reads(self, tp: TP) -> bool:
        """Whether this is a partition of the table's own changelog that this worker has. recovery.py hands what was still queued of
        a revoked one to whichever table came last, and what it left there would pass for the whole when it returns."""
        return tp.topic == self.changelog_topic.get_topic_name() and reads_changelog(self.app, tp)

    async def on_rebalance(
        self, assigned: set[TP], revoked: set[TP], newly_assigned: set[TP], generation_id: int = 0
    ) -> None:
        """Forgets what was revoked: the memory store keeps it, and would serve it stale when the partition returns."""
        await super().on_rebalance(assigned, revoked, newly_assigned, generation_id)
        for tp in revoked:
            if tp.topic == self.changelog_topic.get_topic_name():
                self.parts.pop(tp.partition, None)
                self.written.pop(tp.partition, None)
                self.begins.pop(tp.partition, None)
                self.on_change(tp.partition)


def offset_of(state: bytes) -> int:
    """Of the last record that is part of a unit's state, or of the partition's own. A lower one that comes later is a former owner's, which
    was under way for long."""
    place = unpack_place(state)
    return int(place.offset) if place.format == FORMAT else 0  # of another format: whoever builds on it refuses it


def ignore(_partition: int) -> None:
    """Nobody builds on the table yet."""
