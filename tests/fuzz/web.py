"""The worker's web server, asked anything: it answers each request, and never with a fault of its own."""

from __future__ import annotations

from collections import Counter
from random import Random
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout
from yarl import URL

from schemas.definitions import load_funnels
from tests.fuzz.mutate import ODD
from tests.fuzz.stream import FUNNELS
from tests.live.site import Site

LIVE = "/live"  # a stream of events: its beginning is read
PAGES = ("/metrics", "/healthz", "/readyz", "/", LIVE, LIVE, LIVE, "/live.js", "/metrics/../x", "//", "/%00", "/%ff")
NAMES = ("funnel", "by", "period", "name[]", "q", "", "a" * 300)
KNOWN = ("purchase", "lead", "channel", "device", "hour", "day")
HEADERS = ("Accept", "Accept-Encoding", "Authorization", "Range", "If-None-Match", "X-Forwarded-For", "Last-Event-ID")
METHODS = ("GET", "GET", "GET", "HEAD", "POST", "OPTIONS")


async def ask(rng: Random, requests: int) -> Counter[int]:
    """So many requests. Answers by status. Raises AssertionError for a fault (5xx) of the server."""
    site = Site(load_funnels(FUNNELS))
    await site.start()
    found: Counter[int] = Counter()
    try:
        async with ClientSession(timeout=ClientTimeout(20)) as session:
            for _ in range(requests):
                found[await _one(rng, session, site)] += 1
            async with session.get(f"{site.url}healthz") as answer:
                assert answer.status == 200, "the server is gone"
    finally:
        await site.stop()
    return found


async def _one(rng: Random, session: ClientSession, site: Site) -> int:
    """The status of one answer; 0 where the client would not send it, or the server hung up on what is no HTTP."""
    page, method = rng.choice(PAGES), rng.choice(METHODS)
    query = "&".join(f"{quote(rng.choice(NAMES))}={_quoted(rng)}" for _ in range(rng.randint(0, 3)))
    headers = {name: _header(rng) for name in rng.sample(HEADERS, rng.randint(0, 2))}
    url = URL(f"{site.url[:-1]}{page}?{query}", encoded=True)
    body = b"x" * rng.choice((0, 9, 9_000)) or None
    try:
        async with session.request(method, url, headers=headers, data=body) as answer:
            if page == LIVE and answer.status == 200 and method == "GET":
                line = await answer.content.readline()
                assert line.startswith(b'data: {"now":'), line[:200]
                answer.close()
            else:
                await answer.read()
    except ClientError:
        return 0
    busy = page == LIVE and answer.status == 503  # as many as it takes look at the page
    assert answer.status < 500 or busy, f"{method} {url} {headers}: {answer.status}"
    return answer.status


def _quoted(rng: Random) -> str:
    text = str(rng.choice((*ODD, *KNOWN)))[:2_000]
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
