"""The shop's history through `alerts backtest`: its planted incidents, as they are and at twenty times the traffic.

As it is, the shop is too small for any rule: five checkouts a day. So its sessions are drawn again, twenty for each, from those
of the same device and time (before, in and after each incident), spread over three days; the planted shares stay as they are.
"""

from __future__ import annotations

import random
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from schemas.definitions import parse_funnels
from schemas.rules import names as n
from schemas.settings import Settings, Site
from sinks.prometheus.labels import LabelPolicy
from streams.backtest.attempts import Attempt, Reached, from_files
from streams.backtest.pages import Page
from streams.backtest.run import backtest
from streams.batch.inputs import open_inputs
from streams.commands.alerts import alerts
from tests.alerts.shipped import ROOT

DAY = 86_400_000
TIMES = 20
MAPPING = ROOT / "examples" / "shop" / "mapping.toml"
STAGES = ("shipping_details", "payment_details", "purchase")
TABLE = {
    "name": "checkout", "unit": "session", "window": "1h", "dimensions": ["device"],
    "stages": [{"name": name, "events": [name]} for name in STAGES],
}  # fmt: skip
(FUNNEL,) = parse_funnels({"funnels": [TABLE]}, "test")
SETTINGS = Settings(site=Site(name="shop"))


def ms(month: int, day: int) -> int:
    return int(datetime(2024, month, day, tzinfo=UTC).timestamp()) * 1000


BUG, BUG_END, FAILURES, FAILURES_END = ms(4, 9), ms(5, 10), ms(5, 19), ms(6, 8)


@pytest.fixture(scope="module")
def shop(shared_data: Path) -> list[Attempt]:
    file = shared_data / "shop" / "ecom.csv.gz"
    with ExitStack() as stack:
        inputs, _ = open_inputs((file,), None, MAPPING, SETTINGS, int(time.time() * 1000), stack)
        (found,), _ = from_files([FUNNEL], SETTINGS.site.rates.convert, inputs)
    return sorted(found, key=lambda attempt: (attempt.reached[0].at, attempt.dims))


def larger(shop: list[Attempt]) -> list[Attempt]:
    rng, pools, found = random.Random(1), dict[tuple[int, tuple[str, ...]], list[Attempt]](), []
    for attempt in shop:
        pools.setdefault((_time(attempt.reached[0].at), attempt.dims), []).append(attempt)
    for attempt in shop:
        for _ in range(TIMES):
            at = attempt.reached[0].at + rng.randrange(-3 * DAY, 3 * DAY)
            drawn = rng.choice(pools[_time(at), attempt.dims])
            shift = at - drawn.reached[0].at
            reached = tuple(Reached(each.at + shift, each.level, each.value) for each in drawn.reached)
            found.append(Attempt(attempt.dims, reached))
    return found


def _time(at: int) -> int:
    return 1 if BUG <= at < BUG_END else 2 if FAILURES <= at < FAILURES_END else 0


def told(history: list[Attempt], since: int, until: int) -> list[Page]:
    return list(backtest(FUNNEL, history, since, until, SETTINGS, LabelPolicy()).pages)


def test_the_checkout_bug_of_mobiles_is_found(shop: list[Attempt]) -> None:
    pages = told(larger(shop), ms(4, 2), ms(4, 14))
    before, after = ([page for page in pages if (page.paged < BUG) is early] for early in (True, False))
    assert [page for page in before if page.stage] == []
    page = after[0]
    assert (page.stage, page.following) == ("shipping_details", "payment_details")
    assert page.responsible is not None
    assert (page.responsible.dimension, page.responsible.value) == ("device", "mobile")
    assert page.responsible.posterior > 0.9
    assert page.paged - BUG < 4 * DAY
    assert abs(page.began - BUG) < DAY
    assert {page.stage for page in after} == {"shipping_details"}


def test_the_payment_failures_are_found(shop: list[Attempt]) -> None:
    pages = told(larger(shop), ms(5, 13), ms(5, 23))
    before, after = ([page for page in pages if (page.paged < FAILURES) is early] for early in (True, False))
    assert [page for page in before if page.stage == "payment_details"] == []
    page = next(page for page in after if page.stage)
    assert (page.alert, page.stage, page.following) == (n.DROP, "payment_details", "purchase")
    assert page.responsible is not None
    assert page.responsible.dimension == "all"
    assert page.paged - FAILURES < DAY


def test_the_shop_as_it_is_has_too_few_checkouts_and_nobody_is_paged(shared_data: Path, tmp_path: Path) -> None:
    definitions = tmp_path / "funnels.toml"
    stages = "".join(f'[[funnels.stages]]\nname = "{name}"\nevents = "{name}"\n' for name in STAGES)
    definitions.write_text(
        f'[[funnels]]\nname = "checkout"\nunit = "session"\nwindow = "1h"\ndimensions = ["device"]\n{stages}'
    )
    arguments = [
        "--mapping",
        str(MAPPING),
        "--funnels",
        str(definitions),
        "--since",
        "2024-04-05",
        "--until",
        "2024-04-20",
    ]
    ran = CliRunner().invoke(alerts, ["backtest", str(shared_data / "shop" / "ecom.csv.gz"), *arguments])
    assert ran.exit_code == 0, ran.output
    assert ran.stdout == "no page would have gone out\n"
    assert (
        "checkout: 805 attempts replayed, for falls of rates and traffic outages; not replayed are floors, daily"
        in ran.stderr
    )
    assert "shipping_details → payment_details had too little history all along" in ran.stderr
    assert "payment_details → purchase had too little history all along" in ran.stderr
