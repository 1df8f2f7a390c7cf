"""Alerts that can be trusted, on the real chain at up to sixty times its speed: broker, worker, Prometheus, Alertmanager, messages.

Four funnels side by side, four weeks of history seeded: in one a channel can't buy any more; one has eight times the traffic, one
nobody enters, in one the mix of channels shifts. After that no record comes for 20 minutes, then all of them at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from schemas import metrics as m
from schemas.metrics import ALL
from schemas.rules import names as n
from schemas.rules.model import DAY, HOUR, MINUTE
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.kafka import EmbeddedKafka
from streams.commands.rules import rules
from streams.commands.seed import seed
from streams.topic_sender import TopicSender
from tests.alerts.alertmanager import configuration, need_alertmanager, running
from tests.alerts.receivers import MailSink, WebSink, part
from tests.alerts.servers import Prometheus, need_prometheus, prometheus
from tests.e2e.child import Child
from tests.e2e.side_by_side import Now, Traffic, definitions
from tests.e2e.stack import Site, Stack

FASTEST, SLOWEST = 60, 12
FAULT, RAMP, OUTAGE, MIX = FUNNELS = ("fault", "ramp", "outage", "mix")
PER_MINUTE = 60.0
#: Event times, in minutes of traffic: the trouble begins, nobody enters until, eight times the traffic until.
TROUBLE, BACK, DOWN = 25, 50, 46
STALL = 20
#: How long ago event time begins (ms): it can't pass the clock.
AGO = 4 * HOUR
#: A scrape and an evaluation, in minutes.
LATE = 1.5
SHIFTED = (0.1, 0.1, 0.8)
DROPS = f"{n.DROP}|{n.SEGMENT_DROP}|{n.DAILY_DROP}|{n.FLOOR}"


@pytest.fixture
def stack(broker: EmbeddedKafka, clickhouse: EmbeddedClickHouse, database: str, tmp_path: Path) -> Stack:
    file = tmp_path / "funnels.toml"
    file.write_text(definitions(FUNNELS))
    site = Site(
        funnels=file,
        sources={"clicks": 'keyed_by = "session"'},
        source_partitions=2,
        extra="[labels]\ncrosses = []\n",
    )
    return Stack(tmp_path, broker.bootstrap_servers, clickhouse.url, database, site)


def history(start: int) -> Iterator[bytes]:
    """Four weeks of healthy hours about this time of the day."""
    for day in range(28, 0, -1):
        traffic = Traffic(f"d{day}-", start - day * DAY - HOUR, FUNNELS, 0.5, day)
        for _ in range(4 * 60):
            yield from (event.line() for event in traffic.minute())


def fast(worker: Child) -> int:
    """How many times its speed this machine can have: two scrapes fit into a minute of the rules, with room to spare."""
    slowest = 0.0
    for _ in range(3):
        began = time.monotonic()
        worker.get("/metrics")
        slowest = max(slowest, time.monotonic() - began)
    factor = min(FASTEST, int(60 / (2 * 3 * slowest)))
    if factor < SLOWEST:
        pytest.skip(f"this machine is too busy: the worker's metrics take {slowest:.1f} s")
    return factor


class Shop:
    """Sends the traffic at `factor` times its speed at most, and none before Prometheus has seen what came before: a slow machine
    makes event time slow, not late."""

    def __init__(self, traffic: Traffic, sender: TopicSender, server: Prometheus, factor: int) -> None:
        self._traffic, self._sender, self._server = traffic, sender, server
        self._second = MINUTE / 1000 / factor
        self._due = 0.0
        self.broken = False

    @property
    def count(self) -> int:
        """Minutes so far."""
        return self._traffic.minutes

    def how(self, funnel: str) -> Now:
        """The minute that is being made."""
        minute = self._traffic.minutes
        if funnel == FAULT and self.broken:
            return Now(broken="instagram")
        if minute < TROUBLE:
            return Now()
        if funnel == RAMP and minute < DOWN:
            return Now(entries=min(8.0, 1 + 0.7 * (minute - TROUBLE)))
        if funnel == OUTAGE and minute < BACK:
            return Now(entries=0)
        return Now(shares=SHIFTED) if funnel == MIX else Now()

    def minute(self) -> None:
        """Sends one."""
        time.sleep(max(0.0, self._due - time.monotonic()))
        self._due = time.monotonic() + self._second
        self.send()
        deadline = time.monotonic() + 120
        while self.seen() < self._traffic.now - 2 * MINUTE:
            assert time.monotonic() < deadline, f"Prometheus sees event time {self.seen():.0f} of {self._traffic.now}"
            time.sleep(0.1)

    def send(self) -> None:
        for event in self._traffic.minute(self.how):
            self._sender.send(event.line(), event.session.encode())
        self._sender.heartbeat(self._traffic.now)

    def minutes(self, count: int) -> None:
        for _ in range(count):
            self.minute()

    def until(self, condition: Callable[[], object], what: str, most: int) -> None:
        """Goes on, for `most` minutes of event time."""
        for _ in range(most):
            if condition():
                return
            self.minute()
        raise AssertionError(f"not within {most} minutes: {what}; firing: {self._server.firing()}")

    def stall(self) -> None:
        """No record comes for a while, then all of them at once."""
        time.sleep(STALL * self._second)
        for _ in range(STALL):
            self.send()

    def seen(self) -> float:
        """Event time as Prometheus has it (ms)."""
        found = self._server.number(f"min({m.WATERMARK.name})")
        return 0 if found is None else found * 1000


def pages(web: WebSink, status: str) -> list[dict[str, Any]]:
    """What the marketers were told of falls."""
    every = [one for body in web.at("/marketers") for one in body["alerts"]]
    return [one for one in every if one["status"] == status and one["labels"]["alertname"] in DROPS.split("|")]


def started(page: dict[str, Any], hour: float) -> float:
    """When the fall is told to have begun (s): the dashboard's link begins an hour (s, of the rules) before it."""
    link = str(page["annotations"]["dashboard_url"])
    return float(link.partition("&from=")[2].partition("&")[0]) / 1000 + hour


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_one_page_for_a_fault_and_none_for_what_is_no_fall(stack: Stack, tmp_path: Path) -> None:
    need_prometheus()
    need_alertmanager()
    start = (int(time.time() * 1000) - AGO) // MINUTE * MINUTE
    past, file = tmp_path / "history.jsonl", tmp_path / "shipped.yml"
    past.write_bytes(b"\n".join(history(start)) + b"\n")
    answer = CliRunner().invoke(seed, [str(past), "--config", str(stack.config)])
    assert answer.exit_code == 0, answer.output
    assert answer.output.count("pages from now on") == 2 * len(FUNNELS)
    with ExitStack() as opened:
        opened.enter_context(stack)
        mail, web = opened.enter_context(MailSink()), opened.enter_context(WebSink())
        worker = stack.start("worker")
        factor = fast(worker)
        answer = CliRunner().invoke(
            rules, ["--config", str(stack.config), "--time-scale", str(factor), "-o", str(file)]
        )
        assert answer.exit_code == 0, answer.output
        manager = opened.enter_context(running(configuration(mail.port, web.port), tmp_path))
        server = opened.enter_context(prometheus(file.read_text(), factor, worker.port, manager.port, tmp_path))
        sender = opened.enter_context(TopicSender(stack.settings.kafka, stack.topic("clicks")))
        shop = Shop(Traffic("live", start, FUNNELS, PER_MINUTE, 1), sender, server, factor)

        shop.minutes(TROUBLE)
        shop.until(lambda: not server.firing(), "the end of what Prometheus' own start has fired", 30)
        shop.broken, began = True, time.time()
        shop.minute()
        seen = time.time()
        shop.until(lambda: pages(web, "firing"), "the page", 60)
        page, paged = pages(web, "firing")[0], time.time()
        assert_right(page)
        minute = MINUTE / 1000 / factor
        bound = max(5 * minute, 0.25 * (paged - began)) + LATE * minute
        assert began - bound <= started(page, 60 * minute) <= seen + bound

        shop.broken, mended = False, time.time()
        shop.until(lambda: pages(web, "resolved"), "the end", 90)
        assert time.time() > mended
        shop.minutes(max(0, BACK + 4 - shop.count))

        shop.stall()
        shop.minutes(8)
        assert any("Events stand still" in str(message["Subject"]) for message in mail.messages), (
            "nobody told operators"
        )
        assert any("instagram" in part(message, "plain") for message in mail.messages)
        assert {(one["labels"]["alertname"], one["startsAt"]) for one in pages(web, "firing")} == {
            (n.SEGMENT_DROP, page["startsAt"])
        }
        assert_nothing_else_fired(server)
        assert_it_was_so(server)


def assert_right(page: dict[str, Any]) -> None:
    """Stage, channel, who is responsible."""
    wanted = {
        "alertname": n.SEGMENT_DROP, "funnel": FAULT, "funnel_stage": "cart", "next_stage": "buy", "dimension": "channel",
        "value": "instagram", "team": "shop", "severity": "page",
    }  # fmt: skip
    assert wanted.items() <= page["labels"].items()
    assert page["annotations"]["responsible"].startswith("channel instagram (p = 0.9"), page["annotations"]
    assert page["annotations"]["summary"].startswith("fault: cart → buy (channel instagram) fell ")


def assert_nothing_else_fired(server: Prometheus) -> None:
    """By Prometheus itself: whatever Alertmanager has held back would be there."""
    fired = (
        f'count by (alertname, funnel, value) (count_over_time(ALERTS{{alertname=~"{DROPS}",alertstate="firing"}}[1h]))'
    )
    assert [labels for labels, _ in server.ask(fired)] == [
        {"alertname": n.SEGMENT_DROP, "funnel": FAULT, "value": "instagram"}
    ]


def assert_it_was_so(server: Prometheus) -> None:
    """The ramp, the outage and the shift took place, and the worker expected of them what came."""
    entries = f'{n.ENTERED_STEP}{{funnel_stage="view",dimension="{ALL}",funnel="%s"}}[1h:1s]'
    assert (server.number(f"max_over_time({entries % RAMP})") or 0) > 5 * PER_MINUTE
    assert (server.number(f"quantile_over_time(0.05, {entries % OUTAGE})") or 0) == 0
    whole = f'{{dimension="{ALL}",funnel=~"{RAMP}|{OUTAGE}|{MIX}"}}'
    ratios = server.ask(f"{m.STAGE_CONVERSIONS.name}{whole} / {m.STAGE_EXPECTED_CONVERSIONS.name}{whole}")
    assert len(ratios) == 2 * 3
    assert all(0.85 < value < 1.15 for _, value in ratios), ratios
    sold = f'{m.STAGE_CONVERSIONS.name}{{funnel_stage="cart",dimension="{ALL}",funnel="%s"}}'
    entered = sold.replace(m.STAGE_CONVERSIONS.name, m.STAGE_ENTERED.name)
    mixed, usual = (server.number(f"{sold % one} / {entered % one}") or 0 for one in (MIX, RAMP))
    assert mixed < 0.93 * usual  # its rate fell, and nobody was paged: each channel sells as ever
