"""What rows add to the counters, and what taking them back leaves."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas import metrics
from schemas.errors import ConfigError
from schemas.event import MONEY_SCALE
from schemas.funnel import Funnel, Mode, Stage, Unit
from schemas.rows import Row
from sinks.prometheus.counters import FunnelCounters, Tally
from sinks.prometheus.definition import plain_edges, possible_reasons
from sinks.prometheus.labels import LabelPolicy, Segment

Build = Callable[..., Row]
Read = Callable[[Iterable[Any]], dict[tuple[str, frozenset[tuple[str, str]]], float]]

LISTED = LabelPolicy(
    values={"channel": ("paid", "organic"), "device": ("mobile", "desktop")},
    crosses=(("channel", "device"),),
    currencies=("EUR",),
)
PAID = Segment("channel", "paid")
PAID_MOBILE = Segment("channel\u00d7device", "paid\u00d7mobile")


def series(
    name: str, dimension: str = "all", value: str = "all", **labels: str
) -> tuple[str, frozenset[tuple[str, str]]]:
    own = {"funnel_site": "example", "funnel": "shop", "dimension": dimension, "value": value, **labels}
    return name, frozenset(own.items())


def walk(row: Build) -> list[Row]:
    """One visitor: view, cart, buy (no coupon), with 12.50 of revenue, then 2.50 given back."""
    return [
        row(kind="enter", item="view", to_stage="view", stage=0, reached=0b1),
        row(kind="enter", item="cart", from_stage="view", to_stage="cart", stage=1, reached=0b11, duration=4_000),
        row(kind="move", item="e3", from_stage="cart", to_stage="view", stage=0, reached=0b11, direction="back"),
        row(kind="enter", item="buy", from_stage="view", to_stage="buy", stage=3, reached=0b1011, duration=90_000,
            value=12_500_000_000, currency="EUR"),
        row(kind="end", from_stage="buy", to_stage="buy", stage=3, reached=0b1011, outcome="converted", duration=94_000),
        row(kind="refund", item="e9", reached=0, value=-2_500_000_000, currency="EUR"),
    ]  # fmt: skip


def test_a_walk_counts_in_every_segment_of_its_entry(shop: Funnel, row: Build, read: Read) -> None:
    counters = FunnelCounters([shop], LISTED, "example")
    read(counters.families())
    counters.count(Tally(walk(row)))
    found = read(counters.families())
    for dimension, value in (("all", "all"), PAID, ("device", "mobile"), PAID_MOBILE):
        assert found[series("funnel_attempts_started_total", dimension, value)] == 1
        assert found[series("funnel_stage_entered_total", dimension, value, funnel_stage="buy")] == 1
        assert found[series("funnel_stage_conversions_total", dimension, value, funnel_stage="view")] == 1
        assert found[series("funnel_stage_conversions_total", dimension, value, funnel_stage="cart")] == 1
        assert found[series("funnel_stage_conversions_total", dimension, value, funnel_stage="coupon")] == 0
        assert found[series("funnel_conversions_total", dimension, value)] == 1
        assert found[series("funnel_conversion_value_total", dimension, value, currency="EUR")] == 12.5
        assert found[series("funnel_refund_value_total", dimension, value, currency="EUR")] == 2.5
    assert found[series("funnel_attempts_started_total", "channel", "organic")] == 0
    assert found[series("funnel_recovered_total")] == 0
    edge = {"from_stage": "view", "to_stage": "cart", "direction": "forward"}
    assert found[series("funnel_transitions_total", **edge)] == 1
    assert series("funnel_transitions_total", *PAID, **edge) not in found
    duration = {"funnel_stage": "buy"}
    assert found[series("funnel_stage_duration_seconds_count", **duration)] == 1
    assert found[series("funnel_stage_duration_seconds_sum", **duration)] == 90.0
    assert found[series("funnel_stage_duration_seconds_bucket", le="60.0", **duration)] == 0
    assert found[series("funnel_stage_duration_seconds_bucket", le="120.0", **duration)] == 1
    assert found["funnel_uncounted_rows_total", frozenset({("funnel_site", "example")})] == 0


def test_a_reached_optional_stage_converts_with_the_required_one_before_it(shop: Funnel, row: Build) -> None:
    counters = FunnelCounters([shop], LISTED, "example")
    counters.count(Tally([row(kind="enter", to_stage="coupon", stage=2, reached=0b0111)]))
    assert counters.net(metrics.STAGE_CONVERSIONS, "shop", "cart") == 0
    counters.count(Tally([row(kind="enter", to_stage="buy", stage=3, reached=0b1111)]))
    assert counters.net(metrics.STAGE_CONVERSIONS, "shop", "coupon") == 1
    assert counters.net(metrics.STAGE_CONVERSIONS, "shop", "cart") == 1
    assert counters.net(metrics.STAGE_CONVERSIONS, "shop", "view") == 0


def test_a_drop_off_counts_at_the_highest_stage_with_its_reason(shop: Funnel, row: Build) -> None:
    counters = FunnelCounters([shop], LISTED, "example")
    counters.count(Tally([row(kind="end", stage=1, to_stage="cart", outcome="window_timeout")]))
    assert counters.net(metrics.STAGE_DROPPED, "shop", "cart", "window_timeout", segment=PAID_MOBILE) == 1
    assert counters.net(metrics.CONVERSIONS, "shop") == 0


def test_a_recovered_attempt_counts_at_its_entry_alone(shop: Funnel, row: Build) -> None:
    counters = FunnelCounters([shop], LISTED, "example")
    counters.count(
        Tally([row(recovered=True), row(recovered=True, stage=1, reached=3), row(kind="end", recovered=True)])
    )
    assert counters.net(metrics.RECOVERED, "shop") == 1


def test_what_is_taken_back_adds_to_retracted_under_the_same_labels(shop: Funnel, row: Build, read: Read) -> None:
    counters = FunnelCounters([shop], LISTED, "example")
    rows = walk(row)
    counters.count(Tally(rows))
    counters.families()
    before = read(counters.families())
    counters.count(Tally([msgspec.structs.replace(r, is_deleted=1) for r in rows]))
    counters.families()
    after = read(counters.families())
    for (name, labels), value in after.items():
        if name.startswith("funnel_retracted"):
            own = dict(labels)
            counter = own.pop("counter")
            assert value == before[counter, frozenset(own.items())], (counter, own)
        else:
            assert value == before[name, labels]
    assert after[series("funnel_retracted_total", *PAID, counter="funnel_conversions_total")] == 1
    assert after[
        series("funnel_retracted_value_total", counter="funnel_conversion_value_total", currency="EUR")
    ] == 12.5  # fmt: skip
    assert (
        after[series("funnel_retracted_total", counter="funnel_stage_duration_seconds_sum", funnel_stage="buy")] == 90.0
    )


def test_rows_of_unknown_definitions_are_counted_apart(shop: Funnel, row: Build, read: Read) -> None:
    counters = FunnelCounters([shop], LISTED, "example")
    counters.count(
        Tally([row(funnel="else"), row(version="v2"), row(stage=9), row(kind="new"), row(kind="end", stage=-1)])
    )
    found = read(counters.families())
    assert found["funnel_uncounted_rows_total", frozenset({("funnel_site", "example")})] == 5
    assert found[series("funnel_attempts_started_total")] == 0


def test_two_funnels_of_one_name_are_refused(shop: Funnel) -> None:
    with pytest.raises(ConfigError, match="shop: is defined twice; their counts would mix"):
        FunnelCounters([shop, msgspec.structs.replace(shop, version="v2")], LISTED, "example")


def test_chunks_that_wait_together_are_all_counted(shop: Funnel, row: Build) -> None:
    counters = FunnelCounters([shop], LISTED, "example")
    for value in (700, 5, -30):
        counters.count(Tally([row(stage=3, reached=15, value=value, currency="EUR", duration=2_000)]))
    assert counters.waiting == 3
    assert counters.net(metrics.CONVERSION_VALUE, "shop", "EUR") == 705
    assert counters.net(metrics.REFUND_VALUE, "shop", "EUR") == 30
    assert counters.net(metrics.STAGE_ENTERED, "shop", "buy") == 3
    assert counters.waiting == 0


def test_money_stays_exact_beyond_a_float(shop: Funnel, row: Build) -> None:
    counters = FunnelCounters([shop], LISTED, "example")
    huge = 9_007_199_254_740_993 * MONEY_SCALE + 1
    counters.count(Tally([row(stage=3, reached=15, value=huge, currency="EUR"), row(stage=3, value=2, currency="EUR")]))
    assert counters.net(metrics.CONVERSION_VALUE, "shop", "EUR") == huge + 2


def test_in_unordered_mode_every_level_is_required(row: Build) -> None:
    stages = tuple(Stage(name, (name,), optional=name == "b") for name in "abc")
    funnel = Funnel("shop", "v1", Unit.VISITOR, stages, mode=Mode.UNORDERED)
    counters = FunnelCounters([funnel], LabelPolicy(), "example")
    counters.count(Tally([row(stage=level, reached=(2 << level) - 1, entry_dims=()) for level in range(3)]))
    assert [counters.net(metrics.STAGE_ENTERED, "shop", f"{n} of 3") for n in (1, 2, 3)] == [1, 1, 1]
    assert [counters.net(metrics.STAGE_CONVERSIONS, "shop", f"{n} of 3") for n in (1, 2, 3)] == [1, 1, 0]


def test_a_definition_names_the_reasons_and_edges_that_can_occur(shop: Funnel) -> None:
    assert [reason.value for reason in possible_reasons(shop)] == ["window_timeout", "session_end"]
    stages = (Stage("a", ("a",)), Stage("b", ("b",), within=60_000, exclude=("x",)))
    strict = Funnel("f", "v", Unit.VISITOR, stages, mode=Mode.STRICT)
    assert [r.value for r in possible_reasons(strict)] == ["window_timeout", "step_timeout", "excluded", "broken"]
    assert list(plain_edges(shop)) == [
        ("", "view"), ("view", "cart"), ("cart", "coupon"), ("cart", "buy"), ("coupon", "buy"),
    ]  # fmt: skip


#: Counted for all traffic only.
ALL_ONLY = ("funnel_transitions", "funnel_stage_duration")

# -- any rows, any retractions, any cut into chunks


def expected(rows: Iterable[Row]) -> Iterator[tuple[str, tuple[str, ...], Row]]:
    """The rules again, row by row, as plainly as they can be said: (counter, labels in order, row)."""
    names = ("view", "cart", "coupon", "buy")
    for r in rows:
        if r.kind == "enter":
            yield "funnel_stage_entered_total", (names[r.stage],), r
            if r.stage == 0:
                yield "funnel_attempts_started_total", (), r
            if r.stage == 1:
                yield "funnel_stage_conversions_total", ("view",), r
            if r.stage == 3:
                yield "funnel_stage_conversions_total", ("cart",), r
                if r.reached & 0b100:
                    yield "funnel_stage_conversions_total", ("coupon",), r
        elif r.kind == "end" and r.outcome == "converted":
            yield "funnel_conversions_total", (), r
        elif r.kind == "end":
            yield "funnel_stage_dropped_total", (names[r.stage], r.outcome), r


@st.composite
def shop_rows(draw: st.DrawFn) -> list[Row]:
    kind = draw(st.sampled_from(["enter", "enter", "end", "move", "refund"]))
    stage = draw(st.integers(0, 3))
    dims = (
        draw(st.sampled_from(["paid", "organic", "tiktok", "(none)"])),
        draw(st.sampled_from(["mobile", "tv", "\n"])),
    )
    value = draw(st.integers(1, 10**15)) if kind == "enter" and stage == 3 else None
    fields = msgspec.structs.asdict(_row())
    fields |= {
        "kind": kind, "stage": stage, "entry_dims": dims, "reached": draw(st.integers(0, 15)) | 1 << stage,
        "duration": draw(st.integers(-1, 10**9)), "currency": draw(st.sampled_from(["EUR", "USD"])),
        "value": -draw(st.integers(1, 10**12)) if kind == "refund" else value,
        "outcome": draw(st.sampled_from(["converted", "window_timeout", "excluded"])) if kind == "end" else "",
        "direction": draw(st.sampled_from(["back", "skip"])) if kind == "move" else "",
        "from_stage": draw(st.sampled_from(["", "view", "cart"])), "to_stage": ("view", "cart", "coupon", "buy")[stage],
    }  # fmt: skip
    one = Row(**fields)
    fate = draw(st.sampled_from(["stays", "stays", "goes", "goes and comes back"]))
    gone = msgspec.structs.replace(one, is_deleted=1)
    return {"stays": [one], "goes": [one, gone], "goes and comes back": [one, gone, one]}[fate]


def _row() -> Row:
    return Row(
        "shop", "v1", "a", "enter", "", 0, 0, "u", 0, 1, False, 0, 0, "", "", "", 0, 1, "", "", -1, (), (), None, "",
        None, "", False,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(shop_rows(), max_size=25), st.integers(1, 40))
def test_counter_minus_retracted_equals_the_rows(shop: Funnel, groups: list[list[Row]], size: int) -> None:
    rows = [r for group in groups for r in group]
    live = [group[0] for group in groups if len(group) != 2]
    policy = LabelPolicy(values={"channel": ("paid", "organic")}, max_values=1, crosses=(("channel", "device"),))
    counters = FunnelCounters([shop], policy, "example")
    for start in range(0, len(rows), size):
        counters.count(Tally(rows[start : start + size]))
    by_name = {metric.name: metric for metric in metrics.OF_FUNNELS}
    want: Counter[tuple[str, tuple[str, ...], Segment]] = Counter()
    for name, labels, r in expected(live):
        channel = r.entry_dims[0] if r.entry_dims[0] != "tiktok" else "other"
        want[name, labels, Segment("all", "all")] += 1
        want[name, labels, Segment("channel", channel)] += 1
    touched = {(name, labels) for name, labels, _ in expected(rows)}
    for name, labels in touched:
        for segment in (
            Segment("all", "all"),
            *(Segment("channel", c) for c in ("paid", "organic", "other", "(none)")),
        ):
            assert counters.net(by_name[name], "shop", *labels, segment=segment) == want[name, labels, segment]
    for sign, metric in ((1, metrics.CONVERSION_VALUE), (-1, metrics.REFUND_VALUE)):
        for currency in ("EUR", "USD"):
            total = sum(abs(r.value) for r in live if r.value and r.value * sign > 0 and r.currency == currency)
            assert counters.net(metric, "shop", currency) == total


@settings(max_examples=30, deadline=None)
@given(st.lists(shop_rows(), max_size=15))
def test_exported_series_of_a_dimension_add_up_and_never_fall(
    shop: Funnel, read: Read, groups: list[list[Row]]
) -> None:
    counters = FunnelCounters(
        [shop], LabelPolicy(max_values=1, crosses=(("channel", "device"),), max_cells=2), "example"
    )
    before: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    for group in groups:
        counters.count(Tally(group))
        now = read(counters.families())
        assert before.keys() <= now.keys()
        assert all(now[key] >= value for key, value in before.items())
        before = now
    read(counters.families())
    sums: Counter[tuple[str, frozenset[tuple[str, str]], str]] = Counter()
    for (name, labels), value in read(counters.families()).items():
        own = dict(labels)
        if "dimension" in own and not own.get("counter", name).startswith(ALL_ONLY):
            dimension = own.pop("dimension")
            own.pop("value")
            sums[name, frozenset(own.items()), dimension] += round(value * MONEY_SCALE)
    assert {dimension for *_, dimension in sums} == {"all", "channel", "device", "channel\u00d7device"}
    for (name, own_labels, _), total in sums.items():
        assert total == pytest.approx(sums[name, own_labels, "all"], abs=1)
