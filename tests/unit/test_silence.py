"""Which partitions of a source are taken for silent: those that this worker has read to their end, and nothing comes of."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import IllegalStateError
from faust.types import TP

from schemas.funnel import Unit
from streams.stream import log
from streams.stream.follow import Follower
from streams.stream.source import InternalLog, Source, SourceClock

CLICKS = TP("clicks", 0)


class Written:
    """Takes what goes to the internal log."""

    def __init__(self) -> None:
        self.idle: list[str] = []

    async def write(self, _topic: str, _partition: int, records: Any) -> None:
        self.idle += [record.source for _, value in records if (record := log.decode(value)).kind == log.IDLE]


class Consumer:
    """Has come to `positions`, of `ends`; `unacked`: partitions of the chunks that are worked on."""

    def __init__(
        self, positions: Mapping[TP, int | None], ends: Mapping[TP, int], unacked: tuple[TP, ...] = ()
    ) -> None:
        self._positions, self._ends = positions, ends
        self.unacked = {Message(tp) for tp in unacked}

    def assignment(self) -> set[TP]:
        return {CLICKS}

    def highwater(self, tp: TP) -> int | None:
        return self._ends.get(tp)

    async def position(self, tp: TP) -> int | None:
        if tp not in self._positions:
            raise IllegalStateError
        return self._positions[tp]


class Message:
    def __init__(self, tp: TP) -> None:
        self.tp = tp


def silent(consumer: Consumer, silence: float) -> list[str]:
    """The partitions that are told to be silent, after so many seconds; a minute is enough."""
    written: Any = Written()
    source = Source(
        "clicks", cast("Any", None), None, [InternalLog("log", Unit.VISITOR, 1)], written, cast("Any", None)
    )
    source.clocks = {0: SourceClock(heard=time.monotonic() - silence)}
    app: Any = SimpleNamespace(consumer=consumer)
    follower = Follower(app, [source], (), written, cast("Any", None), cast("Any", None))
    asyncio.run(follower.declare_idle({"clicks": 60.0}))
    return list(written.idle)


def test_one_that_was_read_to_its_end_is_silent_after_a_while() -> None:
    at_its_end = Consumer({CLICKS: 100}, {CLICKS: 100})
    assert silent(at_its_end, 61) == ["clicks:0"]
    assert silent(at_its_end, 59) == []
    assert silent(Consumer({CLICKS: 0}, {}), 61) == ["clicks:0"]  # nothing was ever in it


@pytest.mark.parametrize(
    "consumer",
    [
        Consumer({CLICKS: 99}, {CLICKS: 100}),
        Consumer({CLICKS: 100}, {CLICKS: 100}, (CLICKS,)),
        Consumer({CLICKS: None}, {CLICKS: 100}),
        Consumer({}, {CLICKS: 100}),
    ],
    ids=["not fetched", "fetched, and waiting", "not known yet", "just lost"],
)
def test_one_whose_records_wait_is_not_however_long_nothing_was_read_of_it(consumer: Consumer) -> None:
    assert silent(consumer, 10_000) == []


def test_what_waits_of_others_says_nothing() -> None:
    other = TP("clicks", 1)
    assert silent(Consumer({CLICKS: 5, other: 0}, {CLICKS: 5, other: 9}, (other,)), 61) == ["clicks:0"]
