"""The demo as a user starts it: figures move, the fault shows, and nothing is left when it ends."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import SinkError
from schemas.metrics import STAGE_EXPECTED_CONVERSIONS
from schemas.settings import load_settings
from sinks.clickhouse.client import connect, rows_of
from streams.demo.alarm import installed
from streams.demo.plan import HISTORY, Wish, timeline
from tests.live.chromium import Chromium, find, opened

pytest.importorskip("chdb", reason="no embedded ClickHouse: chdb is not installed (funnelwatch[embedded])")

PAGE = re.compile(r"PAGE to team shop: purchase: begin_checkout → purchase .*fell")
#: A page that goes out with a dozen conversions missing may be right and not yet sure.
RESPONSIBLE = re.compile(r" +responsible: (most likely )?channel×device Paid Social×mobile \(p = ")
FAULT_AFTER, FAULT_FOR = 20.0, 40.0
OVER = re.compile(r"  OVER: purchase: begin_checkout → purchase\n")
WISH = Wish(seed=7, visitors_per_day=200_000.0, fault_after=FAULT_AFTER, fault_for=FAULT_FOR)
#: What the live page is asked for.
SHOWN = {"funnel": "purchase", "by": "channel×device", "period": "5m"}
#: So many checkouts of the segment on each side of the fault's beginning, each with ten minutes of event time to buy in.
CHECKOUTS, MINUTES = 30, 10
CHECKOUT, PURCHASE = 3, 5

SEGMENT = """
SELECT entry_time >= fromUnixTimestamp64Milli({fault:Int64}, 'UTC') AS fault, count(), countIf(bitTest(reached, {bought:UInt8}))
FROM attempts_v
WHERE funnel = 'purchase' AND dimensions['device'] = 'mobile' AND dimensions['channel'] = 'Paid Social'
    AND bitTest(reached, {checkout:UInt8}) AND entry_time < fromUnixTimestamp64Milli({mended:Int64}, 'UTC')
    AND entry_time < (SELECT min(watermark) FROM progress_v WHERE funnel = 'purchase') - toIntervalMinute({minutes:UInt8})
GROUP BY fault"""
BEGINNING = "SELECT toUnixTimestamp64Milli(min(entry_time)) FROM attempts_v WHERE funnel = 'purchase'"


class Running:
    """A demo in `directory`, as a process in a session of its own."""

    def __init__(self, directory: Path, *options: str) -> None:
        self.directory, self.output = directory / "demo-data", directory / "output"
        command = [sys.executable, "-m", "streams.cli", "demo", "--directory", str(self.directory), *options]
        root = Path(__file__).parents[2]
        environment = os.environ | {"PYTHONPATH": str(root), "COLUMNS": "100"}
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=environment,
                cwd=directory, start_new_session=True,
            )  # fmt: skip

    @property
    def said(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def until(self, holds: Callable[[], bool], seconds: float = 100.0) -> None:
        deadline = time.monotonic() + seconds
        while not holds():
            assert self.process.poll() is None, self.said
            assert time.monotonic() < deadline, self.said
            time.sleep(0.2)

    def tells(self, pattern: re.Pattern[str], seconds: float = 100.0) -> bool:
        """Whether it comes to say so in this time."""
        deadline = time.monotonic() + seconds
        while pattern.search(self.said) is None and time.monotonic() < deadline:
            assert self.process.poll() is None, self.said
            time.sleep(0.2)
        return pattern.search(self.said) is not None

    def processes(self) -> dict[int, str]:
        """The command lines of all processes that work in this demo's folder, by pid."""
        listed = subprocess.run(["ps", "-eww", "-o", "pid=,args="], capture_output=True, text=True, check=True).stdout
        found = (line.split(maxsplit=1) for line in listed.splitlines() if str(self.directory) in line)
        return {int(pid): arguments for pid, arguments in found}

    def nothing_left(self, seconds: float = 20.0) -> bool:
        deadline = time.monotonic() + seconds
        while self.processes() and time.monotonic() < deadline:
            time.sleep(0.2)
        return not self.processes()


@pytest.fixture
def start(kafka_jars: Path, tmp_path: Path) -> Iterator[Callable[..., Running]]:
    """Starts demos; whatever a failed test leaves of them is ended by pid."""
    running: list[Running] = []

    def begin(*options: str) -> Running:
        running.append(Running(tmp_path, *options))
        return running[-1]

    yield begin
    for demo in running:
        for pid in demo.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        demo.process.wait(10)


def expected_conversions(config: Path) -> float:
    """Of the step that the fault hits, by the worker's metrics."""
    with urllib.request.urlopen(f"http://{load_settings(config, {}, {}).web.listen}/metrics", timeout=60) as answer:
        families = text_string_to_metric_families(answer.read().decode())
        samples = [sample for family in families for sample in family.samples]
    return sum(
        sample.value
        for sample in samples
        if sample.name == STAGE_EXPECTED_CONVERSIONS.name
        and (sample.labels["funnel_stage"], sample.labels["dimension"]) == ("begin_checkout", "all")
    )


def starved(demo: Running) -> bool:
    """Whether Prometheus has missed scrapes, or has seen events wait: this machine is too busy for an hour a minute."""
    found = re.search(r"http://(\S+) \(Prometheus\)", demo.said)
    assert found is not None, demo.said
    text = '1 - min(avg_over_time(up[2m])) > 0.05 or max_over_time(ALERTS{alertname="FunnelIngestStalled"}[2m])'
    query = urllib.parse.urlencode({"query": text})
    with urllib.request.urlopen(f"http://{found[1]}/api/v1/query?{query}", timeout=60) as answer:
        return bool(msgspec.json.decode(answer.read())["data"]["result"])


class Rates(msgspec.Struct):
    """Checkouts and purchases of the segment, before the fault and in it."""

    before: tuple[int, int] = (0, 0)
    during: tuple[int, int] = (0, 0)


def rates(config: Path) -> Rates:
    try:
        client = connect(load_settings(config, {}, {}).clickhouse)
    except SinkError:
        return Rates()
    try:
        (beginning,) = rows_of(client, "find the beginning", BEGINNING)[0]
        fault = timeline(WISH, int(beginning) + HISTORY).fault
        assert fault is not None
        scope = {
            "fault": fault.start_ms,
            "mended": fault.end_ms,
            "checkout": CHECKOUT,
            "bought": PURCHASE,
            "minutes": MINUTES,
        }
        found = Rates()
        for during, checkouts, bought in rows_of(client, "read the segment", SEGMENT, scope):
            setattr(found, "during" if during else "before", (int(checkouts), int(bought)))
        return found
    except SinkError:
        return Rates()
    finally:
        client.close()


def caught(picture: dict[str, Any]) -> bool:
    """Whether the live page shows the fall where it is, and the page that went out for it."""
    fell = {segment["value"] for segment in picture["segments"] if segment["changes"][PURCHASE] == "fell"}
    alerts = [alert for alert in picture["alerts"]["items"] if alert["severity"] == "page"]
    return "Paid Social×mobile" in fell and any("begin_checkout → purchase" in alert["where"] for alert in alerts)


def until_caught(config: Path, seconds: float = 40.0) -> None:
    """Looks at the live page, as the worker sends it, until the fall is on it."""
    deadline, listen = time.monotonic() + seconds, load_settings(config, {}, {}).web.listen
    with urllib.request.urlopen(f"http://{listen}/live?{urllib.parse.urlencode(SHOWN)}", timeout=30) as answer:
        for line in answer:
            message = msgspec.json.decode(line.removeprefix(b"data: ")) if line.startswith(b"data: ") else {}
            if "picture" in message and caught(message["picture"]):
                return
            assert time.monotonic() < deadline, message
    raise AssertionError("the stream has ended")


async def take_picture(config: Path, folder: Path, profile: Path) -> None:
    """The live page as it is now, in a real browser."""
    program = find()
    assert program is not None, "pictures need a Chromium"
    browser = Chromium(program, profile)
    try:
        async with opened(browser) as page:
            await page.look(1280, height=1390)
            await page.goto(f"http://{load_settings(config, {}, {}).web.listen}/?{urllib.parse.urlencode(SHOWN)}")
            await page.until(
                "!!(document.querySelector('#alerts [data-severity=page]') && document.querySelector('#segments .fell'))"
            )
            (folder / "demo.png").write_bytes(await page.screenshot(whole=False))
    finally:
        browser.kill()


def minute_of(text: str) -> int:
    """Minutes of the day of `20:48:40` or `20:48`."""
    return int(text[:2]) * 60 + int(text[3:5])


@pytest.mark.slow
def test_the_story_is_told_and_ctrl_c_leaves_nothing(
    start: Callable[..., Running], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    demo = start("--fault-after", f"{FAULT_AFTER:g}", "--fault-for", f"{FAULT_FOR:g}", "--visitors-per-day", "200000")
    config, began = (
        demo.directory / "funnelwatch.toml",
        "a bug goes live: mobile × instagram can't get past purchase (80% fail)",
    )
    demo.until(lambda: f" UTC  {began}\n" in demo.said, 200.0)
    assert "mobile × instagram loses 80% at purchase" in demo.said
    told = installed() is not None
    if told and demo.tells(PAGE):
        page, responsible = demo.said.partition("PAGE to team shop")[2].splitlines()[:2]
        assert RESPONSIBLE.match(responsible) is not None, responsible
        line = next(line for line in demo.said.splitlines() if line.endswith(began))
        since = re.search(r"since \w+ \d+ \w+, (\d\d:\d\d)", page)
        assert since is not None, page
        assert (minute_of(since[1]) - minute_of(line)) % 1440 in (0, 1, 1439), f"{line}\n{page}"
        until_caught(config)
        folder: Path | None = request.config.getoption("--images")
        if folder is not None:
            asyncio.run(take_picture(config, folder, tmp_path / "chromium"))
    elif not told:
        assert "Prometheus and Alertmanager are not installed: nobody is paged" in demo.said
    demo.until(lambda: "  the bug is fixed\n" in demo.said)
    figures_are_right(demo, config)
    busy = told and not (demo.tells(PAGE) and demo.tells(OVER))
    assert not busy or starved(demo), demo.said

    assert len(demo.processes()) >= 6  # the demo, Kafka, ClickHouse, the worker and the sink with their guards
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(40) == 0, demo.said
    assert demo.nothing_left(), demo.processes()
    assert "Traceback" not in demo.said
    assert demo.said.endswith("stays until the next demo.\n")
    assert {path.name for path in tmp_path.iterdir()} - {"chromium"} == {"demo-data", "output"}
    if busy:
        pytest.skip("this machine is too busy for an hour a minute: Prometheus can't read the worker's metrics in time")


def figures_are_right(demo: Running, config: Path) -> None:
    """They rise, and the fault shows in ClickHouse in the segment that it hits."""
    found = Rates()

    def enough() -> bool:
        nonlocal found
        found = rates(config)
        return min(found.before[0], found.during[0]) >= CHECKOUTS

    demo.until(enough)
    # Those who have just come to the checkout have not bought yet: both rates are lower than they will be.
    assert found.before[1] / found.before[0] > 0.3
    assert found.during[1] / found.during[0] < 0.6 * found.before[1] / found.before[0]
    demo.until(lambda: len(set(re.findall(r"purchase: visit ([0-9,]+)", demo.said))) >= 3)
    visits = [int(number.replace(",", "")) for number in re.findall(r"purchase: visit ([0-9,]+)", demo.said)]
    assert visits == sorted(visits)
    assert expected_conversions(config) > 0  # learned from the weeks before
    listen = load_settings(config, {}, {}).web.listen
    assert f"  LIVE PAGE   http://{listen}/\n" in demo.said
    assert demo.said.index("LIVE PAGE") < min(demo.said.index(part) for part in ("  Kafka ", "  worker "))


def test_it_can_be_ended_while_it_starts(start: Callable[..., Running]) -> None:
    demo = start("--calm")
    demo.until(lambda: "funnelwatch demo" in demo.said and len(demo.processes()) > 1)
    demo.process.send_signal(signal.SIGTERM)
    assert demo.process.wait(40) == 0, demo.said
    assert demo.nothing_left(), demo.processes()
    assert "Traceback" not in demo.said


def test_a_second_ctrl_c_ends_it_at_once(start: Callable[..., Running]) -> None:
    demo = start("--calm")
    demo.until(lambda: "Ctrl-C ends all" in demo.said)
    demo.process.send_signal(signal.SIGINT)
    demo.until(lambda: "ending the traffic" in demo.said)
    began = time.monotonic()
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(10) == 130, demo.said
    assert time.monotonic() - began < 5
    assert demo.nothing_left(), demo.processes()
    assert "Traceback" not in demo.said
