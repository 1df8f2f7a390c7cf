"""The whole chain at sixty times its speed: counters, the real Prometheus, the real Alertmanager, the messages."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from schemas.metrics import ALL
from schemas.rules import Links, Scale, render, rule_file
from tests.alerts.alertmanager import configuration, need_alertmanager, running
from tests.alerts.exporter import Exporter, Speeds
from tests.alerts.receivers import MailSink, WebSink, part, until
from tests.alerts.servers import need_prometheus, prometheus
from tests.alerts.shipped import FUNNELS, SETTINGS
from tests.alerts.shop import CHECKOUT

FACTOR = 60  # a minute of the rules is a second
WHOLE, INSTAGRAM, MAIL = (ALL, ALL), ("channel", "instagram"), ("channel", "email")
EXPECTED = {WHOLE: 20.0, INSTAGRAM: 8.0, MAIL: 12.0}
WELL = Speeds(EXPECTED, EXPECTED)
ILL = Speeds(EXPECTED, {WHOLE: 12.0, INSTAGRAM: 0.0, MAIL: 12.0})


def pages(web: Any) -> list[dict[str, Any]]:
    return [one for body in web.at("/marketers") for one in body["alerts"]]


@pytest.mark.slow
def test_one_channel_falls_and_one_page_says_so(tmp_path: Path) -> None:
    need_prometheus()
    need_alertmanager()
    with ExitStack() as stack:
        mail, web = stack.enter_context(MailSink()), stack.enter_context(WebSink())
        manager = stack.enter_context(running(configuration(mail.port, web.port), tmp_path))
        worker = stack.enter_context(Exporter(WELL))
        rules = render(rule_file(FUNNELS, SETTINGS.site, Links(), Scale(FACTOR)))
        server = stack.enter_context(prometheus(rules, FACTOR, worker.port, manager.port, tmp_path))
        time.sleep(20)
        worker.restart()  # a crash, an hour's third into healthy traffic
        time.sleep(12)
        assert server.firing() == set()
        assert pages(web) == []
        worker.change(ILL)
        began = time.time()
        until(lambda: any(one["labels"]["alertname"] == "FunnelConversionDrop" for one in pages(web)), "the page", 60)
        late = time.time() - began
        until(lambda: mail.messages, "the mail")
        page = next(one for one in pages(web) if one["labels"]["alertname"] == "FunnelConversionDrop")
        assert (page["labels"]["funnel_stage"], page["labels"]["next_stage"]) == (CHECKOUT, "purchase")
        assert page["annotations"]["responsible"].startswith("channel instagram (p = 0.9")
        assert any("instagram" in part(message, "plain") for message in mail.messages)
        start = float(page["annotations"]["dashboard_url"].partition("&from=")[2].partition("&")[0]) / 1000 + 60
        assert abs(start - began) <= max(5.0, 0.25 * late) + 1.5  # a scrape and an evaluation are 1.5 s
        worker.change(WELL)
        until(lambda: server.firing() == set(), "the end", 90)
        until(lambda: web.at("/marketers")[-1]["status"] == "resolved", "its message", 30)
        drops = {one["labels"]["alertname"] for one in pages(web)}
        assert drops <= {"FunnelConversionDrop", "FunnelSegmentConversionDrop"}
