"""Kafka's answers, read from the socket straight into their place. asyncio's StreamReader copies what it reads twice, and wakes who waits for it
at every piece of an answer of megabytes."""

from __future__ import annotations

import asyncio
import io
import socket
import struct
from typing import Any

from aiokafka import conn

from streams.engine.usual import blank

SIZE = struct.Struct(">i")
#: Of a larger answer so many bytes are waited for at a time (SO_RCVLOWAT): reading whatever there is takes five times as many turns of the
#: loop, and as often the lock of the interpreter from who works meanwhile.
AT_ONCE = 1 << 20


class AnswersProtocol(conn.AIOKafkaProtocol, asyncio.BufferedProtocol):  # type: ignore[misc]  # aiokafka has no types
    """`answers`: each whole, in turn; after the last what the connection ended with."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.answers: asyncio.Queue[io.BytesIO | Exception] = asyncio.Queue()
        self._sized = False  # whether an answer's size has come, so that the answer is next
        self._socket: Any = None
        self._awaited = 1
        self._begin(SIZE.size)

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        # With TLS more bytes come than the answer has, and some of them may be held by it already.
        if transport.get_extra_info("sslcontext") is None:
            self._socket = transport.get_extra_info("socket")

    def _begin(self, size: int) -> None:
        self._space, self._filled = io.BytesIO(blank(size)), 0
        self._place = self._space.getbuffer()
        self._await()

    def _await(self) -> None:
        """Be called once the rest has come, or much of it, where that is worth while."""
        large = self._socket is not None and len(self._place) >= AT_ONCE
        awaited = min(len(self._place) - self._filled, AT_ONCE) if large else 1
        if awaited != self._awaited:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, awaited)
            self._awaited = awaited

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - what is still missing, whatever the transport would like
        return self._place[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        self._filled += nbytes
        if self._filled < len(self._place):
            self._await()
            return
        size = SIZE.size
        if self._sized:
            self.answers.put_nowait(self._space)
        else:
            (size,) = SIZE.unpack(self._place)
            if size <= 0:
                raise ConnectionError(f"an answer of {size} bytes is none of Kafka's")
        self._sized = not self._sized
        self._begin(size)

    def eof_received(self) -> bool | None:
        self.answers.put_nowait(EOFError("the connection was closed"))
        kept_open: bool | None = super().eof_received()
        return kept_open

    def connection_lost(self, exc: Exception | None) -> None:
        self.answers.put_nowait(exc or EOFError("the connection was closed"))
        super().connection_lost(exc)


async def read_answers(connection: Any) -> None:
    """Gives a connection (weakly referenced) its answers for as long as it lives. Raises what it ends with."""
    known = connection()
    if known is None:
        return
    answers: asyncio.Queue[io.BytesIO | Exception] = known._protocol.answers  # noqa: SLF001
    del known
    while True:
        answer = await answers.get()
        if isinstance(answer, Exception):
            raise answer
        known = connection()
        if known is None:
            return
        known._handle_frame(answer.getvalue())  # noqa: SLF001
        del known, answer


def read_in_place() -> None:
    """Has every connection of aiokafka's in this process read so."""
    conn.AIOKafkaProtocol, conn.AIOKafkaConnection._read = AnswersProtocol, staticmethod(read_answers)  # noqa: SLF001
