"""`funnelwatch alerts test`: a harmless page through the whole chain, and what could be seen of its way."""

from __future__ import annotations

import sys
import time
import uuid
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click
import msgspec

from schemas.definitions import load_funnels
from schemas.durations import format_duration, parse_duration
from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.metrics import FUNNEL, SITE, STAGE
from schemas.problems import nearest
from schemas.rules import names as n
from schemas.rules.definition import Step, watched
from schemas.rules.drop_alerts import PAGE, TICKET
from schemas.settings import Settings
from sinks.alertmanager import Alertmanager, Held, Posted, Sent
from sinks.prometheus.labels import clean
from streams.commands.configuration import read_settings, settings_options, user_errors

NAME = "FunnelTest"
USUAL = "http://localhost:9093"  # where Alertmanager listens if nothing is said
RUN = "test_run"  # label: tells this test from the one before
#: Longer than the route's `group_wait` as shipped: what is over before it is never sent.
LASTS = {PAGE: 120_000, TICKET: 600_000}
_ROUTED, _EVERY = 15.0, 0.5  # seconds
_WRONG = 1


class Trial(msgspec.Struct, frozen=True):
    """What is sent: an alert's labels, for so long (ms)."""

    labels: Mapping[str, str]
    lasts: int


@click.command("test")
@settings_options
@click.option(
    "--alertmanager", metavar="URL", help=f"Alertmanager's address (default: [web] alertmanager, else {USUAL})."
)
@click.option(
    "--funnel", "funnel_name", metavar="NAME", help="As a page of this funnel, to its team (default: the first)."
)
@click.option("--severity", type=click.Choice([PAGE, TICKET]), default=PAGE, show_default=True)
@click.option("--for", "lasts", metavar="DURATION", help='When it resolves itself (default: "2m", a ticket "10m").')
@click.option(
    "--wait",
    default="45s",
    show_default=True,
    metavar="DURATION",
    help="How long to look whether it is sent; 0s: not at all.",
)
def alerts_test(
    config: Path | None, pairs: tuple[str, ...], alertmanager: str | None, funnel_name: str | None, severity: str,
    lasts: str | None, wait: str,
) -> None:  # fmt: skip
    """Send a test page through Alertmanager to people, and say what could be seen of its way.

    It is marked as a test, has the labels of a real page, and resolves itself. Exit code 1 if it is silenced or couldn't
    be sent.
    """
    with user_errors():
        settings = read_settings(config, pairs)
        url = (settings.web.alertmanager or USUAL) if alertmanager is None else alertmanager
        seconds = parse_duration(wait, "--wait", zero=True) / 1000
        duration = LASTS[severity] if lasts is None else parse_duration(lasts, "--for")
        if not url.startswith(("http://", "https://")):
            raise ConfigError(
                "--alertmanager", f"{url!r} is not an address", 'write one such as "http://localhost:9093"'
            )
        step = find_step(load_funnels(settings.funnels), funnel_name)
        trial = Trial(labels_of(step, clean(settings.site.name), severity), duration)
        well = True
        for line, fine in follow(Alertmanager(url), trial, settings, seconds):
            click.echo(line)
            well = well and fine
    if not well:
        sys.exit(_WRONG)


def find_step(funnels: tuple[Funnel, ...], name: str | None) -> Step:
    """The first watched step of the funnel (None: of the first that has one). Raises ConfigError."""
    known = [funnel.name for funnel in funnels]
    if name is not None and name not in known:
        raise ConfigError("--funnel", f"there is no funnel {name!r}", nearest(name, known))
    steps = [step for funnel in funnels if name in (None, funnel.name) for step in watched(funnel)]
    if not steps:
        raise ConfigError("--funnel", "no step of it is watched", "name a funnel of two stages or more that alert")
    return steps[0]


def labels_of(step: Step, site: str, severity: str) -> dict[str, str]:
    """The labels of a page of this step, but for its name."""
    return {"alertname": NAME, "severity": severity, **step.labels(site), RUN: uuid.uuid4().hex[:8]}


def posted(trial: Trial, zone: str, now: float) -> Posted:
    """The alert. It says at once that nothing is wrong."""
    funnel, stage = trial.labels[FUNNEL], trial.labels[STAGE]
    local = datetime.fromtimestamp(now, ZoneInfo(zone))
    told = {
        "summary": f"TEST, nothing is wrong: this is how a page of {funnel} reaches you",
        "what": f"A test of the alerts of {funnel}, sent by hand (`funnelwatch alerts test`)",
        "since": f"{local:%a} {local.day} {local:%b, %H:%M} ({zone})",
        "first_checks": f"1. Nothing to do. A real page names the step ({stage} → {trial.labels[n.NEXT]}), the segment and the money.\n"
        f'2. It ends by itself after {format_duration(trial.lasts)}: then its "over" comes.',
        "runbook_url": "docs/alerts.md#a-test-page",
    }  # fmt: skip
    return Posted(trial.labels, told, _rfc3339(now), _rfc3339(now + trial.lasts / 1000))


def follow(manager: Alertmanager, trial: Trial, settings: Settings, wait: float) -> Iterator[tuple[str, bool]]:
    """Sends it; lines on its way, each with whether that is well. Raises SinkError."""
    version = manager.version()
    before = manager.sent()
    manager.post([posted(trial, settings.site.timezone, time.time())])
    yield f"accepted   by Alertmanager {version} at {manager.url}", True
    held = _routed(manager, trial.labels[RUN])
    if held is None:
        yield "routed     not seen: it is not among Alertmanager's alerts (any more)", False
        return
    receivers = ", ".join(receiver.name for receiver in held.receivers) or "nobody"
    yield f"routed to  {receivers} ({_who(trial.labels)})", bool(held.receivers)
    if held.status.silenced_by or held.status.inhibited_by:
        by = [f"silence {one}" for one in held.status.silenced_by] + [
            f"alert {one}" for one in held.status.inhibited_by
        ]
        yield f"silenced   by {', '.join(by)}: nobody gets it", False
    elif wait:
        yield from _sent(manager, before, wait)
    yield f"ends       by itself {format_duration(trial.lasts)} after it was sent", True


def _routed(manager: Alertmanager, run: str) -> Held | None:
    deadline = time.monotonic() + _ROUTED
    while True:
        found = manager.held(**{"alertname": NAME, RUN: run})
        if found and found[0].status.state != "unprocessed":
            return found[0]
        if time.monotonic() > deadline:
            return found[0] if found else None
        time.sleep(_EVERY)


def _sent(manager: Alertmanager, before: Mapping[str, Sent], wait: float) -> Iterator[tuple[str, bool]]:
    """What Alertmanager counts as sent meanwhile; messages of other alerts are among it."""
    deadline = time.monotonic() + wait
    tried, failed = _risen(manager, before)
    while not (tried or failed) and time.monotonic() < deadline:
        time.sleep(_EVERY)
        tried, failed = _risen(manager, before)
    if not tried and not failed:
        yield (
            f"sent       not seen within {wait:g} s: outside of its receiver's active hours, or its `group_wait` is longer",
            False,
        )
        return
    time.sleep(2 * _EVERY)  # the other integrations of the receiver
    tried, failed = _risen(manager, before)
    for integration in sorted(tried | failed):
        if integration in failed:
            yield f"failed     {integration}: Alertmanager's log says why", False
        else:
            yield f"sent       {integration}; whether it arrived, only its receiver can tell", True


def _risen(manager: Alertmanager, before: Mapping[str, Sent]) -> tuple[set[str], set[str]]:
    """The integrations that tried, and those that failed, since `before`."""
    now, nothing = manager.sent(), Sent(0, 0)
    tried = {name for name, sent in now.items() if sent.tried > before.get(name, nothing).tried}
    return tried, {name for name, sent in now.items() if sent.failed > before.get(name, nothing).failed}


def _who(labels: Mapping[str, str]) -> str:
    shown = [f"{name} {labels[name]}" for name in ("severity", n.TEAM, n.OWNER, SITE, FUNNEL) if labels.get(name)]
    return ", ".join(shown)


def _rfc3339(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
