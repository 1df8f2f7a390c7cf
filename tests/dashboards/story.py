"""A morning of a shop, through the real engine: the rows, and what the worker's page shows of them minute by minute."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator

from prometheus_client.core import Metric as Family

from schemas import metrics as m
from schemas.dead_letter import DeadLetter
from schemas.event import MONEY_SCALE, Event
from schemas.funnel import Funnel, Stage, Unit
from schemas.progress import Progress
from schemas.reasons import Outcome, Reason
from schemas.rows import Row
from sinks.prometheus.counters import FunnelCounters, Tally
from sinks.prometheus.health import WorkerHealth
from sinks.prometheus.labels import LabelPolicy
from streams.engine.batch import walk_unit

MINUTE, HOUR = 60_000, 3_600_000
START = 1_772_438_400_000  # 2026-03-02T08:00:00Z
END = START + 3 * HOUR + 10 * MINUTE  # the last scrape; all attempts have ended by then but the youngest
SITE = "shop.example"
#: A value that would end a literal, if it were pasted into SQL.
HOSTILE = "o'hara\\"

SHOP = Funnel(
    name="purchase",
    version="a1b2c3d4e5f6",
    unit=Unit.SESSION,
    stages=(
        Stage("visit", ("visit",)),
        Stage("cart", ("cart",), target=0.7, floor=0.2),
        Stage("coupon", ("coupon",), optional=True),
        Stage("buy", ("buy",), value="revenue", target=0.9, exclude=("block",)),
    ),
    window=30 * MINUTE,
    lateness=MINUTE,
    dimensions=("channel", "device"),
    refunds=("refund",),
)
SIGNUP = Funnel(
    name="sign up: o'hara\\",  # a funnel may be called anything
    version="0123456789ab",
    unit=Unit.VISITOR,
    stages=(Stage("visit", ("visit",)), Stage("join", ("join",))),
    window=10 * MINUTE,
    lateness=MINUTE,
    dimensions=("channel",),
)
FUNNELS = (SHOP, SIGNUP)
#: From here on conversions of SIGNUP are expected; until then it is learned.
LEARNED = START + 2 * HOUR
#: From here on Prometheus has the alert rules.
RULES = START + 30 * MINUTE
CHANNELS = ("paid", "mail", "(none)", HOSTILE)
LABELS = LabelPolicy(
    values={"channel": CHANNELS[:2], "device": ("mobile", "desktop")}, crosses=(("channel", "device"),), currencies=("EUR",)
)  # fmt: skip


def events(visitors: int = 600, seed: int = 7) -> list[list[Event]]:
    """The events of each session: some convert, some go back, skip, are blocked, come again, or give money back."""
    chance = random.Random(seed)
    return [_session(chance, number) for number in range(visitors)]


def _session(chance: random.Random, number: int) -> list[Event]:
    """One visitor's session."""
    now = START + 2 * MINUTE + chance.randrange(2 * HOUR + 25 * MINUTE)
    channel, device = chance.choices(CHANNELS, (5, 3, 2, 1))[0], chance.choice(("mobile", "desktop"))
    made: list[Event] = []

    def happens(name: str, after: int, revenue: int | None = None, order: str | None = None) -> None:
        nonlocal now
        now += after
        made.append(Event(
            event=name, ts=now, event_id=f"e{number}-{len(made)}", session_id=f"s{number}", visitor_id=f"v{number}",
            channel=None if channel == "(none)" else channel, device=device, order_id=order,
            revenue=revenue, currency=None if revenue is None else "EUR",
        ))  # fmt: skip

    happens("visit", 0)
    if chance.random() < 0.3:
        happens("join", 40_000)
    if chance.random() < 0.1:
        happens("buy", 5_000)  # past the cart: a skip
    if chance.random() < 0.6:
        happens("cart", chance.randrange(10_000, 90_000))
        if chance.random() < 0.2:
            happens("visit", 20_000)  # back
        if chance.random() < 0.3:
            happens("coupon", 15_000)
        if chance.random() < (0.2 if (channel, device) == ("paid", "mobile") else 0.7):
            amount = (20 + chance.randrange(60)) * MONEY_SCALE
            happens("buy", chance.randrange(20_000, 200_000), amount, f"o{number}")
            if chance.random() < 0.1:
                happens("refund", 60_000, amount, f"r{number}")
        elif chance.random() < 0.2:
            happens("block", 10_000)  # excluded; then another try
            happens("visit", 30_000)
    return made


def rows() -> list[Row]:
    """The final rows of both funnels, in the order in which a worker would have written them."""
    found = [row for session in events() for funnel in FUNNELS for row in walk_unit(funnel, session, END)]
    return sorted(found, key=lambda row: (row.event_time, row.attempt_id, row.kind, row.item))


def progress() -> list[Progress]:
    return [
        Progress(funnel.name, funnel.version, "clicks", 0, 9, END, END - MINUTE, 4000, 3000, 900, 60, 20, 12, 8)
        for funnel in FUNNELS
    ]


def letters() -> list[DeadLetter]:
    return [
        DeadLetter("clicks", 0, offset, "bad_timestamp", "timestamp: 'soon'", START + offset * MINUTE, b"k", b"{}")
        for offset in range(12)
    ]


class Page:
    """What `/metrics` shows after each minute of the story."""

    def __init__(self) -> None:
        self.now = START
        self._left = rows()[::-1]
        self._counters = FunnelCounters(FUNNELS, LABELS, SITE, clock=lambda: self.now)
        self._health = WorkerHealth(
            SITE, [funnel.name for funnel in FUNNELS], ["clicks"], ["transitions"], "1.0", clock=lambda: self.now
        )
        self._health.attempts_open = lambda: {SHOP.name: 17, SIGNUP.name: 4}
        self._health.state_units = lambda: 321
        self._health.set_recovery(1_500)

    def minute(self) -> Iterable[Family]:
        """A minute passes and is scraped."""
        self.now += MINUTE
        written = []
        while self._left and self._left[-1].event_time < self.now - MINUTE:
            written.append(self._left.pop())
        self._counters.count(Tally(written))
        self._work(len(written))
        yield from self._counters.families()
        yield from self._health.families()

    def _work(self, records: int) -> None:
        health = self._health
        for funnel in FUNNELS:
            health.count_events(
                funnel.name, {Outcome.MATCHED: records, Outcome.IGNORED: 5, Outcome.LATE: records // 10}
            )
        health.count_dead_letters("clicks", {Reason.BAD_TIMESTAMP: 1})
        health.observe_event_lags("clicks", [300, 700, 4_000])
        health.observe_chunk(records, [80, 200, 900])
        health.set_watermark("clicks", 0, self.now - 5_000)
        health.set_consumer_lag("clicks", 0, 42)
        health.count_sink_rows("transitions", records, [400, 1_200])
        if self.now == START + 30 * MINUTE:
            health.count_sink_error("transitions")
            health.count_sink_retry("transitions")
            health.count_rebalance()


def scrapes() -> Iterator[str]:
    """The story as OpenMetrics lines with times, one text for each scrape, as Prometheus would have stored them."""
    page = Page()
    while page.now < END:
        families = list(page.minute())
        yield "".join(_lines(families, page.now))


def _lines(families: Iterable[Family], now: int) -> Iterator[str]:
    for family in families:
        for sample in family.samples:
            yield _line(
                sample.name, {**sample.labels, "instance": "worker:6066", "job": "funnelwatch"}, sample.value, now
            )
            if sample.name == m.STAGE_CONVERSIONS.name and (now >= LEARNED or sample.labels[m.FUNNEL] == SHOP.name):
                yield _line(m.STAGE_EXPECTED_CONVERSIONS.name, dict(sample.labels), sample.value * 1.25, now)
    if now >= RULES:
        yield _line("ALERTS", {"alertname": "FunnelWatchdog", "alertstate": "firing", "severity": "none"}, 1, now)
    if now >= END - 20 * MINUTE:
        alert = {
            "alertname": "FunnelConversionDrop",
            "severity": "page",
            m.SITE: SITE,
            m.FUNNEL: SHOP.name,
            m.STAGE: "cart",
        }
        yield _line("ALERTS", {**alert, "alertstate": "firing"}, 1, now)
        yield _line("ALERTS_FOR_STATE", alert, (END - 20 * MINUTE) / 1000, now)


def _line(name: str, labels: dict[str, str], value: float, now: int) -> str:
    shown = ",".join(f'{label}="{_escaped(text)}"' for label, text in labels.items())
    return f"{name}{{{shown}}} {value!r} {now // 1000}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
