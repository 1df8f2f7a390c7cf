"""The calendar gives units in the order of their times, whether they are entered one by one or a page at a time."""

from __future__ import annotations

from array import array

from hypothesis import given
from hypothesis import strategies as st

from streams.engine.wakes import PAGE, Wakes

times = st.integers(-200_000, 700_000)
entries = st.lists(st.tuples(times, st.text("abc", max_size=2)), max_size=12)


def by_page(entered: list[tuple[int, str]]) -> list[tuple[int, bytes, list[str]]]:
    """As the compiled part gives them."""
    pages: dict[int, tuple[array[int], list[str]]] = {}
    for wake, key in entered:
        packed, keys = pages.setdefault(wake >> PAGE, (array("q"), []))
        packed.append(-wake)
        keys.append(key)
    return [(number, packed.tobytes(), keys) for number, (packed, keys) in pages.items()]


@given(st.lists(st.tuples(entries, times), max_size=8))
def test_both_ways_give_the_same_and_in_order(steps: list[tuple[list[tuple[int, str]], int]]) -> None:
    one, many = Wakes(), Wakes()
    waiting: list[tuple[int, str]] = []
    for entered, now in steps:
        for wake, key in entered:
            one.enter(wake, key)
        far = [(wake, key) for wake, key in entered if wake >= many.edge]
        many.add(by_page(far))
        for wake, key in entered:
            if wake < many.edge:
                many.enter(wake, key)
        waiting += entered
        assert len(one) == len(many) == len(waiting)
        while (first := one.first_before(now)) is not None:
            assert many.first_before(now) is not None
            assert first[0] == min(waiting)[0]
            waiting.remove(first)
        assert many.first_before(now) is None
        assert min(waiting, default=(now, ""))[0] >= now
        assert one.soonest <= min(waiting, default=(now, ""))[0] or not waiting
        assert sorted(one.near) == sorted(many.near)
        assert bool(one) == bool(many) == bool(waiting)
