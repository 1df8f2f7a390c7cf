"""`funnelwatch alerts test` on the real Alertmanager with the committed configuration."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result

from streams.commands.alerts import alerts
from tests.alerts.alertmanager import Alertmanager, configuration, free_port, need_alertmanager, running
from tests.alerts.receivers import MailSink, WebSink, part, until
from tests.alerts.shipped import ROOT


class World(msgspec.Struct):
    manager: Alertmanager
    mail: Any
    web: Any

    def told(self, *arguments: str) -> Result:
        url = f"http://127.0.0.1:{self.manager.port}"
        config = str(ROOT / "examples" / "funnelwatch.toml")
        return CliRunner().invoke(alerts, ["test", "--config", config, "--alertmanager", url, *arguments])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    need_alertmanager()
    with ExitStack() as stack:
        mail, web = stack.enter_context(MailSink()), stack.enter_context(WebSink())
        folder = tmp_path_factory.mktemp("alertmanager")
        yield World(stack.enter_context(running(configuration(mail.port, web.port), folder)), mail, web)


def test_a_test_page_reaches_everybody_says_that_it_is_one_and_resolves_itself(world: World) -> None:
    ran = world.told("--funnel", "purchase", "--for", "5s")
    assert ran.exit_code == 0, ran.output
    lines = [line.split(None, 1) for line in ran.output.splitlines()]
    assert [first for first, _ in lines] == ["accepted", "routed", "sent", "sent", "sent", "ends"]
    assert "to  marketers (severity page, team shop, funnel_site shop.example, funnel purchase)" in ran.output
    assert [rest.partition(";")[0] for first, rest in lines if first == "sent"] == ["email", "slack", "webhook"]
    until(lambda: world.mail.messages and world.web.at("/slack") and world.web.at("/marketers"), "the page")
    message = world.mail.messages[0]
    assert str(message["Subject"]) == "TEST, nothing is wrong: this is how a page of purchase reaches you"
    assert "1. Nothing to do." in part(message, "plain")
    labels = world.web.at("/marketers")[0]["alerts"][0]["labels"]
    assert (labels["alertname"], labels["team"], labels["severity"]) == ("FunnelTest", "shop", "page")
    until(lambda: world.web.at("/marketers")[-1]["status"] == "resolved", "its end", 30)


def test_a_ticket_goes_where_tickets_go(world: World) -> None:
    ran = world.told("--severity", "ticket", "--wait", "0s")
    assert "routed to  tickets (severity ticket" in ran.output
    assert ran.exit_code == 0


def test_a_silence_is_told(world: World) -> None:
    name = world.manager.silence('funnel="newsletter"')
    ran = world.told("--funnel", "newsletter")
    assert ran.exit_code == 1
    assert f"silenced   by silence {name}: nobody gets it" in ran.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--funnel", "purchas"), "did you mean purchase?"),
        (("--alertmanager", "localhost:9093"), "is not an address"),
        (("--for", "5"), "is not a duration"),
    ],
)
def test_mistakes_are_one_line(world: World, arguments: tuple[str, ...], said: str) -> None:
    ran = world.told(*arguments)
    assert ran.exit_code == 2
    assert said in ran.output
    assert len(ran.output.splitlines()) == 1


def test_an_alertmanager_that_is_not_there_or_is_none_is_one_line(world: World) -> None:
    ran = world.told("--alertmanager", f"http://127.0.0.1:{free_port()}")
    assert (ran.exit_code, "can't reach Alertmanager at" in ran.output) == (2, True)
    ran = world.told("--alertmanager", f"http://127.0.0.1:{world.web.port}")
    assert (ran.exit_code, "answers 501 to /api/v2/status" in ran.output) == (2, True)
    assert len(ran.output.splitlines()) == 1
