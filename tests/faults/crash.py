"""`python -m tests.faults.crash run …`: the command line itself, but the process kills itself (SIGKILL) at the point that the
environment names: `CRASH_AT=before-state:3`, the third time that it comes there. The product knows nothing of it.

Two of the points are no crashes but controls: a worker that loses rows, or writes some twice, must be found out."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, NoReturn

import msgspec
from msgspec.structs import replace

from schemas.rows import Row
from schemas.transitions import pack_rows

VARIABLE = "CRASH_AT"
decode_rows = msgspec.msgpack.Decoder(list[Row]).decode


class Point(Enum):
    """Where. The first six are the worker's, the next two the sink's, the last two the controls."""

    BEFORE_TRANSITIONS = "before-transitions"
    AFTER_TRANSITIONS = "after-transitions"
    AFTER_STATE = "after-state"
    AFTER_ACK = "after-ack"
    AFTER_REKEYING = "after-rekeying"
    IN_RECOVERY = "in-recovery"
    IN_INSERT = "in-insert"
    AFTER_INSERT = "after-insert"
    LOSE_ROWS = "lose-rows"
    DOUBLE_ROWS = "double-rows"


def die() -> NoReturn:
    """As the kernel would end it."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("unreachable")


class Countdown:
    """Dies when it is called for the n-th time."""

    def __init__(self, times: int) -> None:
        self._left = times

    def __call__(self) -> None:
        self._left -= 1
        if self._left <= 0:
            die()


def arm(point: Point, here: Countdown) -> None:
    """Puts the mine where it belongs."""
    from sinks.clickhouse.buffer import Buffer
    from sinks.clickhouse.writer import Writer
    from sinks.kafka import BatchWriter
    from streams.stream.follow import Follower
    from streams.stream.table import StateTable

    match point:
        case Point.BEFORE_TRANSITIONS:
            around_writes(BatchWriter, ".transitions", before=here)
        case Point.AFTER_TRANSITIONS:
            around_writes(BatchWriter, ".transitions", after=here)
        case Point.AFTER_STATE:
            around_writes(BatchWriter, ".state.", after=here)
        case Point.AFTER_REKEYING:
            around_writes(BatchWriter, ".log.", after=here)
        case Point.AFTER_ACK:
            before_call(Follower, "count", here)
        case Point.IN_RECOVERY:
            before_call(StateTable, "apply_changelog_batch", here)
        case Point.IN_INSERT:
            before_call(Writer, "write_progress", here)
        case Point.AFTER_INSERT:
            after_call(Buffer, "write", here)
        case Point.LOSE_ROWS:
            change_rows(BatchWriter, lambda _: [])
        case Point.DOUBLE_ROWS:
            change_rows(
                BatchWriter, lambda rows: [*rows, *(replace(row, attempt_id=row.attempt_id[::-1]) for row in rows)]
            )


def around_writes(
    kind: Any, topic_part: str, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> None:
    """Mines the writes to such topics, those that have records."""
    write = kind.write

    async def mined(self: Any, topic: str, partition: int, records: Iterable[Any], timestamp: int | None = None) -> Any:
        records = list(records)
        ours = topic_part in topic and records
        if ours and before is not None:
            before()
        written = await write(self, topic, partition, records, timestamp)
        if ours and after is not None:
            after()
        return written

    kind.write = mined


def change_rows(kind: Any, change: Callable[[list[Row]], list[Row]]) -> None:
    """The first rows that are written are others."""
    write = kind.write

    async def changed(
        self: Any, topic: str, partition: int, records: Iterable[Any], timestamp: int | None = None
    ) -> Any:
        nonlocal change
        records = list(records)
        blocks = [value for key, value in records if key is None] if topic.endswith(".transitions") else []
        if blocks:
            rows = [row for value in blocks for row in decode_rows(value)]
            progress = [(key, value) for key, value in records if key is not None]
            records, change = [*pack_rows(change(rows)), *progress], list
        return await write(self, topic, partition, records, timestamp)

    kind.write = changed


def before_call(kind: Any, name: str, here: Callable[[], None]) -> None:
    """Mines a method's beginning."""
    original = getattr(kind, name)

    def mined(self: Any, *arguments: Any, **named: Any) -> Any:
        here()
        return original(self, *arguments, **named)

    setattr(kind, name, mined)


def after_call(kind: Any, name: str, here: Callable[[], None]) -> None:
    """Mines a method's end."""
    original = getattr(kind, name)

    def mined(self: Any, *arguments: Any, **named: Any) -> Any:
        result = original(self, *arguments, **named)
        here()
        return result

    setattr(kind, name, mined)


def main() -> None:
    asked = os.environ.get(VARIABLE, "")
    if asked:
        point, _, times = asked.partition(":")
        arm(Point(point), Countdown(int(times)))
    from streams.cli import main as run

    run()


if __name__ == "__main__":
    main()
