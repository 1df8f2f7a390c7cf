"""One whole from many workers' minutes: nothing twice, nothing lost, over restarts and time."""

from __future__ import annotations

from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import metrics as m
from schemas.live import MINUTE, Account, Counts, Published, decode, encode
from streams.live.history import KEPT, MINUTES_KEPT, QUARTER, History, Place, Series, Span
from tests.unit.live.conftest import NOON, Publish

PLACE = Place("shop", "v1", "all")
VIEW = Series(m.STAGE_ENTERED.name, ("view",), "all")
EVER = Span(0, 2 * NOON)


def views(history: History, span: Span = EVER) -> int:
    return history.sums(PLACE, span).get(VIEW, 0)


def test_a_minute_written_anew_replaces_itself(publish: Publish) -> None:
    history = History()
    for amount in (1, 4, 9):
        history.take(publish(entered={"view": amount}))
    assert views(history) == 9
    history.take(publish(NOON + MINUTE, entered={"view": 2}))
    assert views(history) == 11


def test_what_is_taken_back_falls(publish: Publish) -> None:
    history = History()
    history.take(publish(entered={"view": 5}))
    history.take(publish(entered={"view": 3}))
    history.take(publish(NOON + MINUTE, entered={"view": -1}))
    assert views(history) == 2


def test_workers_are_added_up_and_a_restart_begins_a_life_of_its_own(publish: Publish) -> None:
    history = History()
    history.take(publish(worker="a", born=1, entered={"view": 10}))
    history.take(publish(worker="b", born=1, entered={"view": 20}))
    history.take(publish(worker="a", born=2, entered={"view": 1}))  # in the same minute
    history.take(publish(worker="a", born=2, entered={"view": 3}))
    assert views(history) == 33
    assert [(record.worker, record.born) for record in history.workers()] == [("a", 2), ("b", 1)]


def test_a_record_of_a_closed_life_or_minute_counts_no_more(publish: Publish) -> None:
    history = History()
    history.take(publish(born=1, entered={"view": 10}))
    history.take(publish(born=2, entered={"view": 1}))
    history.take(publish(born=1, entered={"view": 12}))
    history.take(publish(NOON + MINUTE, born=2, entered={"view": 1}))
    history.take(publish(NOON, born=2, entered={"view": 100}))
    assert views(history) == 12


def test_a_clock_that_was_set_back_at_a_restart_does_no_harm(publish: Publish) -> None:
    history = History()
    history.take(publish(born=NOON, entered={"view": 10}))
    history.take(publish(NOON - 30 * MINUTE, born=NOON - 30 * MINUTE, entered={"view": 1}))
    history.take(publish(NOON - 29 * MINUTE, born=NOON - 30 * MINUTE, entered={"view": 2}))
    assert views(history) == 13


def test_another_version_of_the_funnel_is_another_place(publish: Publish) -> None:
    history = History()
    history.take(publish(worker="a", entered={"view": 10}))
    history.take(publish(worker="b", version="v2", entered={"view": 20}))
    assert views(history) == 10
    assert history.sums(PLACE._replace(version="v2"), EVER) == {VIEW: 20}


def test_spans_hold_their_first_minute_and_not_their_last(publish: Publish) -> None:
    history = History()
    for index in range(5):
        history.take(publish(NOON + index * MINUTE, entered={"view": 10**index}))
    assert views(history, Span(NOON + MINUTE, NOON + 3 * MINUTE)) == 110
    assert views(history, Span(NOON + 4 * MINUTE, NOON + 9 * MINUTE)) == 10_000


def test_minutes_become_quarters_of_an_hour_and_are_forgotten(publish: Publish) -> None:
    history = History()
    for index in range(30):
        history.take(publish(NOON + index * MINUTE, entered={"view": 1}))
    history.take(publish(NOON + MINUTES_KEPT + 20 * MINUTE, entered={"view": 100}))
    history.age(NOON + MINUTES_KEPT + 20 * MINUTE)
    assert views(history) == 130
    assert views(history, Span(NOON, NOON + QUARTER)) == 15
    history.age(NOON + KEPT + QUARTER)
    assert views(history) == 115
    history.age(NOON + 2 * KEPT)
    assert views(history) == 0
    assert history.workers() == []


def test_the_course_is_one_row_a_step(publish: Publish) -> None:
    history = History()
    for index in range(4):
        history.take(publish(NOON + index * MINUTE, entered={"view": 10 + index, "cart": index}))
    cart = VIEW._replace(labels=("cart",))
    assert history.course(PLACE, [VIEW, cart], Span(NOON + MINUTE, NOON + 6 * MINUTE), 2 * MINUTE) == [
        [11 + 12, 1 + 2],
        [13, 3],
        [0, 0],
    ]


Writing = tuple[int, int, int, int]  # worker, restart?, minutes that passed, counted since the last record


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.integers(0, 40), st.integers(-3, 50)), max_size=60))
def test_whatever_the_workers_do_the_whole_is_what_they_counted(writings: list[tuple[int, bool, int, int]]) -> None:
    history, expected, now = History(), Counter[int](), NOON
    lives: dict[int, tuple[int, int, int]] = {}  # born, minute, counted in it
    for worker, restarts, minutes, more in writings:
        now += minutes * MINUTE
        born, minute, counted = lives.get(worker, (0, now, 0))
        if restarts:
            born, minute, counted = born + 1, now, 0
        elif minute < now:
            minute, counted = now, 0
        counted += more
        expected[minute] += more
        lives[worker] = born, minute, counted
        account = Account(m.STAGE_ENTERED.name, ("view",), {"all": {"all": counted}})
        record = Published(str(worker), born, minute, now, counts=(Counts("shop", "v1", {}, (account,)),))
        history.take(decode(encode(record)))
        history.age(now)
    kept = {minute: amount for minute, amount in expected.items() if minute // QUARTER * QUARTER >= now - KEPT}
    since = -(-(now - KEPT) // QUARTER) * QUARTER
    assert views(history, Span(since, now + 1)) == sum(n for minute, n in kept.items() if minute >= since)
