"""The worker's web server, asked anything: it answers each request, and never with a fault of its own."""

from __future__ import annotations

from collections import Counter
from random import Random
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout
from prometheus_client import CollectorRegistry
from yarl import URL

from sinks.prometheus.web import MetricsServer
from tests.fuzz.mutate import ODD

PAGES = ("/metrics", "/healthz", "/readyz", "/", "/funnels", "/metrics/../x", "//", "/%00", "/%ff")
NAMES = ("name[]", "by", "since", "funnel", "q", "", "a" * 300)
HEADERS = ("Accept", "Accept-Encoding", "Authorization", "Range", "If-None-Match", "X-Forwarded-For")


async def ask(rng: Random, requests: int) -> Counter[int]:
    """So many requests. Answers by status. Raises AssertionError for a fault (5xx) of the server."""
    server = MetricsServer(CollectorRegistry(), token="t")
    port = await server.start("127.0.0.1", 0)
    found: Counter[int] = Counter()
    try:
        async with ClientSession(timeout=ClientTimeout(20)) as session:
            for _ in range(requests):
                query = "&".join(f"{quote(rng.choice(NAMES))}={_quoted(rng)}" for _ in range(rng.randint(0, 3)))
                path = f"{rng.choice(PAGES)}?{query}"
                headers = {name: _header(rng) for name in rng.sample(HEADERS, rng.randint(0, 2))}
                method = rng.choice(("GET", "GET", "GET", "HEAD", "POST", "OPTIONS", "BREW"))
                try:
                    async with session.request(
                        method, URL(f"http://127.0.0.1:{port}{path}", encoded=True), headers=headers, data=b"x" * rng.choice((0, 9, 9_000)) or None
                    ) as answer:  # fmt: skip
                        await answer.read()
                        found[answer.status] += 1
                        assert answer.status < 500, f"{method} {path} {headers}: {answer.status}"
                except ClientError:
                    found[0] += 1  # the client would not send it, or the server hung up on what is no HTTP
            async with session.get(f"http://127.0.0.1:{port}/healthz") as answer:
                assert answer.status == 200, "the server is gone"
    finally:
        await server.stop()
    return found


def _quoted(rng: Random) -> str:
    text = str(rng.choice(ODD))[:2_000]
    return (
        quote(text.encode("utf-8", "surrogatepass"))
        if rng.random() < 0.8
        else quote(text.encode("utf-8", "replace"), safe="%&=+;#")
    )


def _header(rng: Random) -> str:
    text = "".join(
        char
        for char in str(rng.choice((*ODD, "*/*", "text/plain; version=x", "gzip;q=z", "Bearer t", "bytes=9-1")))
        if char.isprintable()
    )
    return text.encode("utf-8", "replace").decode("latin-1")[:4_000]
