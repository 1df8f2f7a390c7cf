"""Every series stands at 0 before it first counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from schemas.funnel import Funnel
from schemas.rows import Row
from sinks.prometheus.counters import FunnelCounters, Tally
from sinks.prometheus.labels import LabelPolicy
from sinks.prometheus.series import HOLD, Cells, Distribution

Build = Callable[..., Row]
Read = Callable[[Iterable[Any]], dict[tuple[str, frozenset[tuple[str, str]]], float]]


class Hand:
    """A clock moved by hand, in ms."""

    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def test_a_known_key_counts_at_once() -> None:
    cells: Cells[str] = Cells(["a"])
    assert dict(cells.scrape(0)) == {"a": 0}
    cells.add({"a": 5}, 0)
    assert dict(cells.scrape(0)) == {"a": 5}


def test_a_known_key_that_counted_before_its_first_scrape_shows_0_once() -> None:
    """A worker that comes into a backlog: increase() would pass over all that a series begins with."""
    cells: Cells[str] = Cells(["a"])
    cells.add({"a": 5}, 1_000)
    assert dict(cells.scrape(2_000)) == {"a": 0}
    assert dict(cells.scrape(3_000)) == {"a": 5}


def test_a_known_key_that_nobody_asks_for_is_let_go_after_a_minute() -> None:
    cells: Cells[str] = Cells(["a"])
    cells.add({"a": 5}, 1_000)
    assert dict(cells.scrape(1_000 + HOLD)) == {"a": 5}


def test_a_new_key_shows_0_once_and_loses_nothing() -> None:
    cells: Cells[str] = Cells()
    cells.add({"b": 5}, 0)
    cells.add({"b": 2}, 10)
    assert cells.total("b") == 7
    assert dict(cells.scrape(20)) == {"b": 0}
    cells.add({"b": 1}, 30)
    assert dict(cells.scrape(40)) == {"b": 8}
    cells.add({"b": 1}, 50)
    assert dict(cells.scrape(60)) == {"b": 9}


def test_a_new_key_is_let_go_after_a_minute_without_scrapes() -> None:
    cells: Cells[str] = Cells()
    cells.add({"b": 5}, 1_000)
    assert dict(cells.scrape(1_000 + HOLD)) == {"b": 5}
    cells.add({"c": 5}, 1_000)
    assert dict(cells.scrape(1_000 + HOLD - 1)) == {"b": 5, "c": 0}


def test_buckets_include_their_upper_bound() -> None:
    histogram = Distribution((10, 20))
    histogram.observe([20, 10, 0, 11, 21, 10])
    histogram.observe([])
    assert histogram.counts == [3, 2, 1]
    assert histogram.total == 72


def test_known_series_stand_at_0_from_the_start(shop: Funnel, read: Read) -> None:
    policy = LabelPolicy(values={"channel": ("paid",)}, currencies=("EUR",))
    found = read(FunnelCounters([shop], policy, "example").families())
    learning = {key for key in found if key[0] == "funnel_expectation_learning"}
    assert {found.pop(key) for key in learning} == {1}
    assert len(learning) == 3
    assert set(found.values()) == {0}
    segments = [("all", "all")]
    segments += [("channel", value) for value in ("paid", "(none)", "other")]
    segments += [("device", value) for value in ("(none)", "other")]
    expected: list[tuple[str, dict[str, str]]] = [
        ("funnel_attempts_started_total", {}),
        ("funnel_conversions_total", {}),
        ("funnel_recovered_total", {}),
    ]
    expected += [("funnel_stage_entered_total", {"funnel_stage": s}) for s in ("view", "cart", "coupon", "buy")]
    for stage in ("view", "cart", "coupon"):
        expected.append(("funnel_stage_conversions_total", {"funnel_stage": stage}))
        for reason in ("window_timeout", "session_end"):
            expected.append(("funnel_stage_dropped_total", {"funnel_stage": stage, "reason": reason}))
    expected += [
        ("funnel_conversion_value_total", {"currency": "EUR"}),
        ("funnel_refund_value_total", {"currency": "EUR"}),
    ]
    for name, own in expected:
        for dimension, value in segments:
            labels = {"funnel_site": "example", "funnel": "shop", "dimension": dimension, "value": value, **own}
            assert (name, frozenset(labels.items())) in found
            family = "funnel_retracted_value_total" if "value" in name else "funnel_retracted_total"
            assert (family, frozenset({**labels, "counter": name}.items())) in found


def test_a_learned_value_opens_all_series_of_its_funnel_at_0(shop: Funnel, row: Build, read: Read) -> None:
    clock = Hand()
    counters = FunnelCounters([shop], LabelPolicy(), "example", clock)
    read(counters.families())
    counters.count(Tally([row(kind="enter", stage=0, entry_dims=("tiktok", "tv"))] * 3))

    def value(name: str, dimension: str, label: str, **own: str) -> float | None:
        labels = {"funnel_site": "example", "funnel": "shop", "dimension": dimension, "value": label, **own}
        return found.get((name, frozenset(labels.items())))

    found = read(counters.families())
    assert value("funnel_attempts_started_total", "all", "all") == 3
    assert value("funnel_attempts_started_total", "channel", "tiktok") == 0
    assert value("funnel_stage_dropped_total", "channel", "tiktok", funnel_stage="cart", reason="session_end") == 0
    assert value("funnel_retracted_total", "device", "tv", counter="funnel_conversions_total") == 0
    clock.now += 15_000
    found = read(counters.families())
    assert value("funnel_attempts_started_total", "channel", "tiktok") == 3
    assert value("funnel_stage_dropped_total", "channel", "tiktok", funnel_stage="cart", reason="session_end") == 0


def test_an_unforeseen_reason_shows_0_first_in_every_segment(shop: Funnel, row: Build, read: Read) -> None:
    counters = FunnelCounters([shop], LabelPolicy(values={"channel": ("paid", "organic")}), "example", Hand())
    counters.count(Tally([row(kind="end", stage=1, outcome="broken")]))
    first, second = read(counters.families()), read(counters.families())
    labels = {"funnel_site": "example", "funnel": "shop", "funnel_stage": "cart", "reason": "broken"}
    for channel, sum_ in (("paid", 1), ("organic", 0)):
        key = ("funnel_stage_dropped_total", frozenset({**labels, "dimension": "channel", "value": channel}.items()))
        assert (first[key], second[key]) == (0, sum_)
