"""The page at `/` and its stream. The files hold no figures and are open to all; the stream asks for the token."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from importlib.resources import files

from aiohttp import hdrs, web

from sinks.prometheus.web import Guard
from streams.live.hub import Hub

#: The page loads nothing but its own files, and writes no markup from texts.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
#: Address → file and content type.
FILES = {
    "/": ("live.html", "text/html"),
    "/live.css": ("live.css", "text/css"),
    "/live.js": ("live.js", "text/javascript"),
    "/live-draw.js": ("live-draw.js", "text/javascript"),
    "/live.svg": ("live.svg", "image/svg+xml"),
}
#: Seconds that a browser may take to fetch a picture.
PATIENCE = 20.0


class LivePage:
    """Adds the routes to the worker's web server. `guard`: who may see figures."""

    def __init__(self, hub: Hub, guard: Guard) -> None:
        self._hub, self._guard = hub, guard
        folder = files("streams.live") / "static"
        self._files = {address: ((folder / name).read_bytes(), kind) for address, (name, kind) in FILES.items()}

    def add_to(self, app: web.Application) -> None:
        for address in FILES:
            app.router.add_get(address, self._file)
        app.router.add_get("/live", self._stream, allow_head=False)

    async def _file(self, request: web.Request) -> web.Response:
        body, kind = self._files[request.path]
        return web.Response(body=body, content_type=kind, charset="utf-8", headers={"Content-Security-Policy": POLICY})

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events: `{"now": ms, "picture": …}`, or the time alone while nothing changes."""
        refused = self._guard.refusal(request)
        if refused is not None:
            return refused
        if self._hub.full:
            return web.Response(status=503, text="too many look at this worker's page\n", headers={"Retry-After": "10"})
        response = web.StreamResponse(headers={hdrs.CONTENT_TYPE: "text/event-stream", "X-Accel-Buffering": "no"})
        await response.prepare(request)
        try:
            async with aclosing(self._hub.watch(*self._hub.artist.chosen(request.query))) as news:
                async for now, picture in news:
                    more = b"" if picture is None else b',"picture":' + picture
                    data = b'data: {"now":' + str(now).encode() + more + b"}\n\n"
                    await asyncio.wait_for(response.write(data), PATIENCE)
        except (TimeoutError, ConnectionError):  # gone, or too slow: it connects anew
            pass
        return response
