"""The alerts of the live page, from a real Alertmanager, and from what is none."""

from __future__ import annotations

import asyncio
from asyncio import to_thread
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from schemas import metrics as m
from streams.live import alerts
from streams.live.alerts import AlertReader
from streams.live.picture import Alerts
from tests.alerts.alertmanager import fired, running

SITE = 'shop "x" \\ ü'
QUIET = {"route": {"receiver": "nobody"}, "receivers": [{"name": "nobody"}]}
STEP = {m.SITE: SITE, m.FUNNEL: "purchase", m.STAGE: "cart", "next_stage": "buy", "severity": "page"}


async def asked(url: str, site: str = SITE, *, until: str = "") -> Alerts:
    """What the reader knows after it has asked; with `until`, once it knows an alert of that name."""
    reader = AlertReader(url, site)
    asking = asyncio.create_task(reader.keep_asking())
    try:
        async with asyncio.timeout(20):
            while reader.now.state == "asking" or (until and until not in {alert.name for alert in reader.now.items}):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    return reader.now


async def test_what_fires_for_this_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alerts, "EVERY", 0.2)
    posted = [
        fired(STEP | {"alertname": "Ticketed", "severity": "ticket"}, {"summary": "a\nslow  decline"}),
        fired(
            STEP | {"alertname": "Fell", "dimension": "channel×device", "value": "paid×mobile"},
            {"summary": "<b>fell</b>"},
        ),
        fired({m.SITE: SITE, "alertname": "Stalled", "severity": "page"}, {}),
        fired({m.SITE: SITE, "alertname": "Watchdog", "severity": "none"}, {}),
        fired(STEP | {m.SITE: "another", "alertname": "Elsewhere"}, {}),
        fired(STEP | {"alertname": "Over"}, {}, over=True),
    ]
    with running(QUIET, tmp_path) as alertmanager:
        await to_thread(alertmanager.post, posted)
        found = await asked(f"http://127.0.0.1:{alertmanager.port}", until="Ticketed")
    assert [(alert.name, alert.severity, alert.funnel, alert.where, alert.summary) for alert in found.items] == [
        ("Fell", "page", "purchase", "cart → buy, channel×device paid × mobile", "<b>fell</b>"),
        ("Stalled", "page", "", "", "Stalled"),
        ("Ticketed", "ticket", "purchase", "cart → buy", "a slow decline"),
    ]
    assert found.state == "known"
    assert all(1_700_000_000_000 < alert.since < 4_000_000_000_000 for alert in found.items)


@pytest.mark.parametrize(
    ("status", "body", "problem"),
    [
        (502, b"", "Alertmanager answers 502"),
        (301, b"", "Alertmanager answers 301"),
        (200, b"<html>", "what answers at [web] alertmanager is no Alertmanager"),
        (200, b'[{"labels": 1}]', "what answers at [web] alertmanager is no Alertmanager"),
        (200, b"[" + b" " * (alerts.LARGEST + 1), "what answers at [web] alertmanager is no Alertmanager"),
    ],
    ids=["502", "redirect", "no JSON", "other JSON", "too long"],
)
async def test_why_they_are_unknown(status: int, body: bytes, problem: str) -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body)

    app = web.Application()
    app.router.add_get("/api/v2/alerts", answer)
    async with TestServer(app) as server:
        found = await asked(f"http://127.0.0.1:{server.port}")
    assert (found.state, found.problem, found.items) == ("failed", problem, ())


async def test_nobody_answers_or_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    found = await asked("http://127.0.0.1:1")
    assert found.state == "failed"
    assert found.problem.startswith("Alertmanager can't be reached: ")
    assert (await asked("")).state == "off"
    monkeypatch.setattr(alerts, "PATIENCE", 0.1)

    async def sleep(_: web.Request) -> web.Response:
        await asyncio.sleep(1)
        return web.Response()

    app = web.Application()
    app.router.add_get("/api/v2/alerts", sleep)
    async with TestServer(app) as server:
        found = await asked(f"http://127.0.0.1:{server.port}")
    assert found.problem == "Alertmanager does not answer within 0 s"
