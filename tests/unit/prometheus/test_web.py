"""The web server, over real sockets on a free port."""

from __future__ import annotations

import gzip
import socket
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiohttp.test_utils import TestClient, TestServer

from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.rows import Row
from sinks.prometheus.collector import registry
from sinks.prometheus.counters import FunnelCounters, Tally
from sinks.prometheus.labels import LabelPolicy
from sinks.prometheus.web import MetricsServer

Client = TestClient[aiohttp.web.Request, aiohttp.web.Application]


class Worker:
    """What the probes ask."""

    def __init__(self) -> None:
        self.alive = self.ready = ""


@pytest.fixture
def worker() -> Worker:
    return Worker()


@pytest.fixture
def counters(shop: Funnel) -> FunnelCounters:
    return FunnelCounters([shop], LabelPolicy(), "example")


@pytest.fixture
async def server(worker: Worker, counters: FunnelCounters) -> MetricsServer:
    return MetricsServer(registry(counters), lambda: worker.alive, lambda: worker.ready)


@pytest.fixture
async def client(server: MetricsServer) -> AsyncIterator[Client]:
    async with TestClient(TestServer(server.application())) as client:
        yield client


async def test_metrics_in_the_text_format_by_default(client: Client) -> None:
    answer = await client.get("/metrics")
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    text = await answer.text()
    assert "# TYPE funnel_conversions_total counter\n" in text
    assert 'funnel_conversions_total{dimension="all",funnel="shop",funnel_site="example",value="all"} 0.0\n' in text


async def test_openmetrics_when_asked(client: Client) -> None:
    answer = await client.get(
        "/metrics", headers={"Accept": "application/openmetrics-text;version=1.0.0,text/plain;q=0.5"}
    )
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0; charset=utf-8")
    text = await answer.text()
    assert "# TYPE funnel_conversions counter\n" in text
    assert text.endswith("# EOF\n")


@pytest.mark.parametrize(
    "accept", ["application/openmetrics-text;version=x.y", "text/plain;version=", "\xff;;,,=", "*/*"]
)
async def test_an_odd_accept_header_gets_a_page(client: Client, accept: str) -> None:
    answer = await client.get("/metrics", headers={"Accept": accept})
    assert answer.status == 200
    assert "funnel_conversions" in await answer.text()


async def test_gzip_when_accepted(server: MetricsServer) -> None:
    async with TestClient(TestServer(server.application()), auto_decompress=False) as client:
        zipped = await client.get("/metrics", headers={"Accept-Encoding": "gzip"})
        plain = await client.get("/metrics", headers={"Accept-Encoding": "identity"})
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert "Content-Encoding" not in plain.headers
        assert gzip.decompress(await zipped.read()) == await plain.read()


async def test_counts_appear(client: Client, counters: FunnelCounters, row: Callable[..., Row]) -> None:
    await client.get("/metrics")
    counters.count(Tally([row(), row()]))
    text = await (await client.get("/metrics")).text()
    assert (
        'funnel_attempts_started_total{dimension="all",funnel="shop",funnel_site="example",value="all"} 2.0\n' in text
    )


async def test_a_head_request_reads_no_series(
    client: Client, counters: FunnelCounters, row: Callable[..., Row]
) -> None:
    counters.count(Tally([row(entry_dims=("tiktok", "tv"))]))
    sample = 'started_total{dimension="channel",funnel="shop",funnel_site="example",value="tiktok"}'
    for _ in range(3):
        head = await client.head("/metrics")
        assert (head.status, await head.read()) == (200, b"")
    assert f"{sample} 0.0\n" in await (await client.get("/metrics")).text()
    assert f"{sample} 1.0\n" in await (await client.get("/metrics")).text()


@pytest.mark.parametrize("path, field", [("/healthz", "alive"), ("/readyz", "ready")])
async def test_probes(client: Client, worker: Worker, path: str, field: str) -> None:
    well = await client.get(path)
    assert (well.status, await well.text()) == (200, "ok\n")
    setattr(worker, field, "recovering: 3 of 8\npartitions")
    ill = await client.get(path)
    assert (ill.status, await ill.text()) == (503, "recovering: 3 of 8\ufffdpartitions\n")
    assert (await client.head(path)).status == 503


@pytest.mark.parametrize("path", ["/", "/metrics/", "/favicon.ico", "/..%2fetc/passwd", "/METRICS"])
async def test_all_else_is_not_found(client: Client, path: str) -> None:
    assert (await client.get(path)).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"])
async def test_only_get_and_head(client: Client, method: str) -> None:
    answer = await client.request(method, "/metrics")
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD"


@pytest.mark.parametrize("path", ["/metrics", "/healthz", "/none"])
async def test_security_headers_on_every_answer(client: Client, path: str) -> None:
    headers = (await client.get(path)).headers
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["Cache-Control"] == "no-store"
    assert headers.getall("Server") == ["funnelwatch"]


@pytest.mark.parametrize(
    "given, status",
    [
        (None, 401), ("", 401), ("Bearer", 401), ("Bearer wrong", 401), ("Basic s3cret\u00e9", 401),
        ("Bearer s3cret\u00e9 ", 200), ("Bearer s3cret\u00e9", 200), ("Bearer s3cret\u00e9x", 401),
    ],
)  # fmt: skip
async def test_a_token_guards_the_metrics_alone(counters: FunnelCounters, given: str | None, status: int) -> None:
    server = MetricsServer(registry(counters), token="s3cret\u00e9")
    async with TestClient(TestServer(server.application())) as client:
        answer = await client.get("/metrics", headers={} if given is None else {"Authorization": given})
        assert answer.status == status
        assert ("funnel_" in await answer.text()) == (status == 200)
        assert (await client.get("/healthz")).status == 200


async def test_start_and_stop(server: MetricsServer) -> None:
    port = await server.start("127.0.0.1", 0)
    assert port > 0
    async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/healthz") as answer:
        assert answer.status == 200
    await server.stop()
    await server.stop()
    with socket.socket() as free:
        free.bind(("127.0.0.1", port))


async def test_a_taken_address_is_one_clear_line(server: MetricsServer) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError,
            match=rf"^\[web\] listen: 127.0.0.1:{port} can't be listened on: Address already in use; choose another",
        ):
            await server.start("127.0.0.1", port)


async def test_nor_can_a_name_that_is_none(server: MetricsServer) -> None:
    with pytest.raises(
        ConfigError, match=r"^\[web\] sink_listen: no\.such\.invalid:1 can't be listened on: (?!Unknown)[^;]+; choose"
    ):
        await server.start("no.such.invalid", 1, "sink_listen")
