"""Two workers, a real broker, a real browser: the page shows the whole, the same on both, and a crash doubles nothing."""

from __future__ import annotations

from asyncio import to_thread
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas import metrics as m
from schemas.funnel import Funnel
from schemas.live import MINUTE, Account, Counts, Published, encode
from schemas.report import Report
from schemas.topics import live
from sinks.embedded.kafka import EmbeddedKafka
from sinks.kafka import KeyValue
from streams.live.follow import wall_clock
from tests.e2e.child import Child
from tests.e2e.prometheus import Series, net_counters
from tests.e2e.stack import Stack, write_records
from tests.live.chromium import Page
from tests.live.test_page import CELLS, SHOWN, TEXT
from tests.stream.shop import SITE, answer, send_part

PARTS = 3
#: What the page shows of stages: name, reached, and the rest; of segments: value, entered, steps.
Table = list[list[str]]


@pytest.fixture
def stack(tmp_path: Path, broker: EmbeddedKafka) -> Iterator[Stack]:
    with Stack(tmp_path, broker.bootstrap_servers, "http://127.0.0.1:1", "none", SITE) as made:
        yield made


def percent(part: int, whole: int) -> str:
    """A rate as the page writes it."""
    if not whole:
        return "–"
    tenths = round(1000 * part / whole)
    tenths = min(max(tenths, 1), 999) if 0 < part < whole else tenths
    return f"{tenths // 10}.{tenths % 10} %"


def table(reached: list[int], dropped: Sequence[Mapping[str, int]], names: list[str], previous: list[int]) -> Table:
    """The rows of the stages: name, reached, from start, from previous, and how many dropped off."""
    rows = []
    for level, name in enumerate(names):
        step = percent(reached[level], reached[previous[level]]) if level else ""
        lost = f"{sum(dropped[level].values()):,}" if level < len(names) - 1 else ""
        rows.append([name, f"{reached[level]:,}", percent(reached[level], reached[0]), step, lost])
    return rows


def of_metrics(workers: list[Child], levels: list[str], previous: list[int]) -> Table:
    """The purchase funnel as the workers' /metrics have it, added up."""
    sums = Counter[Series]()
    for worker in workers:
        sums.update(net_counters(worker, ["channel"]))
    reached = [sums[m.STAGE_ENTERED.name, "purchase", "all", "all", (("funnel_stage", level),)] for level in levels]
    dropped = [
        {
            dict(more)["reason"]: amount
            for (name, funnel, dimension, _, more), amount in sums.items()
            if (name, funnel, dimension) == (m.STAGE_DROPPED.name, "purchase", "all")
            and dict(more)["funnel_stage"] == level
        }
        for level in levels
    ]  # fmt: skip
    return table(reached, dropped, levels, previous)


def of_report(report: Report, levels: list[str], previous: list[int]) -> Table:
    stages = report.stages
    return table([stage.attempts for stage in stages], [stage.dropped_by for stage in stages], levels, previous)


async def shown(page: Page) -> Table:
    """The same columns of what the page shows; numbers at the beginning of each cell."""
    rows: list[list[Any]] = await page.run(CELLS.format("stages"))
    return [[row[0].split()[0], row[1], row[2], row[3], row[5].split(" ")[0]] for row in rows]


async def until_shown(page: Page, wanted: Table) -> None:
    reached = [row[1] for row in wanted]
    await page.until(CELLS.format("stages"), lambda rows: [row[1] for row in rows] == reached)
    assert await shown(page) == wanted


@pytest.mark.slow
async def test_two_workers_show_one_whole_through_crash_and_restart_and_where_it_falls(
    stack: Stack, page: Page
) -> None:
    first, second = stack.start("worker", ready=False), stack.start("worker", "b", ready=False)
    first.until_ready()
    second.until_ready()
    funnel = next(funnel for funnel in stack.funnels if funnel.name == "purchase")
    levels, previous = list(funnel.levels), [0, 0, 1, 2, 3, 3]  # add_payment_info is optional
    address = "http://127.0.0.1:{}/?funnel=purchase&by=channel&period=1h"
    await to_thread(send_part, stack, 0, PARTS)
    await to_thread(stack.until_followed, first)

    for child in (first, second):
        child.get("/metrics")  # the first scrape shows every series at 0, so that increase() sees what follows
    half = of_metrics([first, second], levels, previous)
    assert all(
        child.get("/metrics")[1].count('funnel_stage_entered_total{dimension="all"') for child in (first, second)
    )
    for worker in (second, first):
        await page.goto(address.format(worker.port))
        await page.until(SHOWN)
        await until_shown(page, half)
    assert await page.run(TEXT.format("state")) == "Live, 2 workers"

    second.kill()  # two seconds at most are not yet told; these are
    await to_thread(send_part, stack, 1, PARTS)
    assert first.stop() == 0  # in order: the rest is told at the end
    first, second = stack.start("worker", ready=False), stack.start("worker", "b", ready=False)
    await to_thread(send_part, stack, 2, PARTS)
    first.until_ready()
    await to_thread(stack.until_followed, first)

    report = answer(stack.funnels).reports["purchase"]
    await page.until(TEXT.format("state"), lambda text: text == "Live, 2 workers")  # by itself, on the same port
    await until_shown(page, of_report(report, levels, previous))
    channels = {row[0]: row[1] for row in await page.run(CELLS.format("segments"))}
    assert channels == {value: f"{stages[0].attempts:,}" for value, stages in report.by["channel"].items()}
    assert all("ERR_" in complaint for complaint in page.complaints)  # while nobody listened

    usual = {"begin_checkout": 400, "purchase": 240}
    seed = told(funnel, wall_clock() - 7 * MINUTE, usual)
    await write_records(stack.settings, live(stack.prefix), seed)
    faulty = {"mobile": (150, 6), "desktop": (150, 90)}
    await to_thread(stack.send_all, "clicks", checkouts(answer(stack.funnels).horizon, faulty))
    await page.goto(f"http://127.0.0.1:{second.port}/?funnel=purchase&by=device&period=5m")
    await page.until(SHOWN)
    fell = "[...document.querySelectorAll('#segments td.fell')].map(cell => [cell.parentNode.cells[0].innerText, cell.cellIndex])"
    assert await page.until(fell) == [["mobile", 6]]  # → purchase


def told(funnel: Funnel, at: int, entered: Mapping[str, int]) -> dict[int, list[KeyValue]]:
    """What a worker that has gone told of that minute: mobile and desktop alike."""
    accounts = tuple(
        Account(m.STAGE_ENTERED.name, (stage,), {"device": {"mobile": amount, "desktop": amount}})
        for stage, amount in entered.items()
    )
    counts = (Counts(funnel.name, funnel.version, {}, accounts),)
    record = Published("gone", at, at // MINUTE * MINUTE, at, ended=True, counts=counts)
    return {0: [(record.key(), encode(record))]}


def checkouts(start: int, wanted: Mapping[str, tuple[int, int]]) -> dict[int, list[KeyValue]]:
    """Sessions that go as far as the checkout, and those that buy: (sessions, of them buyers) by device."""
    found: dict[int, list[KeyValue]] = {0: [], 1: []}
    for device, (sessions, buyers) in wanted.items():
        for number in range(sessions):
            key, steps = f"{device}-{number}", ["session_start", "view_item", "add_to_cart", "begin_checkout"]
            for step, name in enumerate([*steps, "purchase"] if number < buyers else steps):
                event = {"event": name, "timestamp": start + 1000 * step, "session_id": key, "device": device}
                found[number % 2].append((key.encode(), msgspec.json.encode(event | {"event_id": f"{key}-{step}"})))
    return found
