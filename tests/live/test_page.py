"""The page in a real Chromium: what it shows, what it never does, and how it is operated."""

from __future__ import annotations

import msgspec
import pytest

from schemas import metrics as m
from schemas.definitions import load_funnels
from schemas.live import MINUTE, Account, Counts, Published
from streams.live.follow import wall_clock
from streams.live.picture import Alert, Alerts
from tests.live.chromium import Page
from tests.live.site import Site
from tests.live.story import FUNNELS, purchase, story

SHOWN = "!document.getElementById('figures').hidden && document.getElementById('main').ariaBusy === 'false'"
TEXT = "document.getElementById('{}').innerText"
CELLS = """[...document.querySelectorAll('#{} tbody tr')].map(
    row => [...row.children].map(cell => cell.innerText.replace(/\\s+/g, ' ').trim()))"""
ALERT = Alert("FunnelConversionDrop", "page", "purchase", "begin_checkout → purchase", "purchase fell 58 %", 0)


def counted(
    minute: int, entered: dict[str, dict[str, int]], *more: Account, ready: dict[str, int | None] | None = None
) -> Published:
    """A worker's record of the purchase funnel. `entered`: stage → channel → amount."""
    accounts = [
        Account(m.STAGE_ENTERED.name, (stage,), {"all": {"all": sum(by.values())}, "channel": by})
        for stage, by in entered.items()
    ]
    funnel = purchase()
    counts = (Counts(funnel.name, funnel.version, ready or {}, (*accounts, *more)),)
    return Published(
        "shop-1", 1, minute, wall_clock(), lag=7, watermark=wall_clock() - 2000, open={"purchase": 5}, counts=counts
    )


def this_minute() -> int:
    return wall_clock() // MINUTE * MINUTE


FEW = {"visit": {"Email": 200, "Direct": 100}, "view_item": {"Email": 100, "Direct": 50}, "add_to_cart": {"Email": 30}}


async def test_stages_rates_drop_offs_and_breakdown(site: Site, page: Page) -> None:
    dropped = Account(m.STAGE_DROPPED.name, ("visit", "window_timeout"), {"all": {"all": 1_234}})
    broken = Account(m.STAGE_DROPPED.name, ("visit", "session_end"), {"all": {"all": 7}})
    bought = Account(m.CONVERSIONS.name, (), {"all": {"all": 3}})
    revenue = Account(m.CONVERSION_VALUE.name, ("EUR",), {"all": {"all": 1_234_500_000_000}})
    read = Account(m.EVENTS.name, ("matched",), {"all": {"all": 4_000}})
    site.take(counted(this_minute(), FEW, dropped, broken, bought, revenue, read))
    await page.goto(site.url)
    await page.until(SHOWN)
    rows = await page.run(CELLS.format("stages"))
    assert rows[0][:4] == ["visit Visits by channel", "300", "100.0 %", ""]
    assert rows[0][5] == "1,241 1,234 window passed 7 session ended"
    assert rows[1][:4] == ["view_item Share that looks at a product", "150", "50.0 %", "50.0 %"]
    assert rows[2][1:4] == ["30", "10.0 %", "20.0 %"]
    assert rows[5][:4] == ["purchase Purchase rate; revenue, average order value", "0", "0.0 %", "–"]
    assert await page.run(CELLS.format("segments")) == [
        ["Email", "200", "50.0 %", "30.0 %", "0.0 %", "–", "–", "0.0 %"],
        ["Direct", "100", "50.0 %", "0.0 %", "–", "–", "–", "0.0 %"],
    ]
    key = (await page.run(TEXT.format("key"))).split("\n")
    assert [line for line in key if line] == [
        "Started", "300", "Converted", "3", "Conversion", "1.0 %", "Under way now", "5", "Revenue", "€1,234.50",
    ]  # fmt: skip
    stream = await page.run(TEXT.format("stream"))
    assert "7 records" in stream
    assert "4,000 matched" in stream
    assert await page.run(TEXT.format("state")) == "Live, 1 worker"

    site.take(counted(this_minute(), {**FEW, "purchase": {"Email": 3}}, bought))  # and it moves by itself
    await page.until(CELLS.format("stages"), lambda rows: rows[5][1] == "3")


async def test_nothing_comes_from_outside_and_nothing_is_refused(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), FEW))
    await page.goto(site.url)
    await page.until(SHOWN)
    assert {url.removeprefix(site.url).partition("?")[0] for url in page.requests} == {
        "", "live", "live.css", "live.js", "live-draw.js", "live.svg",
    }  # fmt: skip
    assert page.complaints == []
    assert await page.run("document.querySelectorAll('[style], [onclick], style, script:not([src])').length") == sum(
        1 for stage in purchase().stages
    )  # the bars' widths, set through the object model: as markup the policy would refuse them
    refused = await page.run(
        "fetch('http://127.0.0.1:9/').then(() => 'sent', error => document.body.append(document.createElement('p')) || 'refused')"
    )
    assert refused == "refused"
    assert "Content Security Policy" in " ".join(page.complaints)


HOSTILE = (
    "<img src=x onerror=alert(1)>", "</td></table><script>document.title='taken'</script>", "'\"&amp;&lt;b&gt;",
    "\u202egnihtemos\u202d", "שלום עולם", "x" * 119, "{{ 7*7 }} ${7*7}",
)  # fmt: skip


async def test_hostile_names_stay_text(site: Site, page: Page) -> None:
    values = {name: 100 + index for index, name in enumerate(HOSTILE)}
    site.take(counted(this_minute(), {"visit": values}))
    site.alert(Alerts("known", items=tuple(
        Alert(name, "page", name, name, name, wall_clock()) for name in HOSTILE
    )))  # fmt: skip
    await page.goto(site.url + "?by=channel&funnel=" + "%3Cscript%3Ealert(1)%3C/script%3E")
    await page.until(SHOWN)
    names = await page.run("[...document.querySelectorAll('#segments tbody th')].map(cell => cell.textContent)")
    assert sorted(names) == sorted(HOSTILE)
    alerts = await page.run("[...document.querySelectorAll('#alerts .text > bdi')].map(text => text.textContent)")
    assert sorted(alerts) == sorted(HOSTILE)
    assert await page.run(TEXT.format("note")) == "There is no funnel “<script>alert(1)</script>”."
    assert (
        await page.run("document.querySelectorAll('main img, main script, main b:not(.reach b), body > script').length")
        == 0
    )
    assert await page.run("[...document.querySelectorAll('#segments tbody th bdi')].length") == len(HOSTILE)
    assert await page.run("document.title") == "purchase – funnelwatch"
    assert page.complaints == []
    for width in (1280, 390):
        await page.look(width)
        assert await page.run("document.documentElement.scrollWidth") <= width


async def test_an_expectation_is_shown_or_its_absence_said(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), FEW))
    await page.goto(site.url)
    await page.until(SHOWN)
    assert "No worker that is heard computes an expectation" in await page.run(TEXT.format("expectation"))
    site.take(counted(this_minute(), FEW, ready={"visit": None}))
    await page.until(TEXT.format("expectation"), lambda text: "still learning what is usual. Until" in text)
    site.take(counted(this_minute(), FEW, ready={"visit": 1_796_040_000_000}))
    await page.until(
        TEXT.format("expectation"), lambda text: "usual, until Mon 30 Nov, 12:00 or a little later." in text
    )
    expected = Account(m.STAGE_EXPECTED_CONVERSIONS.name, ("visit",), {"all": {"all": 250_400_000}})
    came = Account(m.STAGE_CONVERSIONS.name, ("visit",), {"all": {"all": 150}})
    site.take(counted(this_minute(), FEW, expected, came, ready={"visit": 0, "view_item": None}))
    await page.until(TEXT.format("expectation"), lambda text: text == "")
    row = (await page.run(CELLS.format("stages")))[1]
    assert row[3:5] == ["fell to ▼ 50.0 %", "250 150 came"]  # 250.4 were to be expected
    assert (await page.run(CELLS.format("stages")))[2][4] == "learning"


async def test_a_fault_is_marked_where_it_strikes(site: Site, page: Page) -> None:
    site.take(*story(wall_clock(), expects=False))
    site.beat()
    await page.goto(site.url + "?by=channel%C3%97device&period=15m")
    await page.until(SHOWN)
    marked = "[...document.querySelectorAll('#segments td.fell')].map(cell => cell.parentNode.children[0].innerText)"
    assert await page.until(marked) == ["Paid Search × mobile"]
    cell = await page.run("document.querySelector('#segments td.fell').innerText.replace(/\\s+/g, ' ')")
    assert cell.startswith("fell to ▼ 1")
    assert await page.run("document.querySelector('#segments td.fell').cellIndex") == 6  # → purchase
    assert await page.run(TEXT.format("segments-line")) == "▼ Fell: Paid Search × mobile → purchase."


async def test_alerts_are_listed_or_why_there_are_none(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), FEW))
    await page.goto(site.url)
    await page.until(SHOWN)
    line = TEXT.format("alerts-line")
    assert "the settings name no Alertmanager" in await page.run(line)
    site.alert(Alerts("known"))
    await page.until(line, lambda text: text == "None are firing.")
    other = msgspec.structs.replace(ALERT, funnel="newsletter", severity="ticket", summary="newsletter fell")
    site.alert(Alerts("known", items=(other, msgspec.structs.replace(ALERT, since=wall_clock()))))
    await page.until(line, lambda text: text == "")
    shown = await page.run("[...document.querySelectorAll('#alerts li')].map(item => item.innerText.split('\\n')[0])")
    assert shown == ["Page", "Ticket"]  # those of the chosen funnel first
    news = "document.getElementById('alerts-news').textContent"
    assert await page.run(news) == "New alert: newsletter fell; purchase fell 58 %"
    site.alert(Alerts("failed", "Alertmanager answers 502"))
    await page.until(line, lambda text: text == "Unknown: Alertmanager answers 502.")


async def test_nobody_and_nothing_are_said(site: Site, page: Page) -> None:
    await page.goto(site.url)
    await page.until(SHOWN)
    assert await page.run(TEXT.format("state")) == "No worker is heard"
    assert "Nobody has entered “purchase” since" in await page.run(TEXT.format("empty"))
    ago = msgspec.structs.replace(counted(this_minute(), FEW), at=wall_clock() - 40_000)
    site.take(ago)
    await page.until(TEXT.format("stream"), lambda text: "shop-1 is silent since" in text)
    assert await page.run(TEXT.format("state")) == "No worker is heard"
    age = await page.until(TEXT.format("age"))
    assert age.startswith("as of ")
    assert 35 <= int(age.split()[-3]) <= 90  # "40 s ago"
    under_way = "[...document.querySelectorAll('#key dt')].find(term => term.innerText === 'Under way now').nextSibling.innerText"
    assert await page.run(under_way) == "–"
    site.take(msgspec.structs.replace(counted(this_minute(), FEW), counts=(Counts("purchase", "another"),)))
    await page.until(TEXT.format("stream"), lambda text: "another definition" in text)


async def test_a_worker_that_is_gone_is_told_at_the_top(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), FEW), msgspec.structs.replace(counted(this_minute(), FEW), worker="shop-2"))
    await page.goto(site.url)
    await page.until(SHOWN)
    assert await page.run(TEXT.format("state")) == "Live, 2 workers"
    site.take(msgspec.structs.replace(counted(this_minute(), FEW), worker="shop-2", at=wall_clock() - 20_000))
    site.take(counted(this_minute(), FEW))
    await page.until(TEXT.format("state"), lambda text: text == "Live, but 1 of 2 workers")
    assert await page.run("document.getElementById('pulse').dataset.state") == "stale"


async def test_many_alerts_leave_room_for_the_figures(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), FEW))
    site.alert(Alerts("known", items=tuple(
        msgspec.structs.replace(ALERT, name=f"Fell{number}", since=wall_clock()) for number in range(40)
    )))  # fmt: skip
    await page.goto(site.url)
    await page.until(SHOWN)
    assert await page.until("document.querySelectorAll('#alerts li').length") == 9
    assert await page.run("document.querySelector('#alerts li:last-child').innerText") == "and 32 more in Alertmanager"


async def test_on_a_phone_names_leave_room_for_figures(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), {"visit": {"x" * 119: 1_234_567, "a b c d e f g " * 8: 5}}))
    await page.look(390)
    await page.goto(site.url)
    await page.until(SHOWN)
    right, edge = await page.run("""["#segments tbody td", "#segments-scroll"].map(
        found => document.querySelector(found).getBoundingClientRect().right)""")
    assert right <= edge  # the first figure is seen without scrolling


async def test_a_lost_connection_is_said_and_mended(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), FEW))
    await page.goto(site.url)
    await page.until(SHOWN)
    await site.stop()
    await page.until(TEXT.format("state"), lambda text: text == "Connection lost; trying again")
    assert "figures of" in await page.until(TEXT.format("age"), lambda text: text.startswith("in "))
    assert await page.run("document.querySelector('#stages tbody td').innerText") == "300"  # they stay
    await site.start()
    site.beat()
    await page.until(TEXT.format("state"), lambda text: text == "Live, 1 worker")


async def test_the_address_holds_the_choice(site: Site, page: Page) -> None:
    site.take(counted(this_minute(), FEW))
    await page.goto(site.url + "?funnel=purchase&by=device&period=24h")
    await page.until(SHOWN)
    chosen = "[funnel.value, by.value, document.querySelector('input[name=period]:checked').value]"
    assert await page.run(chosen) == ["purchase", "device", "24h"]
    await page.run("funnel.value = 'newsletter', funnel.dispatchEvent(new Event('change', {bubbles: true}))")
    await page.until(TEXT.format("title"), lambda text: text == "newsletter")
    await page.until("location.search", lambda text: text == "?funnel=newsletter&by=channel&period=24h")
    await page.run("history.back()")
    await page.until(TEXT.format("title"), lambda text: text == "purchase")
    assert await page.until("location.search", bool) == "?funnel=purchase&by=device&period=24h"
    assert await page.until(chosen, lambda found: found[0] == "purchase") == ["purchase", "device", "24h"]


async def test_the_token_opens_it_and_stays_in_the_tab(page: Page) -> None:
    site = Site(load_funnels(FUNNELS), token="s3cret ü ✓")
    await site.start()
    try:
        site.take(counted(this_minute(), FEW))
        await page.goto(site.url)
        await page.until("!login.hidden && document.activeElement.id === 'token'")
        assert await page.run("figures.hidden") is True
        await page.type("wrong")
        await page.press("Enter")
        await page.until(TEXT.format("login-error"), lambda text: text == "That token was not accepted.")
        await page.type("s3cret ü ✓")
        await page.press("Enter")
        await page.until(SHOWN)
        assert await page.run("document.querySelector('#stages tbody td').innerText") == "300"
        await page.send("Page.reload")
        await page.until("document.readyState === 'complete' && " + SHOWN)
        assert await page.run("[localStorage.length, document.cookie, sessionStorage.length]") == [0, "", 1]
        assert not any("s3cret" in url for url in page.requests)
    finally:
        await site.stop()


@pytest.mark.parametrize("token", ["", "s3cret"])
async def test_only_the_stream_asks_for_the_token(token: str, page: Page) -> None:
    site = Site(load_funnels(FUNNELS), token=token)
    await site.start()
    try:
        await page.goto(site.url)
        status = "fetch('live', {{headers: {}}}).then(answer => (answer.body.cancel(), answer.status))"
        assert await page.run(status.format("{}")) == (401 if token else 200)
        assert await page.run(status.format("{Authorization: 'Bearer s3cret'}")) == 200
    finally:
        await site.stop()
