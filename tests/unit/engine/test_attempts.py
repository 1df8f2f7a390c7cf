"""Numbers of attempts, money, consent and breakdowns: what the oracle's reference leaves out."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.event import Event
from schemas.funnel import Funnel, Mode, Unit
from schemas.rows import Kind, Row
from streams.engine.batch import walk_unit
from tests.unit.engine.feeding import Run, event, events, final_rows, funnel, heartbeat, plain, run, stage

SHOP = funnel(stage("A"), stage("B", value="revenue"), window=100, lateness=20, refunds=("r",))


def paid(name: str, ts: int, value: int, order: str | None = None, **fields: Any) -> Event:
    return event(name, ts, revenue=value, currency="EUR", order_id=order, **fields)


def money_of(rows: list[Row]) -> list[tuple[str, int, int | None, str]]:
    return sorted((row.kind, row.event_time, row.value, row.order_id) for row in rows if row.value is not None)


def attempts_of(definition: Funnel, log: list[Event], until: int = 10_000) -> list[tuple[int, int, bool, str, int]]:
    """(entry, number, recovered, outcome, end) of each attempt, by entry; batch must say the same."""
    rows = run(definition, [*log, heartbeat(until)]).final()
    assert rows == plain(walk_unit(definition, log, until))
    ends = [row for row in rows if row.kind == Kind.END]
    return sorted((row.entry_time, row.attempt, row.recovered, row.outcome, row.event_time) for row in ends)


def test_attempts_are_numbered_and_recovered_after_a_drop_off() -> None:
    definition = funnel(stage("A"), stage("B"), window=100, lateness=10)
    assert attempts_of(definition, events("a@0 a@150 b@160 a@170 b@180 a@281 b@282 a@382/last b@383")) == [
        (0, 1, False, "window_timeout", 100),
        (150, 2, True, "converted", 160),
        (170, 3, False, "converted", 180),
        (281, 1, False, "converted", 282),  # more than `window` after the end at 180
        (382, 2, False, "converted", 383),  # exactly `window` after the end at 282
    ]


def test_an_entry_more_than_a_window_after_a_drop_off_begins_anew() -> None:
    definition = funnel(stage("A"), stage("B"), window=100, lateness=0)
    assert attempts_of(definition, events("a@0 a@200")) == [
        (0, 1, False, "window_timeout", 100),
        (200, 2, True, "window_timeout", 300),
    ]
    assert attempts_of(definition, events("a@0 a@201")) == [
        (0, 1, False, "window_timeout", 100),
        (201, 1, False, "window_timeout", 301),
    ]


def test_unordered_attempts_are_numbered_alike() -> None:
    definition = funnel(stage("A"), stage("B"), window=100, lateness=10, mode=Mode.UNORDERED)
    assert attempts_of(definition, events("b@0 a@150 b@160 b@260 a@361 b@562/x")) == [
        (0, 1, False, "window_timeout", 100),
        (150, 2, True, "converted", 160),
        (260, 3, False, "window_timeout", 360),
        (361, 4, True, "window_timeout", 461),
        (562, 1, False, "window_timeout", 662),
    ]


def test_numbers_run_on_across_gap_sessions() -> None:
    definition = funnel(stage("A"), stage("B"), unit=Unit.SESSION, window=100, lateness=0, session_gap=10)
    log = events("a@0 a@50 b@55 a@70")
    assert attempts_of(definition, log) == [
        (0, 1, False, "session_end", 10),
        (50, 2, True, "converted", 55),
        (70, 3, False, "session_end", 80),
    ]


def test_an_attempt_is_named_by_funnel_version_entry_and_unit() -> None:
    (row,) = run(funnel(stage("A"), stage("B")), events("a@0/e1")).rows
    assert row.attempt_id == "e2ff1d4d7edb368b384825a427b0f99e"
    others = [
        run(funnel(stage("A"), stage("B"), name="g"), events("a@0/e1")),
        run(funnel(stage("A"), stage("B"), version="ba9876543210"), events("a@0/e1")),
        run(funnel(stage("A"), stage("B")), events("a@0/e2")),
        run(funnel(stage("A"), stage("B")), events("a@0/e1", visitor="w")),
    ]
    assert len({row.attempt_id, *(other.rows[0].attempt_id for other in others)}) == 5


def test_an_older_entry_moves_the_attempt() -> None:
    made = run(SHOP, events("a@10/e1 b@12"), events("a@5/e0"))
    moved = [(row.kind, row.entry_time, row.is_deleted, row.revision) for row in made.rows if row.kind == "end"]
    assert moved == [("end", 10, 0, 1), ("end", 5, 0, 2), ("end", 10, 1, 2)]
    assert len(made.withdrawn) == 3
    assert {row.entry_time for row in made.final()} == {5}


def test_revenue_is_taken_where_the_stage_has_a_value() -> None:
    rows = run(SHOP, [paid("a", 0, 3), paid("b", 5, 7)]).final()
    assert money_of(rows) == [("enter", 5, 7, "")]
    assert [row.currency for row in rows if row.value] == ["EUR"]


def test_the_reporting_value_is_converted_at_the_time_of_the_event() -> None:
    from streams.engine.match import CompiledFunnel
    from streams.engine.partition import Partition

    compiled = CompiledFunnel(SHOP, lambda value, currency, ts: value * ts if currency == "EUR" else None)
    partition = Partition("log", 0, Unit.VISITOR, [compiled], {})
    other = paid("r", 7, 4)
    other.currency = "USD"
    for offset, one in enumerate([event("a", 0), paid("b", 5, 7), paid("r", 6, 2), other]):
        partition.event(offset, one)
    made = sorted(partition.finish().rows, key=lambda row: row.revision)
    rows = [row for row in made if row.value is not None]
    assert [(row.kind, row.value, row.currency, row.value_reporting) for row in rows] == [
        ("enter", 7, "EUR", 35),
        ("refund", -2, "EUR", -12),
        ("refund", -4, "USD", None),
    ]


def test_an_order_counts_once_within_the_window() -> None:
    log = [event("a", 0), paid("b", 5, 7, "o1"), event("a", 50), paid("b", 60, 7, "o1"), event("a", 70)]
    log += [paid("b", 80, 9, "o2"), event("a", 90), paid("b", 105, 7, "o1"), event("a", 106), paid("b", 107, 7, "o1")]
    rows = run(SHOP, log).final()
    # o1 at 5, then within its window (60, 105), then at 107: more than 100 ms after its first use.
    assert money_of(rows) == [("enter", 5, 7, "o1"), ("enter", 80, 9, "o2"), ("enter", 107, 7, "o1")]
    assert rows == plain(walk_unit(SHOP, log))


def test_an_order_is_known_after_its_events_were_settled() -> None:
    made = Run(SHOP)
    made.feed([event("a", 0), paid("b", 5, 7, "o1")]).chunk()
    made.feed([event("z", 90, visitor="w")]).chunk()
    made.feed([event("a", 91), paid("b", 92, 7, "o1")])
    assert money_of(made.final()) == [("enter", 5, 7, "o1")]


def test_orders_of_folded_events_count_once() -> None:
    definition = funnel(stage("A"), stage("B", value="revenue"), window=1_000, lateness=30, refunds=("r",))
    log = [paid("a" if i % 2 else "b", i, 7, "o1" if i < 60 else "o2") for i in range(1, 200)]
    made = Run(definition)
    for one in log:
        made.feed([one]).chunk()
    assert money_of(made.final()) == [("enter", 2, 7, "o1"), ("enter", 60, 7, "o2")]


def test_an_older_order_takes_the_revenue() -> None:
    made = run(SHOP, [event("a", 0), event("a", 10), paid("b", 12, 7, "o1")], [paid("b", 8, 9, "o1")])
    # b@8 converts the attempt of a@0; a@10 then opens another, whose order is known.
    assert money_of(made.final()) == [("enter", 8, 9, "o1")]
    assert (
        sum(row.value or 0 for row in made.rows if not row.is_deleted) - sum(r.value or 0 for r in made.withdrawn) == 9
    )


def test_unordered_revenue_is_that_of_the_stages_with_a_value() -> None:
    definition = funnel(stage("A"), stage("B", value="revenue"), mode=Mode.UNORDERED, refunds=("r",))
    rows = run(definition, [paid("b", 1, 5), paid("a", 2, 6), paid("r", 3, 2)]).final()
    assert money_of(rows) == [("enter", 1, 5, ""), ("refund", 3, -2, "")]


def test_refunds_are_negative_rows_of_their_own() -> None:
    log = [
        event("a", 0),
        paid("b", 5, 7, "o1"),
        paid("r", 9, 4, "o1", event_id="r1"),
        paid("r", 10, 3, "o1", event_id="r2"),
    ]
    rows = run(SHOP, log).final()
    assert money_of(rows) == [("enter", 5, 7, "o1"), ("refund", 9, -4, "o1"), ("refund", 10, -3, "o1")]
    refund = next(row for row in rows if row.item == "r1")
    assert (refund.attempt, refund.entry_time, refund.from_stage, refund.to_stage, refund.currency) == (
        0,
        9,
        "",
        "",
        "EUR",
    )


def test_a_refund_after_the_state_is_gone() -> None:
    made = Run(SHOP).feed([event("a", 0), paid("b", 5, 7, "o1"), heartbeat(5_000)])
    made.chunk()
    made.chunk()
    assert set(made.store) == {"!"}
    made.feed([paid("r", 6_000, 7, "o1")])
    assert money_of(made.final()) == [("enter", 5, 7, "o1"), ("refund", 6_000, -7, "o1")]
    made.feed([paid("r", 6_000, 7, "o1")])
    assert made.counts()["duplicate"] == 1


def test_a_refund_without_revenue_is_no_row() -> None:
    made = run(SHOP, [event("r", 3)])
    assert made.rows == []
    assert made.counts() == {"read": 1, "matched": 1}


def test_the_latest_consent_stands_at_the_end() -> None:
    def ends(text: str) -> list[bool]:
        marks = {"y": True, "n": False, "-": None}
        log = [event(word[0], int(word[2:-1]), consent=marks[word[-1]]) for word in text.split()]
        made = run(funnel(stage("A"), stage("B"), stage("C")), log, [heartbeat(1_000)])
        return [row.consent for row in made.final() if row.kind == "end"]

    assert ends("a@0-") == [False]
    assert ends("a@0y") == [True]
    assert ends("a@0y b@1-") == [True]
    assert ends("a@0y b@1n") == [False]
    assert ends("a@0n b@1y") == [True]
    assert ends("b@1n a@0y") == [False]  # by event time, not by arrival
    assert ends("a@0y b@1- c@2n") == [False]
    assert ends("a@0n b@1- c@2y") == [True]
    assert ends("a@0y a@1n") == [False]


def test_a_transition_keeps_the_consent_that_it_states() -> None:
    rows = run(funnel(stage("A"), stage("B")), [event("a", 0, consent=True), event("b", 1)]).rows
    assert [(row.kind, row.consent) for row in rows] == [("enter", True), ("enter", False), ("end", True)]


def test_unordered_consent_wins_alike() -> None:
    definition = funnel(stage("A"), stage("B"), stage("C"), mode=Mode.UNORDERED)
    log = [event("b", 0, consent=True), event("a", 1), event("a", 2, consent=False), heartbeat(1_000)]
    assert [row.consent for row in run(definition, log).final() if row.kind == "end"] == [False]


def test_the_breakdown_is_the_entrys_and_a_transition_keeps_its_own() -> None:
    definition = funnel(stage("A"), stage("B"), dimensions=("channel", "device"))
    log = [
        event("a", 0, channel="Email"),
        event("a", 1, channel="Direct"),
        event("b", 2, channel="Paid", device="tablet"),
    ]
    rows = run(definition, log).rows
    assert [(row.kind, row.entry_dims, row.dims) for row in rows] == [
        ("enter", ("Email", "(none)"), ("Email", "(none)")),
        ("enter", ("Email", "(none)"), ("Paid", "tablet")),
        ("end", ("Email", "(none)"), ("Paid", "tablet")),
    ]


def test_a_drop_off_at_a_deadline_has_the_entrys_breakdown() -> None:
    definition = funnel(stage("A"), stage("B"), stage("C"), dimensions=("channel",))
    log = [event("a", 0, channel="Email"), event("b", 1, channel="Paid"), heartbeat(500)]
    (end,) = [row for row in run(definition, log).rows if row.kind == "end"]
    assert (end.entry_dims, end.dims, end.event_id) == (("Email",), ("Email",), "")


@pytest.mark.parametrize("mode", [Mode.ORDERED, Mode.STRICT])
def test_every_field_of_the_rows_of_a_conversion(mode: Mode) -> None:
    definition = funnel(stage("A"), stage("B", value="revenue"), mode=mode, dimensions=("channel",))
    rows = run(definition, [event("a", 3, "e1", channel="p", consent=True), paid("b", 9, 7, "o", channel="q")]).rows
    same: dict[str, Any] = {
        "funnel": "f", "version": "0123456789ab", "attempt_id": rows[0].attempt_id, "is_deleted": 0, "unit_id": "v",
        "session_start": 0, "attempt": 1, "recovered": False, "entry_time": 3, "entry_dims": ("p",),
    }  # fmt: skip
    nothing: dict[str, Any] = {"value": None, "currency": "", "value_reporting": None, "order_id": ""}
    assert rows == [
        Row(
            **same, **nothing, kind="enter", item="A", revision=0, event_time=3, event_id="e1", from_stage="", to_stage="A",
            stage=0, reached=1, direction="forward", outcome="", duration=-1, dims=("p",), consent=True,
        ),
        Row(
            **same, kind="enter", item="B", revision=1, event_time=9, event_id="b@9", from_stage="A", to_stage="B",
            stage=1, reached=3, direction="forward", outcome="", duration=6, dims=("q",), consent=False,
            value=7, currency="EUR", value_reporting=None, order_id="o",
        ),
        Row(
            **same, **nothing, kind="end", item="", revision=1, event_time=9, event_id="b@9", from_stage="B", to_stage="B",
            stage=1, reached=3, direction="", outcome="converted", duration=6, dims=("q",), consent=True,
        ),
    ]  # fmt: skip


def test_moves_and_strays_are_named_by_their_events() -> None:
    definition = funnel(stage("A"), stage("B"), stage("C"), lateness=0)
    rows = run(definition, events("c@0 a@1 c@2 b@3 a@4")).rows
    assert [(r.item, r.from_stage, r.to_stage, r.direction, r.attempt) for r in rows if r.kind == "move"] == [
        ("c@0", "", "C", "skip", 0),
        ("c@2", "A", "C", "skip", 1),
        ("a@4", "B", "A", "back", 1),
    ]
    assert final_rows(rows)


def test_an_unordered_window_is_inclusive() -> None:
    definition = funnel(stage("A"), stage("B"), window=100, mode=Mode.UNORDERED)
    assert attempts_of(definition, events("b@0 a@100")) == [(0, 1, False, "converted", 100)]
    three = funnel(stage("A"), stage("B"), stage("C"), window=100, mode=Mode.UNORDERED)
    assert attempts_of(three, events("b@0 a@60 c@100")) == [(0, 1, False, "converted", 100)]
    assert attempts_of(three, events("b@0 a@60 c@101")) == [(0, 1, False, "window_timeout", 201)]
