"""Answers read into their place are those that were sent, however the network cuts them, and a connection ends as it does for aiokafka."""

from __future__ import annotations

import asyncio
import struct
import weakref
from collections.abc import Sequence
from random import Random
from typing import Any

import pytest

from streams.engine.usual import blank
from streams.stream.answers import AT_ONCE, AnswersProtocol, read_answers


class Connection:
    """What aiokafka's connection is to its reader."""

    def __init__(self, protocol: AnswersProtocol, wanted: int) -> None:
        self._protocol, self._wanted, self.answers = protocol, wanted, list[bytes]()
        self.done = asyncio.get_running_loop().create_future()

    def _handle_frame(self, answer: bytes) -> None:
        self.answers.append(answer)
        if len(self.answers) == self._wanted:
            self.done.set_result(None)


def framed(answers: Sequence[bytes]) -> bytes:
    return b"".join(struct.pack(">i", len(answer)) + answer for answer in answers)


def pieces(data: bytes, rng: Random) -> list[bytes]:
    cut = []
    while data:
        size = rng.choice((1, 3, 4, 5, 1_000, 70_000, 1 << 20))
        cut.append(data[:size])
        data = data[size:]
    return cut


async def received(sent: Sequence[bytes], wanted: int) -> tuple[list[bytes], BaseException | None]:
    """What arrives of these pieces, after which the other side closes, and what reading ends with if so much does not arrive."""

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in sent:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        writer.close()

    loop = asyncio.get_running_loop()
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    closed: asyncio.Future[None] = loop.create_future()
    stream = asyncio.StreamReader()
    protocol = AnswersProtocol(closed, stream, loop=loop)
    transport, _ = await loop.create_connection(lambda: protocol, *server.sockets[0].getsockname())
    connection = Connection(protocol, wanted)
    reading = asyncio.ensure_future(read_answers(weakref.ref(connection)))
    await asyncio.wait((reading, connection.done), return_when=asyncio.FIRST_COMPLETED, timeout=60)
    failed = reading.exception() if reading.done() else None
    reading.cancel()
    transport.close()
    await closed
    server.close()
    await server.wait_closed()
    return connection.answers, failed


@pytest.mark.parametrize("seed", range(8))
def test_whole_however_they_are_cut(seed: int) -> None:
    rng = Random(seed)
    answers = [rng.randbytes(rng.choice((1, 2, 4, 90, 65_535, 2_000_000))) for _ in range(12)]
    arrived, _ = asyncio.run(received(pieces(framed(answers), rng), len(answers)))
    assert arrived == answers


@pytest.mark.parametrize("cut", [0, 2, 4, 90])
def test_an_answer_that_breaks_off_ends_the_connection(cut: int) -> None:
    """With an error that aiokafka takes for the end of a connection, and not for a mistake of its own."""
    whole, broken = framed([b"first"]), framed([b"x" * 100])
    answers, failed = asyncio.run(received([whole + broken[:cut]], 2))
    assert answers == [b"first"]
    assert isinstance(failed, OSError | EOFError)


@pytest.mark.parametrize("size", [-1, 0, -(2**31)])
def test_a_peer_that_is_no_broker_ends_the_connection(size: int) -> None:
    answers, failed = asyncio.run(received([struct.pack(">i", size) + b"HTTP/1.1 400"], 1))
    assert answers == []
    assert isinstance(failed, ConnectionError)


def test_it_is_not_copied() -> None:
    """What was read into is what is handed on."""

    async def read() -> bool:
        loop = asyncio.get_running_loop()
        protocol = AnswersProtocol(loop.create_future(), asyncio.StreamReader(), loop=loop)
        protocol.get_buffer(-1)[:] = struct.pack(">i", 5)
        protocol.buffer_updated(4)
        place = protocol.get_buffer(-1)
        place[:] = b"whole"
        protocol.buffer_updated(5)
        del place
        space: Any = protocol.answers.get_nowait()
        return bool(space.getvalue() == b"whole") and space.getvalue() is space.getvalue()

    assert asyncio.run(read())


def test_a_large_one_is_read_in_few_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    reads = list[int]()

    def counted(self: AnswersProtocol, nbytes: int) -> None:
        reads.append(nbytes)
        updated(self, nbytes)

    updated = AnswersProtocol.buffer_updated
    monkeypatch.setattr(AnswersProtocol, "buffer_updated", counted)
    answers = [b"a" * (4 << 20), b"b", b"c" * (AT_ONCE + 1)]
    sent = framed(answers)
    arrived, _ = asyncio.run(received([sent[at : at + 10_000] for at in range(0, len(sent), 10_000)], len(answers)))
    assert arrived == answers
    assert len(reads) <= 12  # three sizes, a small one, and a megabyte at a time: else it is dozens


@pytest.mark.parametrize("wrong", [-1, "4", 1 << 70])
def test_room_for_an_answer_is_a_number_of_bytes(wrong: Any) -> None:
    with pytest.raises((ValueError, TypeError, OverflowError)):
        blank(wrong)
    assert [len(blank(size)) for size in (0, 1, 70_000)] == [0, 1, 70_000]
