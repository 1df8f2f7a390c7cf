"""The report's figures, from a handful of rows that can be counted by hand."""

from __future__ import annotations

import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.errors import ConfigError
from schemas.funnel import Funnel, Mode, Stage, Unit
from schemas.money import format_money, parse_money
from schemas.report import following_required, middle, previous_required
from schemas.rows import Row
from schemas.tally import report_from_rows

HOUR = 3_600_000
SHOP = Funnel(
    name="shop",
    version="v1",
    unit=Unit.VISITOR,
    stages=(Stage("view", ("v",)), Stage("size", ("s",), optional=True), Stage("cart", ("c",)), Stage("buy", ("b",))),
    window=HOUR,
    dimensions=("channel",),
)
ENTER = Row(
    "shop", "v1", "a1", "enter", "view", 1, 0, "ann", 0, 1, False, 0, 0, "e1", "", "view", 0, 1, "forward", "", -1,
    ("paid",), ("paid",), None, "", None, "", False,
)  # fmt: skip


def enter(attempt: str, stage: int, reached: int, **changes: object) -> Row:
    fields = {"attempt_id": attempt, "item": str(stage), "stage": stage, "reached": reached} | changes
    return msgspec.structs.replace(ENTER, **fields)


def end(attempt: str, stage: int, reached: int, outcome: str, **changes: object) -> Row:
    return enter(attempt, stage, reached, kind="end", item="", outcome=outcome, **changes)


#: ann bought (10 s to the cart, 1 s to the purchase), then came again and dropped off; bob chose a size and is open, too
#: young to be matured; cyd dropped off at the cart.
ROWS = [
    enter("a1", 0, 0b0001),
    enter("a1", 2, 0b0101, duration=10_000),
    enter("a1", 3, 0b1101, duration=1_000, value=99_500_000_000, currency="EUR", order_id="o1"),
    end("a1", 3, 0b1101, "converted"),
    enter("a2", 0, 0b0001, entry_time=5_000, recovered=True),
    end("a2", 0, 0b0001, "window_timeout", entry_time=5_000),
    enter("b1", 0, 0b0001, unit_id="bob", entry_time=10_001, entry_dims=("mail",)),
    enter("b1", 1, 0b0011, unit_id="bob", entry_time=10_001, entry_dims=("mail",), duration=500),
    enter("c1", 0, 0b0001, unit_id="cyd", entry_time=10_000),
    enter("c1", 2, 0b0101, unit_id="cyd", entry_time=10_000, duration=4_001),
    end("c1", 2, 0b0101, "step_timeout", unit_id="cyd", entry_time=10_000),
    enter("r1", 0, 0, kind="refund", item="e9", value=-250_000_000, currency="EUR", order_id="o1"),
]
HORIZON = 10_000 + HOUR


def test_the_document_is_the_contract_of_batch_json() -> None:
    report = report_from_rows(SHOP, ROWS, {"read": 12, "matched": 11, "late": 1}, HORIZON, ["channel"])
    assert report.document() == {
        "funnel": "shop",
        "unit": "visitor",
        "units": 3,
        "attempts": 4,
        "stages": [
            stage("view", 3, 4, 1, 0, 1.0, 1.0, None),
            stage("size", 1, 1, 0, 1, 0.0, 0.0, 0.5),
            stage("cart", 2, 2, 1, 0, 2 / 3, 2 / 3, 7.0005),
            stage("buy", 1, 1, 0, 0, 1 / 3, 0.5, 1.0),
        ],
        "revenue": {"EUR": "99.25"},
        "by": {
            "channel": {
                "paid": {
                    "stages": [
                        stage("view", 2, 3, 1, 0, 1.0, 1.0, None),
                        stage("size", 0, 0, 0, 0, 0.0, 0.0, None),
                        stage("cart", 2, 2, 1, 0, 2 / 3, 2 / 3, 7.0005),
                        stage("buy", 1, 1, 0, 0, 1 / 3, 0.5, 1.0),
                    ]
                },
                "mail": {
                    "stages": [
                        stage("view", 1, 1, 0, 0, None, None, None),
                        stage("size", 1, 1, 0, 1, None, None, 0.5),
                        stage("cart", 0, 0, 0, 0, None, None, None),
                        stage("buy", 0, 0, 0, 0, None, None, None),
                    ]
                },
            }
        },
        "events": {"read": 12, "matched": 11, "ignored": 0, "duplicate": 0, "late": 1, "invalid": 0, "bot": 0},
    }


def stage(name: str, *figures: float | None) -> dict[str, object]:
    names = ("units", "attempts", "dropped", "open", "conversion_from_start", "conversion_from_previous")
    return {"stage": name, **dict(zip((*names, "median_seconds_from_previous"), figures, strict=True))}


def test_what_the_terminal_adds() -> None:
    report = report_from_rows(SHOP, ROWS, {}, HORIZON)
    assert (report.matured, report.recovered, report.converted, report.horizon) == (3, 1, 1, HORIZON)
    assert [stage.matured for stage in report.stages] == [3, 0, 2, 1]
    assert [stage.dropped_by for stage in report.stages] == [{"window_timeout": 1}, {}, {"step_timeout": 1}, {}]


@given(st.integers())
def test_the_order_of_the_rows_changes_nothing(seed: int) -> None:
    shuffled = random.Random(seed).sample(ROWS, len(ROWS))
    assert report_from_rows(SHOP, shuffled, {}, HORIZON, ["channel"]) == report_from_rows(
        SHOP, ROWS, {}, HORIZON, ["channel"]
    )


def test_deleted_rows_and_those_of_other_versions_and_funnels_count_for_nothing() -> None:
    others = [
        msgspec.structs.replace(row, **change)
        for row in ROWS
        for change in ({"is_deleted": 1, "attempt_id": "x"}, {"version": "v2"}, {"funnel": "other"})
    ]
    assert report_from_rows(SHOP, others + ROWS, {}, HORIZON) == report_from_rows(SHOP, ROWS, {}, HORIZON)


def test_without_a_horizon_nothing_has_matured() -> None:
    report = report_from_rows(SHOP, ROWS, {}, None)
    assert [stage.conversion_from_start for stage in report.stages] == [None] * 4


def test_no_rows_give_a_report_of_zeros() -> None:
    report = report_from_rows(SHOP, [], {}, HORIZON, ["channel"])
    assert (report.units, report.attempts, report.revenue, report.by) == (0, 0, {}, {"channel": {}})


def test_an_order_counts_once_at_its_earliest_row_then_by_attempt() -> None:
    def paid(attempt: str, event_time: int, value: int, currency: str = "EUR") -> Row:
        return enter(attempt, 3, 1, event_time=event_time, value=value, currency=currency, order_id="o7")

    rows = [paid("b", 5, 20), paid("c", 4, 7, "USD"), paid("d", 4, 9), paid("a", 9, 1)]
    assert report_from_rows(SHOP, rows, {}, None).revenue == {"USD": 7}


def test_sessions_without_ids_are_units_by_their_start() -> None:
    rows = [
        enter("a", 0, 1, session_start=100),
        enter("b", 0, 1, session_start=200),
        enter("c", 0, 1, session_start=200),
    ]
    report = report_from_rows(SHOP, rows, {}, None)
    assert (report.units, report.attempts) == (2, 3)


def test_the_values_of_a_dimension_stand_by_their_attempts_then_by_name() -> None:
    values = ["b", "c", "c", "a", "d", "d", "d"]
    rows = [enter(str(n), 0, 1, entry_dims=(value,)) for n, value in enumerate(values)]
    assert list(report_from_rows(SHOP, rows, {}, None, ["channel"]).by["channel"]) == ["d", "c", "a", "b"]


def test_an_unknown_dimension_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"^funnel 'shop': has no dimension 'device'; its dimensions are: channel"):
        report_from_rows(SHOP, [], {}, None, ["device"])


def test_previous_and_following_stages_are_the_required_ones() -> None:
    assert [previous_required(SHOP, level) for level in range(4)] == [0, 0, 0, 2]
    assert [following_required(SHOP, level) for level in range(4)] == [2, 2, 3, 3]
    unordered = msgspec.structs.replace(SHOP, mode=Mode.UNORDERED)
    assert [previous_required(unordered, level) for level in range(4)] == [0, 0, 1, 2]
    assert [following_required(unordered, level) for level in range(4)] == [1, 2, 3, 3]


def test_the_middle_of_durations() -> None:
    assert middle([5]) == (5, 5)
    assert middle([1, 4]) == (1, 4)
    assert middle([1, 2, 9]) == (2, 2)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (0, "0.00"),
        (1_234_500_000_000, "1234.50"),
        (125_000_000, "0.125"),
        (-1, "-0.000000001"),
        (-2_500_000_000, "-2.50"),
        (10**28, "10000000000000000000.00"),
    ],
)
def test_money_is_a_plain_decimal_with_two_decimals_or_more(amount: int, text: str) -> None:
    assert format_money(amount) == text


@given(st.integers(-(10**30), 10**30))
def test_money_comes_back_from_its_text(amount: int) -> None:
    assert parse_money(format_money(amount)) == amount


def test_money_is_read_as_databases_print_it() -> None:
    assert [parse_money(text) for text in ("0", "12", "-0.5", "1.000000001")] == [0, 12 * 10**9, -5 * 10**8, 10**9 + 1]
