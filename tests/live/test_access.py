"""For everybody: contrast as rendered, names and roles, the keyboard alone, a phone's width. Writes the pictures of the docs when asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from schemas.live import MINUTE
from streams.live.follow import wall_clock
from streams.live.picture import Alert, Alerts
from tests.live.chromium import Page
from tests.live.site import Site
from tests.live.story import FAULT_BEGAN, story
from tests.live.test_page import SHOWN, TEXT, counted, this_minute

ACCESS = (Path(__file__).parent / "access.js").read_text()
#: Screens: width and scheme; the name of the picture that the docs have of it.
SCREENS = {
    (1280, False): "live-light", (1280, True): "live-dark", (390, False): "live-phone-light", (390, True): "live-phone-dark",
}  # fmt: skip
FOCUSED = "(document.activeElement.name || document.activeElement.id || document.activeElement.className)"

#: Whether one sees where the focus is.
SEEN = """(() => {
    const at = document.activeElement, shown = at.type === 'radio' ? at.nextElementSibling : at;
    return getComputedStyle(shown).outlineStyle !== 'none' || at.matches('.skip');
})()"""


def firing(now: int) -> Alerts:
    text = "purchase: begin_checkout → purchase (channel Paid Search) fell 52 % (60.3 % → 28.9 %)"
    where = "begin_checkout → purchase, channel Paid Search"
    return Alerts("known", items=(
        Alert("FunnelSegmentConversionDrop", "page", "purchase", where, text, now - FAULT_BEGAN + 5 * MINUTE),
        Alert("FunnelConversionDropDaily", "ticket", "newsletter", "form_start → signup", "newsletter: form_start → signup fell 18 %",
              now - 80 * MINUTE),
    ))  # fmt: skip


@pytest.fixture(scope="module")
def busy() -> list[Any]:
    return list(story(wall_clock()))


@pytest.mark.parametrize("screen", SCREENS, ids=SCREENS.values())
async def test_every_screen_can_be_read_by_all(
    screen: tuple[int, bool], site: Site, page: Page, busy: list[Any], request: pytest.FixtureRequest
) -> None:
    width, dark = screen
    site.take(*busy)
    site.beat()
    site.alert(firing(wall_clock()))
    await page.look(width, dark=dark)
    await page.goto(site.url + "?by=channel&period=15m")
    await page.until(SHOWN)
    await page.until("document.querySelectorAll('#alerts li').length === 2")
    assert await page.run("document.querySelectorAll('#segments .fell').length") >= 1
    assert await page.run("getComputedStyle(document.body).backgroundColor") == (
        "rgb(17, 19, 22)" if dark else "rgb(245, 246, 247)"
    )
    assert await page.run(ACCESS) == []
    folder: Path | None = request.config.getoption("--images")
    if folder is not None:
        (folder / f"{SCREENS[screen]}.png").write_bytes(await page.screenshot())


#: What somebody might do to the page, and what the checks must then say.
SPOILED = {
    "document.querySelector('.line').style.color = '#bbb'; document.querySelector('.line').textContent = 'faint'": "contrast",
    "document.body.style.color = 'rgba(0, 0, 0, 0.3)'": "contrast",
    "document.querySelector('select').style.borderColor = '#eee'": "edge",
    "document.querySelector('#by').parentElement.replaceWith(document.querySelector('#by'))": "no name: <select",
    "document.querySelector('#stages').setAttribute('aria-labelledby', 'nobody')": "points nowhere: nobody",
    "document.querySelector('#stages-title').id = 'by'": "an id stands twice",
    "document.querySelector('main').remove()": "main: not 1",
    "document.querySelector('select').tabIndex = 3": "[tabindex]",
    "const made = document.createElement('h3'); made.textContent = 'x'; document.querySelector('#alerts-title').replaceWith(made)": "a level of headings",
    "document.querySelector('thead th').removeAttribute('scope')": "th without scope: Stage",
    "document.querySelector('#stages thead').remove()": "a table without headers",
    "document.querySelector('#main').setAttribute('aria-live', 'polite')": "too much is announced: main",
    "document.querySelector('#state').setAttribute('aria-live', 'assertive')": "interrupts: state",
    "document.querySelector('select').style.cssText = 'height: 20px; min-height: 0'": "too small to hit: <select",
    "document.querySelector('#segments-scroll').tabIndex = -1, document.querySelector('#segments').style.width = '3000px'": "can't be scrolled",
    "document.documentElement.lang = ''": "no language",
    "document.querySelector('h1').style.width = '3000px'": "wider than the screen",
    "document.querySelector('#figures').remove()": "texts were looked at",
}  # fmt: skip


async def test_the_checks_find_what_is_spoiled(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), {"visit": {"Email": 10}}))
    await page.goto(site.url)
    await page.until(SHOWN)
    check = "".join(ACCESS.splitlines(keepends=True)[1:]).strip()  # without its comment
    for spoil, complaint in SPOILED.items():
        found = await page.run(f"""(() => {{
            const whole = document.body.cloneNode(true);
            {spoil};
            const found = {check};
            document.body.replaceWith(whole);
            document.documentElement.lang = 'en';
            return found;
        }})()""")
        assert any(complaint in line for line in found), (spoil, found)
    assert await page.run(ACCESS) == []


async def test_the_check_of_the_focus_finds_one_that_is_not_shown(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), {"visit": {"Email": 10}}))
    await page.goto(site.url)
    await page.until(SHOWN)
    await page.run("document.styleSheets[0].insertRule('*:focus-visible { outline: none !important; }'), 1")
    await page.press("Tab")  # the way past the choice is a text that appears
    assert await page.run(SEEN)
    await page.press("Tab")
    assert not await page.run(SEEN)


async def test_other_states_can_be_read_too(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), {"visit": {"Email": 10}}))
    site.alert(Alerts("failed", "Alertmanager answers 502"))
    for dark in (False, True):
        await page.look(1280, dark=dark)
        await page.goto(site.url + "?funnel=nobody")
        await page.until(SHOWN)
        assert await page.run(ACCESS) == []
        await site.stop()
        await page.until(TEXT.format("state"), lambda text: "trying again" in text)
        assert await page.run(ACCESS) == []
        await site.start()
        site.beat()


async def test_a_table_stays_a_table_for_screen_readers_on_a_phone(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), {"visit": {"Email": 10}}))
    await page.look(390)
    await page.goto(site.url)
    await page.until(SHOWN)
    tree = (await page.send("Accessibility.getFullAXTree"))["nodes"]
    named = [(node["role"]["value"], node.get("name", {}).get("value", "")) for node in tree if not node["ignored"]]
    roles = [role for role, _ in named]
    assert named.count(("table", "Stages")) == 1
    assert {"columnheader", "rowheader", "cell", "row"} <= set(roles)
    assert ("rowheader", "visit Visits by channel") in named
    assert ("status", "") in named
    for control in [("combobox", "Funnel"), ("combobox", "Break down by"), ("radio", "15 min"), ("group", "Period"),
                    ("main", ""), ("heading", "purchase"), ("region", "By channel")]:  # fmt: skip
        assert control in named, control


async def test_the_keyboard_alone_is_enough(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), {"visit": {"Email": 10}}))
    await page.goto(site.url + "?funnel=purchase&by=channel&period=1h")
    await page.until(SHOWN)
    stops = []
    for _ in range(5):
        await page.press("Tab")
        stops.append(await page.run(FOCUSED))
        assert await page.run(SEEN), stops
    assert stops == ["skip", "funnel", "period", "by", "segments-scroll"]
    await page.press("Tab", shift=True)
    await page.press("Tab", shift=True)
    await page.press("ArrowRight")
    await page.until("location.search", lambda text: text.endswith("period=today"))
    assert await page.run("document.activeElement.value") == "today"
    await page.press("ArrowLeft")
    await page.press("ArrowLeft")
    await page.until("location.search", lambda text: text.endswith("period=15m"))
    await page.press("Tab")
    await page.press("ArrowDown")
    await page.until("location.search", lambda text: "by=device" in text)
    assert await page.run("document.activeElement.id") == "by"
    await page.until(TEXT.format("segments-title"), lambda text: text == "By device")
