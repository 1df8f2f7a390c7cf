"""The browser, and the page in the test's own process. Without a Chromium these tests are skipped."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from schemas.definitions import load_funnels
from streams.live import hub
from tests.live.chromium import Chromium, Page, find, opened
from tests.live.site import Site
from tests.live.story import FUNNELS


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    """A headless browser for the whole run."""
    program = find()
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium, or run .ci/tools as root")
    browser = Chromium(program, tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.kill()


@pytest.fixture
async def page(chromium: Chromium) -> AsyncIterator[Page]:
    """A new tab, 1280 pixels wide."""
    async with opened(chromium) as tab:
        await tab.look(1280)
        yield tab


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    """The demo's shop, with nothing counted yet. Pictures come ten times as often, to spare time."""
    monkeypatch.setattr(hub, "SHORTEST", 0.1)
    made = Site(load_funnels(FUNNELS))
    await made.start()
    yield made
    await made.stop()
