"""What reaches people: the real Alertmanager, the committed configuration and templates, a mail server and a webhook.

The annotations of the drop come from promtool (test_texts.py writes and checks `golden/drop.annotations.json`).
`UPDATE_GOLDEN=1` writes the golden files anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.alerts.alertmanager import Alertmanager, configuration, fired, need_alertmanager, running
from tests.alerts.receivers import MailSink, WebSink, part, until

GOLDEN = Path(__file__).parent / "golden"
DROP = {
    "alertname": "FunnelConversionDrop", "severity": "page", "funnel_site": "shop.example", "funnel": "purchase",
    "funnel_stage": "begin_checkout", "next_stage": "purchase", "team": "shop",
}  # fmt: skip
HOSTILE = "<script>alert(1)</script> & {{ .Labels }} <!channel> <https://evil.example|click> *bold* _it_ `x`\r\nBcc: a@b.c\u2028x"


class World(msgspec.Struct):
    manager: Alertmanager
    mail: Any
    web: Any


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    need_alertmanager()
    with ExitStack() as stack:
        mail, web = stack.enter_context(MailSink()), stack.enter_context(WebSink())
        manager = stack.enter_context(running(configuration(mail.port, web.port), tmp_path))
        yield World(manager, mail, web)


def told_of_a_fall() -> dict[str, str]:
    loaded = json.loads((GOLDEN / "drop.annotations.json").read_text())
    assert isinstance(loaded, dict)
    return loaded


def golden(name: str, text: str) -> None:
    file = GOLDEN / name
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert text == file.read_text(), f"{file.name} differs: UPDATE_GOLDEN=1 writes it anew"


def check_all(world: World, name: str) -> None:
    until(lambda: world.mail.messages and world.web.at("/slack") and world.web.at("/marketers"), "three messages")
    message, slack, webhook = world.mail.messages[-1], world.web.at("/slack")[-1], world.web.at("/marketers")[-1]
    golden(f"{name}.mail.txt", f"Subject: {message['Subject']}\n\n{part(message, 'plain')}")
    golden(f"{name}.mail.html", part(message, "html"))
    golden(f"{name}.slack.json", json.dumps(slack, indent=1, ensure_ascii=False) + "\n")
    golden(f"{name}.webhook.json", json.dumps(_steady(webhook), indent=1, ensure_ascii=False) + "\n")


def _steady(webhook: dict[str, Any]) -> dict[str, Any]:
    """Without times, addresses of the machine and hashes."""
    kept = {key: value for key, value in webhook.items() if key not in ("externalURL", "groupKey")}
    left_out = ("startsAt", "endsAt", "generatorURL", "fingerprint")
    kept["alerts"] = [{k: v for k, v in one.items() if k not in left_out} for one in webhook["alerts"]]
    return kept


def test_a_fall_is_told_by_mail_slack_and_webhook(world: World) -> None:
    world.manager.post([fired(DROP, told_of_a_fall())])
    check_all(world, "drop")


def test_the_end_of_a_fall_is_told(world: World) -> None:
    world.manager.post([fired(DROP, told_of_a_fall())])
    until(lambda: world.mail.messages and world.web.at("/slack") and world.web.at("/marketers"), "the page")
    world.manager.post([fired(DROP, told_of_a_fall(), over=True)])
    until(lambda: len(world.mail.messages) > 1 and len(world.web.at("/slack")) > 1, "its end")
    until(lambda: len(world.web.at("/marketers")) > 1, "its end")
    check_all(world, "over")


def test_hostile_values_stay_text(world: World) -> None:
    hostile = {**told_of_a_fall(), "responsible": HOSTILE, "summary": f"fell {HOSTILE}", "what": HOSTILE, "change": HOSTILE,
               "dashboard_url": "javascript:alert(1)"}  # fmt: skip
    world.manager.post([fired({**DROP, "team": HOSTILE}, hostile)])
    check_all(world, "hostile")
    message, slack = world.mail.messages[-1], world.web.at("/slack")[-1]
    html, shown = part(message, "html"), json.dumps(slack)
    assert "<script>" not in html
    assert 'href="javascript' not in html
    assert "{{ .Labels }}" in html.replace("&#34;", '"')
    assert message["Bcc"] is None
    assert "\nBcc:" not in part(message, "plain")
    assert "<!channel>" not in shown
    assert "<https://evil" not in shown
    assert slack["attachments"][0]["mrkdwn_in"] == ["footer"]


def test_a_stage_and_its_segment_are_one_message(world: World) -> None:
    """Inhibited, in fact: the stage's page names the segment."""
    segment = {**DROP, "alertname": "FunnelSegmentConversionDrop", "dimension": "channel", "value": "instagram"}
    other = {**segment, "funnel_site": "other.example"}
    world.manager.post([fired(DROP, told_of_a_fall())])
    until(lambda: world.web.at("/marketers"), "the page")
    world.manager.post([fired(segment, told_of_a_fall()), fired(other, told_of_a_fall())])
    until(lambda: len(world.web.at("/marketers")) > 1, "the page of the other site")
    told = [one["labels"] for body in world.web.at("/marketers") for one in body["alerts"]]
    assert {(one["alertname"], one["funnel_site"]) for one in told} == {
        ("FunnelConversionDrop", "shop.example"), ("FunnelSegmentConversionDrop", "other.example"),
    }  # fmt: skip


@pytest.mark.parametrize(
    "cause",
    [
        {"alertname": "FunnelIngestStalled"},
        {"alertname": "FunnelMetricsAbsent"},
        {"alertname": "FunnelMetricsAbsent", "funnel": "purchase"},
        {"alertname": "FunnelDeadLettersRising", "source": "clickstream"},
        {"alertname": "FunnelTrafficOutage", "funnel": "purchase"},
        {"alertname": "FunnelTrackingBroken", "funnel": "purchase", "funnel_stage": "purchase"},
    ],
    ids=lambda cause: "-".join(cause.values()),
)
def test_what_is_no_fall_of_a_rate_silences_it(world: World, cause: dict[str, str]) -> None:
    other = {**DROP, "funnel_site": "other.example"}
    labels = {**cause, "funnel_site": "shop.example", "severity": "page", "team": "operations"}
    world.manager.post([fired(labels, {"summary": "cause", "what": "cause", "since": "now"})])
    # Once it is told of, it is known: Alertmanager takes alerts in by several hands, and might tell of a fall before it has looked for causes.
    until(lambda: world.mail.messages or world.web.at("/marketers"), "the cause")
    world.manager.post([fired(DROP, told_of_a_fall()), fired(other, told_of_a_fall())])
    until(
        lambda: any(one["groupLabels"]["funnel_site"] == "other.example" for one in world.web.at("/marketers")),
        "a page",
    )
    told = [one["labels"] for body in world.web.at("/marketers") for one in body["alerts"]]
    assert {one["funnel_site"] for one in told if one["alertname"] == "FunnelConversionDrop"} == {"other.example"}


def test_another_funnel_is_not_silenced(world: World) -> None:
    outage = {
        "alertname": "FunnelTrafficOutage",
        "funnel_site": "shop.example",
        "funnel": "newsletter",
        "severity": "page",
    }
    world.manager.post(
        [fired(outage, {"summary": "outage", "what": "outage", "since": "now"}), fired(DROP, told_of_a_fall())]
    )
    until(lambda: len(world.web.at("/marketers")) >= 2, "both pages")
    told = {one["labels"]["alertname"] for body in world.web.at("/marketers") for one in body["alerts"]}
    assert told == {"FunnelTrafficOutage", "FunnelConversionDrop"}


def test_the_watchdog_goes_its_own_way(world: World) -> None:
    world.manager.post([fired({"alertname": "FunnelWatchdog", "severity": "none"}, {"summary": "works"})])
    until(lambda: world.web.at("/watchdog"), "the watchdog")
    assert not world.mail.messages


def test_outside_active_hours_nobody_is_paged_but_operators_are(tmp_path: Path) -> None:
    """The hours are those of the interval's own zone: of two zones twelve hours apart, one sleeps."""
    need_alertmanager()
    with ExitStack() as stack:
        mail, web = stack.enter_context(MailSink()), stack.enter_context(WebSink())
        config = configuration(mail.port, web.port)
        config["route"]["routes"][:0] = [
            {"matchers": [f"owner = {owner}"], "receiver": "watchdog", "group_by": ["owner"],
             "active_time_intervals": [owner]} for owner in ("east", "west")
        ]  # fmt: skip
        half = {"times": [{"start_time": "00:00", "end_time": "12:00"}]}
        config["time_intervals"] += [
            {"name": "east", "time_intervals": [{**half, "location": "Etc/GMT-6"}]},
            {"name": "west", "time_intervals": [{**half, "location": "Etc/GMT+6"}]},
        ]
        for receiver in config["receivers"]:
            for webhook in receiver.get("webhook_configs", ()):
                webhook["send_resolved"] = False
        manager = stack.enter_context(running(config, tmp_path))
        stalled = {"alertname": "FunnelIngestStalled", "funnel_site": "else.example", "severity": "page"}
        manager.post([fired({**DROP, "owner": owner}, told_of_a_fall()) for owner in ("east", "west")])
        until(lambda: web.at("/watchdog"), "the zone that is awake")
        manager.post([fired(stalled, {"summary": "stalled", "what": "stalled", "since": "now"})])
        until(lambda: mail.messages, "the operators' mail")
        told = [one["labels"]["owner"] for body in web.at("/watchdog") for one in body["alerts"]]
        assert len(set(told)) == 1


def test_two_segments_are_one_message_that_counts_them(world: World) -> None:
    segments = [
        {**DROP, "alertname": "FunnelSegmentConversionDrop", "dimension": "channel", "value": value}
        for value in ("email", "instagram")
    ]
    world.manager.post([fired(labels, told_of_a_fall()) for labels in segments])
    until(lambda: world.mail.messages, "the mail")
    assert str(world.mail.messages[0]["Subject"]).endswith("since Thu 1 Jan, 03:10 (and 1 more)")
    assert part(world.mail.messages[0], "plain").count("Responsible") == 2


def test_what_concerns_the_pipeline_goes_to_its_operators(world: World) -> None:
    labels = {
        "alertname": "FunnelIngestStalled",
        "funnel_site": "shop.example",
        "severity": "page",
        "team": "operations",
    }
    told = {
        "summary": "Events stand still: no figures are up to date", "what": "Events stand still: no figures are up to date",
        "since": "Sun 22 Nov, 14:05 (Europe/Berlin)", "first_checks": "1. `funnelwatch lag` shows where records wait.",
        "dashboard_url": "http://localhost:3000/d/funnelwatch-pipeline?var-site=shop.example", "runbook_url": "docs/alerts.md#funnelingeststalled",
    }  # fmt: skip
    world.manager.post([fired(labels, told)])
    until(lambda: world.mail.messages, "the mail")
    (message,) = world.mail.messages
    assert message["To"] == "operations@localhost"
    golden("stalled.mail.txt", f"Subject: {message['Subject']}\n\n{part(message, 'plain')}")
    assert not world.web.at("/slack")
