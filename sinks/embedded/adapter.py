"""ClickHouse's HTTP interface on loopback, over chDB: what clickhouse-connect, Grafana's plugin and curl speak.

`python -m sinks.embedded.adapter --path FOLDER [--port N] [--faults]` prints `ready PORT` and serves until SIGTERM.
Sessions and query ids are accepted and have no effect; users are not checked (the address is loopback's).
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import uuid
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from sinks.embedded.codec import packer
from sinks.embedded.engine import QUERIES, STREAMED, Call, Engine, EngineError
from sinks.embedded.faults import Faults
from sinks.embedded.native import UnsupportedType, block_for_protocol, blocks_for_protocol
from sinks.embedded.request import compression, protocol_version, read_call, refusal
from sinks.embedded.response import failure, headers, late_failure, summary

MAX_BODY_BYTES = 1 << 31
THREADS = 16
SHUTDOWN_SECONDS = 5.0

T = TypeVar("T")


class Adapter:
    """One engine behind one address."""

    def __init__(self, engine: Engine, *, allow_faults: bool) -> None:
        self._engine, self._allow_faults, self._faults = engine, allow_faults, Faults()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="query")

    def application(self) -> web.Application:
        application = web.Application(client_max_size=MAX_BODY_BYTES)
        application.add_routes([web.get("/ping", self.ping), web.get("/", self.query), web.post("/", self.query)])
        if self._allow_faults:
            application.add_routes([web.post("/faults", self.set_faults)])
        return application

    async def ping(self, _: web.Request) -> web.Response:
        return web.Response(text="Ok.\n")

    async def set_faults(self, request: web.Request) -> web.Response:
        """Replaces the faults that are still to happen, and answers with those; body: the fields of `Faults` as JSON."""
        left = self._faults
        try:
            self._faults = msgspec.json.decode(await request.read(), type=Faults)
        except msgspec.MsgspecError as error:
            return web.Response(status=400, text=f"{error}\n")
        return web.Response(body=msgspec.json.encode(left), content_type="application/json")

    async def query(self, request: web.Request) -> web.StreamResponse:
        if self._faults.take("stall"):
            await asyncio.sleep(self._faults.stall_seconds)
        if self._faults.take("refuse"):
            return web.Response(status=503, text="Service unavailable (a test asked for it)\n")
        base = headers(self._engine.timezone, request.query.get("query_id") or str(uuid.uuid4()))
        try:
            call = await read_call(request)
            if call is None:
                return web.Response(text="Ok.\n")
            base |= {"X-ClickHouse-Format": call.format}
            if call.statement.data is not None:
                return await self._insert(request, call, base)
            if call.statement.verb in QUERIES and call.format in STREAMED:
                return await self._stream(request, call, base)
            return await self._whole(request, call, base)
        except UnsupportedType as error:
            problem = f"{error}: unknown layout; ask without client_protocol_version"
            return failure(refusal(48, "NOT_IMPLEMENTED", problem), self._engine.version, base)
        except EngineError as error:
            return failure(error, self._engine.version, base)

    async def _insert(self, request: web.Request, call: Call, base: dict[str, str]) -> web.Response:
        written = await self._run(self._engine.insert, call)
        if self._faults.take("cut_inserts") and request.transport is not None:
            request.transport.abort()
        return web.Response(headers=base | summary(written_rows=written))

    async def _whole(self, request: web.Request, call: Call, base: dict[str, str]) -> web.Response:
        body, read = await self._run(self._engine.whole, call)
        body = blocks_for_protocol(body, protocol_version(request, call))
        method = compression(request)
        pack = packer(method)
        encoding = {"Content-Encoding": method} if method and body else {}
        packed = pack.pack(body) + pack.last() if body else b""
        return web.Response(body=packed, headers=base | encoding | summary(read_rows=read))

    async def _stream(self, request: web.Request, call: Call, base: dict[str, str]) -> web.StreamResponse:
        """Sends block after block. An error before the first block is an error's answer, a later one ends the body."""
        async with aclosing(self._blocks(call, protocol_version(request, call))) as blocks:
            first = await anext(blocks, b"")
            if not first:
                return web.Response(headers=base | summary())
            if request.query.get("wait_end_of_query") == "1":  # an error must still be able to become the answer
                first = b"".join([first, *[block async for block in blocks]])
            method, tag = compression(request), uuid.uuid4().hex[:16]
            pack = packer(method)
            encoding = {"Content-Encoding": method} if method else {}
            answer = web.StreamResponse(headers=base | encoding | summary() | {"X-ClickHouse-Exception-Tag": tag})
            await answer.prepare(request)
            await answer.write(pack.pack(first))
            try:
                async for block in blocks:
                    await answer.write(pack.pack(block))
            except EngineError as error:
                await answer.write(pack.pack(late_failure(error, self._engine.version, tag)))
            await answer.write(pack.last())
            await answer.write_eof()
            return answer

    async def _blocks(self, call: Call, version: int) -> AsyncGenerator[bytes, None]:
        blocks = self._engine.blocks(call)
        try:
            while (block := await self._run(_next, blocks)) is not None:
                yield block_for_protocol(block, version)
        finally:
            await self._run(blocks.close)

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _next(blocks: Generator[bytes, None, None]) -> bytes | None:
    return next(blocks, None)


async def serve(path: Path, port: int, *, allow_faults: bool) -> None:
    """Serves the engine over `path` on 127.0.0.1 until SIGTERM or SIGINT."""
    engine = Engine(path)
    adapter = Adapter(engine, allow_faults=allow_faults)
    runner = web.AppRunner(
        adapter.application(), access_log=None, auto_decompress=False, shutdown_timeout=SHUTDOWN_SECONDS
    )
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port)
    await site.start()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    print(f"ready {runner.addresses[0][1]}", flush=True)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # nobody reads standard output after this line
    await ended.wait()
    await runner.cleanup()
    engine.close()


def main() -> None:
    arguments = argparse.ArgumentParser(prog="python -m sinks.embedded.adapter", description=__doc__)
    arguments.add_argument("--path", type=Path, required=True)
    arguments.add_argument("--port", type=int, default=0, help="0: any free port")
    arguments.add_argument("--faults", action="store_true", help="tests only: accept POST /faults")
    options = arguments.parse_args()
    asyncio.run(serve(options.path, options.port, allow_faults=options.faults))
    os._exit(0)  # queries that outlived the shutdown must not hold the process


if __name__ == "__main__":
    main()
