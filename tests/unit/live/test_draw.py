"""The picture: what is divided by what, what is chosen, and which workers stand behind it."""

from __future__ import annotations

import pytest

from schemas import metrics as m
from schemas.funnel import Funnel
from schemas.live import MINUTE, Account
from streams.live.draw import Artist
from streams.live.history import History
from streams.live.judge import Change
from streams.live.periods import Period
from streams.live.picture import Alerts, Choice, Picture
from tests.unit.live.conftest import NOON, Publish, everything

NOW = NOON + 30_000


@pytest.fixture
def artist(shop: Funnel) -> Artist:
    return Artist("shop.example", "Europe/Berlin", [shop], [("channel", "device"), ("channel", "country")])


def draw(artist: Artist, history: History, by: str = "", now: int = NOW, problem: str = "") -> Picture:
    return artist.draw(Choice("shop", by, Period.HOUR), "", history, Alerts(), problem, now)


def test_rates_from_the_start_and_from_the_required_stage_before(artist: Artist, publish: Publish) -> None:
    history = History()
    history.take(publish(entered={"view": 100, "cart": 40, "coupon": 10, "buy": 20}, at=NOW))
    stages = draw(artist, history).stages
    assert [stage.reached for stage in stages] == [100, 40, 10, 20]
    assert [stage.of_start for stage in stages] == [1.0, 0.4, 0.1, 0.2]
    assert [stage.step for stage in stages] == [None, 0.4, 0.25, 0.5]  # of 40 carts: the coupon is optional
    assert [stage.optional for stage in stages] == [False, False, True, False]
    assert stages[1].indicator == "Carts"
    assert stages[1].target == 0.5
    assert stages[1].course[-1] == 0.4
    assert stages[1].course[:-1] == [None] * 59


def test_drop_offs_by_reason_the_most_frequent_first(artist: Artist, publish: Publish) -> None:
    lost = {"window_timeout": 3, "session_end": 9}
    accounts = tuple(Account(m.STAGE_DROPPED.name, ("cart", reason), everything(n)) for reason, n in lost.items())  # type: ignore[arg-type]
    history = History()
    history.take(publish(accounts=accounts))
    assert list(draw(artist, history).stages[1].lost.items()) == [("session_end", 9), ("window_timeout", 3)]


def test_the_time_before_is_compared(artist: Artist, publish: Publish) -> None:
    history = History()
    history.take(publish(NOON - 90 * MINUTE, entered={"view": 1000, "cart": 500}))
    history.take(publish(NOON, entered={"view": 1000, "cart": 300}))
    picture = draw(artist, history)
    assert picture.compared
    assert (picture.stages[1].step, picture.stages[1].step_before, picture.stages[1].change) == (0.3, 0.5, Change.FELL)
    assert picture.stages[0].reached_before == 1000


@pytest.mark.parametrize(
    ("ready", "state", "at", "learning"),
    [
        ({}, "absent", None, False),
        ({"view": None, "cart": None}, "learning", None, True),
        ({"view": NOW + 5, "cart": NOW + 3}, "learning", NOW + 3, True),
        ({"view": NOW + 5, "cart": 0}, "known", NOW + 5, True),
        ({"view": 0, "cart": 0}, "known", None, False),
    ],
)
def test_what_is_expected_or_learned(
    artist: Artist, publish: Publish, ready: dict[str, int | None], state: str, at: int | None, learning: bool
) -> None:
    history = History()
    history.take(publish(entered={"view": 9}, ready=ready, at=NOW))
    picture = draw(artist, history)
    assert (picture.expectation, picture.ready_at) == (state, at)
    assert picture.stages[1].learning is learning
    assert picture.stages[1].expected == (0 if ready.get("view") == 0 else None)


def test_an_expectation_judges_before_the_time_before_does(artist: Artist, publish: Publish) -> None:
    expected = Account(m.STAGE_EXPECTED_CONVERSIONS.name, ("view",), everything(300_500_000))  # type: ignore[arg-type]
    came = Account(m.STAGE_CONVERSIONS.name, ("view",), everything(300))  # type: ignore[arg-type]
    history = History()
    history.take(publish(NOON - 90 * MINUTE, entered={"view": 1000, "cart": 500}))
    history.take(
        publish(
            NOON,
            entered={"view": 1000, "cart": 300},
            accounts=(expected, came),
            ready={"view": 0, "cart": None},
            at=NOW,
        )
    )
    picture = draw(artist, history)
    assert picture.expectation == "known"
    assert (picture.stages[1].expected, picture.stages[1].converted) == (300.5, 300)
    assert picture.stages[1].change is Change.NONE  # as few as a Sunday has
    assert picture.stages[3].expected is None
    assert picture.stages[3].learning


def test_a_breakdown_has_the_largest_first(artist: Artist, publish: Publish) -> None:
    by = {"all": {"all": 7}, "channel": {"email": 2, "paid": 4, "direct": 1}}
    history = History()
    history.take(publish(accounts=(Account(m.STAGE_ENTERED.name, ("view",), by),)))
    picture = draw(artist, history, "channel")
    assert [(segment.value, segment.reached) for segment in picture.segments] == [
        ("paid", [4, 0, 0, 0]), ("email", [2, 0, 0, 0]), ("direct", [1, 0, 0, 0]),
    ]  # fmt: skip
    assert picture.dimensions == ["channel", "device", "channel×device"]  # never ids; crosses of its own dimensions


def test_workers_that_speak_are_silent_or_differ(artist: Artist, publish: Publish) -> None:
    history = History()
    history.take(publish(worker="a", at=NOW - 1000, lag=3, watermark=NOON - 5, open={"shop": 4}))
    history.take(publish(worker="b", at=NOW - 3000, lag=4, watermark=NOON - 9, open={"shop": 5}))
    history.take(publish(worker="c", at=NOW - 20_000, lag=100, watermark=5, open={"shop": 100}))
    history.take(publish(worker="d", at=NOW, version="v0"))
    history.take(publish(worker="e", at=NOW, ended=True))
    history.take(publish(worker="f", at=NOW - 700_000))
    picture = draw(artist, history)
    assert [(seen.name, seen.state) for seen in picture.workers] == [
        ("a", "live"), ("b", "live"), ("c", "silent"), ("d", "differs"),
    ]  # fmt: skip
    assert (picture.lag, picture.watermark, picture.open, picture.as_of) == (7, NOON - 9, 9, NOW - 3000)


def test_nothing_at_all(artist: Artist) -> None:
    picture = draw(artist, History(), "device", problem="Kafka does not answer")
    assert (picture.rate, picture.as_of, picture.lag, picture.watermark) == (None, None, None, None)
    assert picture.segments == []
    assert picture.problem == "Kafka does not answer"


@pytest.mark.parametrize(
    ("asked", "choice", "note"),
    [
        ({}, Choice("shop", "channel", Period.HOUR), ""),
        ({"funnel": "shop", "by": "", "period": "today"}, Choice("shop", "", Period.TODAY), ""),
        ({"by": "channel×device", "period": "5m"}, Choice("shop", "channel×device", Period.FIVE_MINUTES), ""),
        ({"funnel": "x\x00y"}, Choice("shop", "channel", Period.HOUR), "There is no funnel “x\ufffdy”."),
        ({"by": "user_id"}, Choice("shop", "channel", Period.HOUR), "shop is not counted by “user_id”."),
        ({"period": "2h"}, Choice("shop", "channel", Period.HOUR), "There is no period “2h”."),
    ],
)
def test_the_nearest_choice(artist: Artist, asked: dict[str, str], choice: Choice, note: str) -> None:
    assert artist.chosen(asked) == (choice, note)
