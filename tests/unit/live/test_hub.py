"""What the page may cost: one drawing for all, a bounded number of streams, and nothing while nobody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import aiohttp
import pytest

from schemas.definitions import load_funnels
from streams.live import hub as hubs
from streams.live.follow import wall_clock
from streams.live.hub import Hub
from streams.live.picture import Picture
from tests.live.site import Site
from tests.live.story import FUNNELS
from tests.live.test_page import FEW, counted, this_minute


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    monkeypatch.setattr(hubs, "SHORTEST", 0.05)
    monkeypatch.setattr(hubs, "LINGER", 0.2)
    made = Site(load_funnels(FUNNELS))
    await made.start()
    yield made
    await made.stop()


async def first(hub: Hub, period: str) -> tuple[int, bytes | None]:
    choice, note = hub.artist.chosen({"period": period})
    async with aclosing(hub.watch(choice, note)) as news:
        return await anext(news)


async def test_many_who_look_at_the_same_cost_one_drawing(site: Site) -> None:
    site.take(counted(this_minute(), FEW))
    found = await asyncio.gather(*(first(site.hub, "1h") for _ in range(30)))
    assert len({picture for _, picture in found}) == 1
    assert 1 <= site.hub.drawings <= 3
    assert site.reader.readings == 1


async def test_drawing_takes_a_twentieth_of_the_time_at_most(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "SHORTEST", 0.0)
    took = 0.02
    draw = site.hub.artist.draw

    def slowly(*arguments: Any) -> Picture:
        time.sleep(took)
        return draw(*arguments)

    monkeypatch.setattr(site.hub.artist, "draw", slowly)
    began = time.monotonic()
    choice, note = site.hub.artist.chosen({})
    async with aclosing(site.hub.watch(choice, note)) as news:
        await anext(news)
        await asyncio.sleep(1.0)
    assert site.hub.drawings <= 1 + (time.monotonic() - began) / (hubs.SHARE * took)


async def test_nothing_is_done_while_nobody_looks(site: Site) -> None:
    assert site.hub.drawings == site.reader.readings == 0
    await first(site.hub, "1h")
    await asyncio.sleep(0.6)
    drawn = site.hub.drawings
    await asyncio.sleep(0.3)
    assert site.hub.drawings == drawn
    await first(site.hub, "1h")  # and it begins again
    assert site.hub.drawings > drawn
    assert site.reader.readings == 2


async def test_streams_are_bounded_and_make_room_when_they_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "MOST_STREAMS", 2)
    monkeypatch.setattr(hubs, "PULSE", 0.05)
    async with aiohttp.ClientSession() as session:
        one, two = await session.get(site.url + "live"), await session.get(site.url + "live")
        assert (one.status, two.status, one.content_type) == (200, 200, "text/event-stream")
        await one.content.readuntil(b"\n\n")
        async with session.get(site.url + "live") as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "10")
        two.close()
        async with asyncio.timeout(5):
            while site.hub.full:  # noqa: ASYNC110 - nobody is told
                await asyncio.sleep(0.05)
        async with session.get(site.url + "live") as three:
            assert three.status == 200
        one.close()


async def test_a_stream_that_does_not_change_says_the_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubs, "PULSE", 0.05)
    choice, note = site.hub.artist.chosen({})
    async with aclosing(site.hub.watch(choice, note)) as news:
        while (await anext(news))[1] is None:
            pass
        then, nothing = await anext(news)
        assert nothing is None
        assert abs(wall_clock() - then) < 60_000
        site.take(counted(this_minute(), FEW))
        async with asyncio.timeout(5):
            while (await anext(news))[1] is None:
                pass


async def test_streams_end_with_the_server(site: Site) -> None:
    async with aiohttp.ClientSession() as session, session.get(site.url + "live") as stream:
        await stream.content.readuntil(b"\n\n")
        await site.stop()
        async with asyncio.timeout(5):
            assert b"picture" not in await stream.content.read()
