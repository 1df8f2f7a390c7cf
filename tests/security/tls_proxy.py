"""TLS and a log-in in front of the embedded ClickHouse, which has neither."""

from __future__ import annotations

import asyncio
import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import aiohttp
from aiohttp import web

#: What ClickHouse says to a stranger, and its status.
REFUSED = "Code: 516. DB::Exception: {user}: Authentication failed: password is incorrect, or there is no user with such name. (AUTHENTICATION_FAILED)\n"
_HOP = {"transfer-encoding", "content-length", "connection", "keep-alive", "date", "server", "host"}


@contextmanager
def tls_proxy(target: str, context: ssl.SSLContext, user: str, password: str) -> Iterator[str]:
    """Serves https on loopback; passes requests of this user on to `target`. Yields its URL."""
    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), list[int]()

    async def handle(request: web.Request) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        named = request.headers.get("X-ClickHouse-User", "")
        known = given == "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        known = known or (named == user and request.headers.get("X-ClickHouse-Key") == password)
        if not known and request.path != "/ping":
            return web.Response(
                status=403,
                text=REFUSED.format(user=named or "stranger"),
                headers={"X-ClickHouse-Exception-Code": "516"},
            )
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP}
        async with (
            aiohttp.ClientSession(auto_decompress=False) as session,
            session.request(
                request.method, f"{target}{request.path_qs}", data=await request.read(), headers=headers
            ) as answer,
        ):
            kept = {name: value for name, value in answer.headers.items() if name.lower() not in _HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def serve() -> web.AppRunner:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_route("*", "/{tail:.*}", handle)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
        ports.append(runner.addresses[0][1])
        ready.set()
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(serve())
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(20)
        yield f"https://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
