"""The story's lines, and what Alertmanager's messages become."""

from __future__ import annotations

import json
import time
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import pytest

from schemas.settings import load_settings
from streams.demo.alarm import Programs, alertmanager_file, commands, prometheus_file, receiver
from streams.demo.place import Addresses, settings_text
from streams.demo.story import Story, message_text
from streams.traffic import Fault
from tests.deploy.test_mounted import run

FAULT = Fault(
    start_ms=1_000,
    end_ms=2_000,
    stage="purchase",
    share_lost=0.8,
    where=(("device", "mobile"), ("source", "instagram")),
)
DROP = {
    "status": "firing",
    "startsAt": "2026-03-02T10:00:00Z",
    "labels": {"alertname": "FunnelConversionDrop", "team": "shop"},
    "annotations": {
        "summary": "purchase: begin_checkout → purchase fell 36 % (50 % → 32 %) since Thu 1 Jan, 03:10",
        "what": "purchase: begin_checkout → purchase",
        "responsible": "channel×device Paid Social×mobile (p = 0.99)",
        "missing_conversions": "108",
        "missing_money": "5,400 EUR",
    },
}


def texts(story: Story) -> list[str]:
    """The lines without their times."""
    return [line[14:] for line in story.new()]


def test_the_bug_and_its_end_are_told_once_each_when_event_time_is_there() -> None:
    story = Story(FAULT)
    for watermark in (None, 999, 1_000, 1_500):
        story.reached(watermark)
    assert texts(story) == ["a bug goes live: mobile × instagram can't get past purchase (80% fail)"]
    story.reached(2_000)
    story.reached(3_000)
    assert texts(story) == ["the bug is fixed"]
    calm = Story()
    calm.reached(5_000)
    assert texts(calm) == []


def test_its_times_are_on_the_shops_clock_as_those_of_page_and_live_page_are(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "funnelwatch.toml").write_text(settings_text(Addresses("k:1", "http://c:2", "w:3", "s:4")))
    assert load_settings(tmp_path / "funnelwatch.toml", {}, {}).site.timezone == "UTC"
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        story, before = Story(), datetime.now(UTC)
        story.tell("a bug\nmore of it")
        after = datetime.now(UTC)
    finally:
        monkeypatch.undo()
        time.tzset()
    first, second = story.last()
    assert first in {f"{at:%H:%M:%S} UTC  a bug" for at in (before, after)}
    assert second == "              more of it"


def test_a_page_says_what_who_and_how_much() -> None:
    assert message_text(DROP).splitlines() == [
        "PAGE to team shop: purchase: begin_checkout → purchase fell 36 % (50 % → 32 %) since Thu 1 Jan, 03:10",
        "responsible: channel×device Paid Social×mobile (p = 0.99); missing so far: about 108 conversions, 5,400 EUR",
    ]
    assert message_text({**DROP, "status": "resolved"}) == "OVER: purchase: begin_checkout → purchase"
    of_segment = {
        "funnel": "purchase",
        "funnel_stage": "cart",
        "next_stage": "buy",
        "dimension": "channel",
        "value": "paid",
    }
    over = {"status": "resolved", "labels": of_segment, "annotations": {"what": "purchase: cart → buy (channel paid)"}}
    assert message_text(over) == "OVER: purchase: cart → buy"
    assert message_text({"labels": {"alertname": "FunnelTrafficOutage"}}) == "PAGE to team shop: FunnelTrafficOutage"


def test_a_group_is_told_when_it_begins_and_when_it_is_over() -> None:
    story = Story()
    server = receiver(story.alerts)
    try:
        more, over = {**DROP, "labels": {}}, {**DROP, "status": "resolved"}
        sent = ([DROP], [DROP], [DROP, more], [over, more], [over, {**more, "status": "resolved"}], [over])
        for body in (b"no JSON", b"[]", *(json.dumps({"groupKey": "g", "alerts": alerts}).encode() for alerts in sent)):
            request = urllib.request.Request(f"http://127.0.0.1:{server.server_port}/", body)
            with urllib.request.urlopen(request, timeout=10) as answer:
                assert answer.status == 200
        assert texts(story) == [*message_text(DROP).splitlines(), "OVER: purchase: begin_checkout → purchase"]
    finally:
        server.shutdown()
        server.server_close()


def test_the_programs_take_what_they_are_given(tmp_path: Path) -> None:
    from shutil import which

    if which("promtool") is None or which("amtool") is None:
        pytest.skip("promtool or amtool is not installed: run .ci/tools as root on Debian")
    (tmp_path / "rules.yml").write_text("groups: []\n")
    (tmp_path / "prometheus.yml").write_text(json.dumps(prometheus_file(["127.0.0.1:1"], "127.0.0.1:2")))
    assert "SUCCESS" in run("promtool", "check", "config", tmp_path / "prometheus.yml")
    (tmp_path / "alertmanager.yml").write_text(json.dumps(alertmanager_file(3)))
    assert "SUCCESS" in run("amtool", "check-config", tmp_path / "alertmanager.yml")
    config = f"--config.file={tmp_path / 'alertmanager.yml'}"
    page = ["severity=page", "alertname=FunnelConversionDrop"]
    assert run("amtool", "config", "routes", "test", config, *page).startswith("demo\n")
    assert run(
        "amtool", "config", "routes", "test", config, "severity=page", "alertname=FunnelIngestStalled"
    ).startswith("nobody\n")


def test_they_listen_on_loopback_and_write_into_the_demos_folder(tmp_path: Path) -> None:
    for command in commands(Programs("prometheus", "alertmanager"), tmp_path, "127.0.0.1:1", "127.0.0.1:2"):
        assert [word for word in command if "listen-address=127.0.0.1" in word]
        assert all(str(tmp_path) in word for word in command if word.startswith(("--storage", "--config")))
