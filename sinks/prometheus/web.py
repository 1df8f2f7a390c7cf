"""The worker's small web server: `/metrics`, `/healthz`, `/readyz`, and the pages that it is given."""

from __future__ import annotations

import asyncio
import gzip
import hmac
import os
from collections.abc import Callable
from http import HTTPStatus
from typing import Protocol

from aiohttp import hdrs, web
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder, generate_latest

from schemas.errors import ConfigError
from sinks.prometheus.collector import Snapshot
from sinks.prometheus.labels import clean

#: Asked at each probe: "" while all is well, else one line that says what is not.
Check = Callable[[], str]

#: Content type of the text format, for a client that states no preference we can serve.
PLAIN = "text/plain; version=0.0.4; charset=utf-8"

_SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Server": "funnelwatch",  # in place of the versions of Python and aiohttp
}

_METHODS = (hdrs.METH_GET, hdrs.METH_HEAD)


def _well() -> str:
    return ""


class Guard:
    """Who may see figures: whoever sends `Authorization: Bearer …` with the token; everybody, if it is empty."""

    def __init__(self, token: str = "") -> None:
        self._token = token.encode()

    def refusal(self, request: web.Request) -> web.Response | None:
        """The answer to a request without the token; None for one that has it."""
        given = request.headers.get(hdrs.AUTHORIZATION, "").encode("utf-8", "surrogateescape")
        if not self._token or hmac.compare_digest(given, b"Bearer " + self._token):
            return None
        return web.Response(
            status=HTTPStatus.UNAUTHORIZED,
            text="a bearer token is needed\n",
            headers={"WWW-Authenticate": "Bearer"},
        )


class Pages(Protocol):
    """More that the server serves."""

    def add_to(self, app: web.Application) -> None: ...


class MetricsServer:
    """Serves a registry, two probes, and `pages`.

    `alive`, `ready`: see `Check`; answered with 200, else 503 and the line. `token`: what `/metrics` demands as
    `Authorization: Bearer …`; the probes stay open, as orchestrators send none.
    """

    def __init__(
        self, registry: CollectorRegistry, alive: Check = _well, ready: Check = _well, token: str = "",
        pages: Pages | None = None,
    ) -> None:  # fmt: skip
        self._registry, self._alive, self._ready = registry, alive, ready
        self._guard, self._pages = Guard(token), pages
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int, setting: str = "listen") -> int:
        """Listen; port 0 takes a free one. Returns the port. Raises ConfigError, naming the setting, if the address can't be had."""
        runner = web.AppRunner(self.application(), access_log=None, shutdown_timeout=1.0)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
        except (OSError, OverflowError) as error:
            await runner.cleanup()
            errno = getattr(error, "errno", None) or 0
            # asyncio's own text names the address once more; the numbers of names that can't be resolved are negative
            reason = os.strerror(errno) if errno > 0 else getattr(error, "strerror", None) or str(error)
            raise ConfigError(
                f"[web] {setting}", f"{host}:{port} can't be listened on: {reason}", "choose another address or port"
            ) from error
        self._runner = runner
        return int(runner.addresses[0][1])

    async def stop(self) -> None:
        """Stop listening and end open connections. May be called twice."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def application(self) -> web.Application:
        """The aiohttp application alone, to be mounted or tested."""
        app = web.Application(client_max_size=1024)
        app.on_response_prepare.append(_secure)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        if self._pages is not None:
            self._pages.add_to(app)
        return app

    async def _metrics(self, request: web.Request) -> web.Response:
        refused = self._guard.refusal(request)
        if refused is not None:
            return refused
        encode, content_type = _encoder(request.headers.get(hdrs.ACCEPT, ""))
        headers = {hdrs.CONTENT_TYPE: content_type, hdrs.VARY: "Accept, Accept-Encoding"}
        if request.method == hdrs.METH_HEAD:  # reads no series: what is new must not pass for seen
            return web.Response(headers=headers)
        snapshot = Snapshot(self._registry.collect())  # here, where the sums don't move; the slow rest elsewhere
        zipped = "gzip" in request.headers.get(hdrs.ACCEPT_ENCODING, "")
        body = await asyncio.to_thread(_render, encode, snapshot, zipped=zipped)
        if zipped:
            headers[hdrs.CONTENT_ENCODING] = "gzip"
        return web.Response(body=body, headers=headers)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return _probe(self._alive())  # that this answers at all proves that the event loop turns

    async def _readyz(self, _request: web.Request) -> web.Response:
        return _probe(self._ready())


async def _secure(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    own = response.headers.get("Content-Security-Policy", _SECURITY["Content-Security-Policy"])
    response.headers.update(_SECURITY | {"Content-Security-Policy": own})


def _probe(problem: str) -> web.Response:
    status = HTTPStatus.SERVICE_UNAVAILABLE if problem else HTTPStatus.OK
    return web.Response(status=status, text=f"{clean(problem) if problem else 'ok'}\n")


def _encoder(accept: str) -> tuple[Callable[[Snapshot], bytes], str]:
    """The format that the client prefers, as prometheus-client negotiates it; plain text if it can't be understood."""
    try:
        return choose_encoder(accept)
    except (ValueError, TypeError):  # a version that is none
        return generate_latest, PLAIN


def _render(encode: Callable[[Snapshot], bytes], snapshot: Snapshot, *, zipped: bool) -> bytes:
    body = encode(snapshot)
    return gzip.compress(body, compresslevel=1, mtime=0) if zipped else body
