"""The demo as a user starts it: figures move, the fault shows, and nothing is left when it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from schemas.errors import SinkError
from schemas.metrics import STAGE_EXPECTED_CONVERSIONS
from schemas.settings import load_settings
from sinks.clickhouse.client import connect, rows_of
from streams.demo.alarm import installed
from streams.demo.plan import HISTORY, Wish, timeline

pytest.importorskip("chdb", reason="no embedded ClickHouse: chdb is not installed (funnelwatch[embedded])")

PAGE = re.compile(r"PAGE to team shop: purchase: begin_checkout → purchase .*fell")
WISH = Wish(seed=7, visitors_per_day=200_000.0, fault_after=1.0, fault_for=600.0)
#: So many checkouts of the segment on each side of the fault's beginning, each with ten minutes of event time to buy in.
CHECKOUTS, MINUTES = 30, 10
CHECKOUT, PURCHASE = 3, 5

SEGMENT = """
SELECT entry_time >= fromUnixTimestamp64Milli({fault:Int64}, 'UTC') AS fault, count(), countIf(bitTest(reached, {bought:UInt8}))
FROM attempts_v
WHERE funnel = 'purchase' AND dimensions['device'] = 'mobile' AND dimensions['channel'] = 'Paid Social'
    AND bitTest(reached, {checkout:UInt8})
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


def scrape_seconds(config: Path) -> float:
    """How long the worker's metrics take now."""
    began = time.monotonic()
    expected_conversions(config)
    return time.monotonic() - began


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
        scope = {"fault": fault.start_ms, "checkout": CHECKOUT, "bought": PURCHASE, "minutes": MINUTES}
        found = Rates()
        for during, checkouts, bought in rows_of(client, "read the segment", SEGMENT, scope):
            setattr(found, "during" if during else "before", (int(checkouts), int(bought)))
        return found
    except SinkError:
        return Rates()
    finally:
        client.close()


@pytest.mark.slow
def test_figures_move_the_fault_shows_and_ctrl_c_leaves_nothing(start: Callable[..., Running]) -> None:
    demo = start("--fault-after", "1", "--fault-for", "600", "--visitors-per-day", "200000")
    config, found = demo.directory / "funnelwatch.toml", Rates()

    def enough() -> bool:
        nonlocal found
        found = rates(config) if "Ctrl-C ends all" in demo.said else found
        return min(found.before[0], found.during[0]) >= CHECKOUTS

    demo.until(enough, 200.0)
    # Those who have just come to the checkout have not bought yet: both rates are lower than they will be.
    assert found.before[1] / found.before[0] > 0.3
    assert found.during[1] / found.during[0] < 0.6 * found.before[1] / found.before[0]
    demo.until(lambda: len(set(re.findall(r"purchase: visit ([0-9,]+)", demo.said))) >= 3)
    visits = [int(number.replace(",", "")) for number in re.findall(r"purchase: visit ([0-9,]+)", demo.said)]
    assert visits == sorted(visits)
    assert expected_conversions(config) > 0  # learned from the weeks before
    assert f"  worker      http://{load_settings(config, {}, {}).web.listen}/metrics" in demo.said
    demo.until(lambda: "mobile × instagram loses 80% at purchase" in demo.said)
    demo.until(lambda: "  a bug goes live: mobile × instagram can't get past purchase (80% fail)\n" in demo.said)

    assert len(demo.processes()) >= 6  # the demo, Kafka, ClickHouse, the worker and the sink with their guards
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(40) == 0, demo.said
    assert demo.nothing_left(), demo.processes()
    assert "Traceback" not in demo.said
    assert demo.said.endswith("stays until the next demo.\n")
    assert sorted(path.name for path in demo.directory.parent.iterdir()) == ["demo-data", "output"]


@pytest.mark.slow
def test_the_marketer_is_paged(start: Callable[..., Running]) -> None:
    if installed() is None:
        pytest.skip("Prometheus or Alertmanager is not installed: run .ci/tools as root on Debian")
    demo = start("--fault-after", "10", "--fault-for", "60", "--visitors-per-day", "200000")
    demo.until(lambda: "a bug goes live" in demo.said, 150.0)
    if scrape_seconds(demo.directory / "funnelwatch.toml") > 1.5:
        pytest.skip("this machine is too busy for an hour a minute: Prometheus can't read the worker's metrics in time")
    demo.until(lambda: PAGE.search(demo.said) is not None)
    page = demo.said.partition("PAGE to team shop")[2].splitlines()[1]
    assert "responsible: " in page
    assert "Paid Social" in page
    demo.until(lambda: "the bug is fixed" in demo.said)
    demo.process.send_signal(signal.SIGINT)
    assert demo.process.wait(40) == 0, demo.said
    assert demo.nothing_left(), demo.processes()


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
