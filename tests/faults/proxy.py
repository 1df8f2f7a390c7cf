"""A proxy on loopback between Kafka's clients and its broker: it knows the requests, and loses, delays or holds them."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections import Counter, deque
from collections.abc import Coroutine
from concurrent.futures import Future
from contextlib import suppress
from enum import Enum, IntEnum
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
LONGEST_FRAME = 1 << 27


class Api(IntEnum):
    """Requests that are worth a fault, by their key in Kafka's protocol."""

    PRODUCE = 0
    FETCH = 1
    LIST_OFFSETS = 2
    METADATA = 3
    COMMIT = 8
    OFFSET_FETCH = 9
    COORDINATOR = 10
    JOIN = 11
    HEARTBEAT = 12
    SYNC = 14


class Action(Enum):
    """What becomes of a request. LOSE: the connection is cut before the broker sees it. LOSE_ANSWER: the broker has done it, and the
    connection is cut before the client knows. DELAY: the answer comes late, and so do those behind it. HOLD: the broker sees it late."""

    LOSE = "request lost"
    LOSE_ANSWER = "answer lost"
    DELAY = "answer late"
    HOLD = "request late"


class Rule(msgspec.Struct, frozen=True):
    """The next request of this kind meets this fate; `seconds`: of a delay; `skip`: so many of them pass first."""

    api: Api
    action: Action
    seconds: float = 0.0
    skip: int = 0

    @property
    def name(self) -> str:
        return f"Kafka {self.api.name.lower()}: {self.action.value}"


class Proxy:
    """Listens on `port`, and passes everything on to 127.0.0.1:`target`. Methods may be called from any thread; close it at the end."""

    def __init__(self, port: int, target: int) -> None:
        self.port, self._target = port, target
        self.happened: Counter[str] = Counter()
        self._rules: list[list[Any]] = []
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._server = self._do(asyncio.start_server(self._serve, "127.0.0.1", port))

    def arm(self, rule: Rule) -> None:
        """One fault that is to happen."""
        self._loop.call_soon_threadsafe(self._rules.append, [rule, rule.skip])

    def disarm(self) -> None:
        """What has not happened yet, does not."""
        self._loop.call_soon_threadsafe(self._rules.clear)

    def cut(self) -> None:
        """Cuts all connections now."""

        def now() -> None:
            self.happened["Kafka: all connections of a process cut"] += 1
            for writer in list(self._open):
                writer.transport.abort()

        self._loop.call_soon_threadsafe(now)

    def stall(self, seconds: float) -> None:
        """Holds everything back for so long; nothing is lost."""

        def now() -> None:
            self.happened["Kafka: all traffic of a process held"] += 1
            self._flows.clear()
            self._loop.call_later(seconds, self._flows.set)

        self._loop.call_soon_threadsafe(now)

    def taken(self) -> dict[str, int]:
        """What happened since this was last asked."""

        async def take() -> dict[str, int]:
            happened, self.happened = dict(self.happened), Counter()
            return happened

        return self._do(take())

    def close(self) -> None:
        """Ends all connections and the thread."""

        async def end() -> None:
            self._server.close()
            for writer in list(self._open):
                writer.transport.abort()
            own = asyncio.current_task()
            others = [task for task in asyncio.all_tasks() if task is not own]
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self._do(end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, what: Coroutine[Any, Any, T]) -> T:
        future: Future[T] = asyncio.run_coroutine_threadsafe(what, self._loop)
        return future.result(10)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            broker_reader, broker_writer = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:  # the broker is down: so is its port
            writer.transport.abort()
            return
        self._open |= {writer, broker_writer}
        waiting: deque[Rule | None] = deque()
        ways = [
            asyncio.ensure_future(self._requests(reader, broker_writer, waiting)),
            asyncio.ensure_future(self._answers(broker_reader, writer, waiting)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, broker_writer):
                end.transport.abort()
            self._open -= {writer, broker_writer}

    async def _requests(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: deque[Rule | None]
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await read_frame(reader)
                await self._flows.wait()
                rule = self._rule_for(struct.unpack_from(">h", frame, 4)[0])
                if rule is not None and rule.action is Action.LOSE:
                    return
                if rule is not None and rule.action is Action.HOLD:
                    await asyncio.sleep(rule.seconds)
                waiting.append(rule)
                writer.write(frame)
                await writer.drain()

    async def _answers(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, waiting: deque[Rule | None]
    ) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            while True:
                frame = await read_frame(reader)
                await self._flows.wait()
                rule = waiting.popleft()
                if rule is not None and rule.action is Action.LOSE_ANSWER:
                    return
                if rule is not None and rule.action is Action.DELAY:
                    await asyncio.sleep(rule.seconds)
                writer.write(frame)
                await writer.drain()

    def _rule_for(self, api: int) -> Rule | None:
        """The first rule for such a request; it is used up, and counted."""
        for place, armed in enumerate(self._rules):
            rule: Rule = armed[0]
            if rule.api != api:
                continue
            if armed[1] > 0:
                armed[1] -= 1
                return None
            del self._rules[place]
            self.happened[rule.name] += 1
            return rule
        return None


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """A request or an answer with its length before it."""
    head = await reader.readexactly(4)
    (length,) = struct.unpack(">i", head)
    if not 0 < length < LONGEST_FRAME:
        raise OSError("no Kafka frame")
    return head + await reader.readexactly(length)
