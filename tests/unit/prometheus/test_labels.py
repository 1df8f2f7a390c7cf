"""Label values: allowed, learned, cleaned, and bounded whatever comes."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import msgspec
import pytest

from schemas import metrics
from schemas.errors import ConfigError
from schemas.funnel import Funnel
from schemas.rows import Row
from sinks.prometheus.counters import FunnelCounters, Tally
from sinks.prometheus.labels import EVERYTHING, MAX_LENGTH, AllowList, LabelPolicy, Segment, clean
from sinks.prometheus.segments import Segments

Build = Callable[..., Row]


@pytest.mark.parametrize(
    "raw, label",
    [
        ("paid", "paid"),
        ("", "(none)"),
        ('a"b\\c', 'a"b\\c'),
        ("a\nb\x00c\x7f\x85\u2028", "a\ufffdb\ufffdc\ufffd\ufffd\ufffd"),
        ("<script>", "<script>"),
        ("\ud800", "\ufffd"),
        ("e" * 120, "e" * 120),
        ("e" * 121, "e" * 119 + "…"),
    ],
)
def test_cleaned_values(raw: str, label: str) -> None:
    assert clean(raw) == label
    assert len(clean(raw)) <= MAX_LENGTH


def test_a_list_is_closed() -> None:
    allowed = AllowList("channel", ("paid",), 0)
    assert [segment.value for segment in map(allowed.segment, ["paid", "tiktok", "", "(none)", "other"])] == [
        "paid", "other", "(none)", "(none)", "other",
    ]  # fmt: skip
    assert allowed.segments == {Segment("channel", value) for value in ("paid", "(none)", "other")}


def test_without_a_list_the_first_values_are_learned_and_keep_their_names() -> None:
    learned = AllowList("campaign", (), 2)
    assert [s.value for s in map(learned.segment, ["a", "b\n", "c", "a"])] == ["a", "b\ufffd", "other", "a"]
    assert [s.value for s in map(learned.segment, ["c", "b\n", "b\ufffd", "a"])] == ["other", "b\ufffd", "other", "a"]


def test_tallies_and_single_rows_agree(shop: Funnel) -> None:
    policy = LabelPolicy(values={"channel": ("paid",)}, max_values=2, crosses=(("channel", "device"),), max_cells=3)
    segments = Segments(shop, policy)
    rows = [("paid", "tv"), ("x", "tv"), ("paid", "mobile"), ("paid", "watch"), (), ("paid",), ("paid", "tv", "more")]
    tally = segments.tally(rows)
    assert tally == {
        EVERYTHING: 7,
        Segment("channel", "paid"): 5, Segment("channel", "other"): 1, Segment("channel", "(none)"): 1,
        Segment("device", "tv"): 3, Segment("device", "mobile"): 1, Segment("device", "other"): 1,
        Segment("device", "(none)"): 2,
        Segment("channel×device", "paid×tv"): 2, Segment("channel×device", "other×tv"): 1,
        Segment("channel×device", "paid×mobile"): 1, Segment("channel×device", "other"): 3,
    }  # fmt: skip
    assert segments.known() >= tally.keys()
    for row in rows:
        assert segments.of(row) == list(segments.tally([row]))


def test_a_cross_sign_in_a_value_does_not_make_another_cell(shop: Funnel) -> None:
    segments = Segments(shop, LabelPolicy(crosses=(("channel", "device"),)))
    assert segments.of(("a×b", "c"))[-1] == Segment("channel×device", "axb×c")
    long = segments.of(("e" * 500, "d" * 500))[-1].value
    assert len(long) <= MAX_LENGTH
    assert long.endswith("×" + "d" * 59)


def test_ids_of_persons_and_orders_never_become_labels(shop: Funnel) -> None:
    funnel = msgspec.structs.replace(shop, dimensions=("session_id", "channel", "order_id"))
    assert Segments(funnel, LabelPolicy()).of(("s-1", "paid", "o-1")) == [EVERYTHING, Segment("channel", "paid")]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"values": {"visitor_id": ("v",)}}, "labels: visitor_id names single people or orders; leave it out"),
        ({"crosses": (("channel", "user_id"),)}, "labels: user_id names single people or orders"),
        ({"crosses": (("channel", "channel"),)}, "labels.crosses: channel×channel; name two different dimensions"),
        ({"max_values": -1}, "labels: max_values -1, max_cells 100; use 0 or more"),
    ],
)
def test_policies_that_cannot_be_used_are_refused(fields: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        LabelPolicy(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["all", "a×b"])
def test_dimensions_that_would_be_misread_are_refused(shop: Funnel, name: str) -> None:
    with pytest.raises(ConfigError, match="funnel shop: dimensions"):
        Segments(msgspec.structs.replace(shop, dimensions=(name,)), LabelPolicy())


def test_a_million_campaigns_stay_bounded(shop: Funnel, row: Build) -> None:
    funnel = msgspec.structs.replace(shop, dimensions=("campaign", "device"))
    counters = FunnelCounters([funnel], LabelPolicy(max_values=10, crosses=(("campaign", "device"),)), "example")
    template = row()

    def chunk(start: int) -> list[Row]:
        return [
            msgspec.structs.replace(template, entry_dims=(f"campaign {n}\n{n}", "mobile"))
            for n in range(start, start + 10_000)
        ]

    counters.count(Tally(chunk(0)))
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    series = sum(len(family.samples) for family in counters.families())
    for start in range(10_000, 990_000, 10_000):
        counters.count(Tally(chunk(start)))
    tracemalloc.start()
    counters.count(Tally(chunk(990_000)))
    counters.settle()
    grown = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    assert counters.net(metrics.ATTEMPTS_STARTED, "shop", segment=Segment("campaign", "other")) == 999_990
    assert counters.net(metrics.ATTEMPTS_STARTED, "shop", segment=Segment("campaign×device", "other×mobile")) == 999_990
    assert counters.net(metrics.ATTEMPTS_STARTED, "shop") == 1_000_000
    assert sum(len(family.samples) for family in counters.families()) == series
    assert grown < 2_000_000  # the last breakdowns that are remembered: some thousand of a million
