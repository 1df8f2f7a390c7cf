"""Which stages an event fits, and what a funnel keeps of it."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.event import MONEY_SCALE, Event
from schemas.funnel import Condition, Mode
from streams.engine import match
from streams.engine.match import CompiledFunnel, Index, Matcher, dimension_reader, field_reader, predicate
from tests.unit.engine.feeding import Run, event, funnel, stage

PROPERTIES = {
    "plan": "pro-yearly", "count": 3, "price": 9.5, "yes": True, "no": False, "null": None, "one": 1, "empty": "",
    "deep": {"er": {"x": "down"}}, "list": [1],
}  # fmt: skip
SEEN = event(
    "a", 5, channel="Paid Search", revenue=25 * MONEY_SCALE // 2, cost=3, variant={"exp": "B"}, properties=PROPERTIES
)

CASES: list[tuple[str, str, tuple[Any, ...], bool]] = [
    ("channel", "in", ("Paid Search", "Email"), True),
    ("channel", "in", ("paid search",), False),
    ("channel", "in", ("Paid*",), True),
    ("channel", "in", ("Paid ?earch",), True),
    ("channel", "in", ("[OP]aid *",), True),
    ("channel", "in", ("Search",), False),
    ("channel", "eq", ("Paid Search",), True),
    ("channel", "eq", ("Email",), False),
    ("channel", "ne", ("Email",), True),
    ("channel", "ne", ("Paid Search",), False),
    ("channel", "not_in", ("Email", "Direct"), True),
    ("channel", "not_in", ("Email", "Paid*"), False),
    ("properties.count", "in", (1, 3), True),
    ("properties.count", "eq", (3,), True),
    ("properties.count", "eq", (3.0,), True),
    ("properties.count", "eq", ("3",), False),
    ("properties.count", "lt", (4,), True),
    ("properties.count", "lt", (3,), False),
    ("properties.count", "le", (3,), True),
    ("properties.count", "le", (2,), False),
    ("properties.count", "gt", (2,), True),
    ("properties.count", "gt", (3,), False),
    ("properties.count", "ge", (3,), True),
    ("properties.count", "ge", (4,), False),
    ("properties.price", "gt", (9,), True),
    ("properties.plan", "gt", (1,), False),
    ("properties.plan", "lt", (1,), False),
    ("properties.yes", "eq", (True,), True),
    ("properties.yes", "eq", (False,), False),
    ("properties.no", "eq", (False,), True),
    ("properties.no", "eq", (0,), False),
    ("properties.yes", "eq", (1,), False),
    ("properties.one", "eq", (True,), False),
    ("properties.yes", "ge", (0,), False),
    ("properties.yes", "ne", (False,), True),
    ("properties.deep.er.x", "eq", ("down",), True),
    ("properties.deep.er.y", "eq", ("down",), False),
    ("properties.plan.er", "eq", ("down",), False),
    ("variant.exp", "eq", ("B",), True),
    ("variant.other", "eq", ("B",), False),
    ("properties.list", "exists", (True,), True),
    ("properties.empty", "exists", (True,), True),
    ("properties.null", "exists", (True,), False),
    ("properties.null", "exists", (False,), True),
    ("properties.gone", "exists", (False,), True),
    ("properties.plan", "exists", (False,), False),
    ("campaign", "exists", (True,), False),
    ("revenue", "gt", (12,), True),
    ("revenue", "gt", (12.5,), False),
    ("revenue", "ge", (12.5,), True),
    ("revenue", "lt", (12.51,), True),
    ("revenue", "eq", (12.5,), True),
    ("revenue", "ne", (12.5,), False),
    ("revenue", "ne", (12,), True),
    ("revenue", "in", (13, 12.5), True),
    ("revenue", "not_in", (13, 12.5), False),
    ("revenue", "exists", (True,), True),
    ("cost", "le", (0.000000003,), True),
    ("cost", "lt", (0.000000003,), False),
    # A missing field fulfils only `ne`, `not_in` and `exists = false`.
    ("campaign", "in", ("*",), False),
    ("campaign", "eq", ("x",), False),
    ("campaign", "ne", ("x",), True),
    ("campaign", "not_in", ("*",), True),
    ("properties.gone", "lt", (1,), False),
    ("properties.gone", "ge", (0,), False),
]


@pytest.mark.parametrize("field,operator,values,holds", CASES)
def test_conditions(field: str, operator: str, values: tuple[Any, ...], holds: bool) -> None:
    assert predicate(Condition(field, operator, values))(SEEN) is holds


def test_conditions_on_an_event_without_properties() -> None:
    bare = event("a", 5)
    assert not predicate(Condition("properties.plan", "eq", ("x",)))(bare)
    assert predicate(Condition("properties.plan", "exists", (False,)))(bare)
    assert not predicate(Condition("revenue", "lt", (5,)))(bare)


def test_every_condition_of_a_stage_must_hold() -> None:
    where = (Condition("channel", "eq", ("Email",)), Condition("properties.n", "ge", (2,)))
    matcher = Matcher(CompiledFunnel(funnel(stage("A"), stage("B", "a", where=where))), "a")
    assert matcher.mask(event("a", 0, channel="Email", properties={"n": 2})) == 0b11
    assert matcher.mask(event("a", 0, channel="Email", properties={"n": 1})) == 0b01
    assert matcher.mask(event("a", 0, properties={"n": 2})) == 0b01


def test_an_event_whose_condition_fails_is_ignored_and_leaves_no_state() -> None:
    made = Run(funnel(stage("A", where=(Condition("channel", "eq", ("Email",)),))))
    made.feed([event("a", 0), event("a", 1, channel="Email"), event("a", 2, visitor="w")]).chunk()
    assert made.counts() == {"read": 3, "matched": 1, "ignored": 2}
    assert set(made.store) == {"!", "=v"}


def test_names_and_globs() -> None:
    compiled = CompiledFunnel(
        funnel(
            stage("A", "view_*"),
            stage("B", "cart?", "[bc]asket", exclude=("view_error*",)),
            stage("C", "Order Completed", "*"),
            refunds=("refund*",),
        )
    )

    def masks(name: str) -> tuple[int, int, bool]:
        matcher = Matcher(compiled, name)
        return matcher.mask(event(name, 0)), matcher.exclude, matcher.refund

    assert masks("view_item") == (0b101, 0, False)
    assert masks("View_item") == (0b100, 0, False)
    assert masks("view") == (0b100, 0, False)
    assert masks("carts") == (0b110, 0, False)
    assert masks("cart") == (0b100, 0, False)
    assert masks("casket") == (0b110, 0, False)
    assert masks("view_error_404") == (0b101, 0b010, False)
    assert masks("refunded") == (0b100, 0, True)


def test_the_index_finds_only_the_funnels_that_a_name_concerns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(match, "KNOWN_NAMES", 2)
    one = CompiledFunnel(funnel(stage("A"), stage("B", exclude=("x",))))
    other = CompiledFunnel(funnel(stage("B"), refunds=("r",)))
    index = Index([one, other])
    for _ in range(2):  # worked out, and remembered or (from the third name on) worked out again
        assert index.concerned["z"] is None
        found = {name: index.concerned[name] for name in ("a", "b", "x", "r")}
        places = {name: [m.place for m in concern.matchers] for name, concern in found.items() if concern is not None}
        assert places == {"a": [0], "b": [0, 1], "x": [0], "r": [1]}
    assert len(index.concerned) == 2
    assert [matcher.relevant for matcher in index.everyone("a").matchers] == [True, False]


def test_dimensions_are_texts_of_bounded_length() -> None:
    read = dimension_reader(("channel", "device", "properties.n", "variant.exp", "properties.flag", "properties.deep"))
    seen = event(
        "a", 0, channel="x" * 300, device="", properties={"n": 7, "flag": True, "deep": {"a": 1}}, variant={"exp": "B"}
    )
    assert read(seen) == ("x" * 256, "(none)", "7", "B", "True", "{'a': 1}")
    assert read(event("a", 0)) == ("(none)",) * 6
    assert read(event("a", 0, properties={"n": "y" * 257, "deep": list(range(500))}))[2] == "y" * 256
    assert len(read(event("a", 0, properties={"deep": list(range(500))}))[5]) == 256


def test_field_readers_follow_paths() -> None:
    assert field_reader("properties.deep.er.x")(SEEN) == "down"
    assert field_reader("properties.deep")(SEEN) == {"er": {"x": "down"}}
    assert field_reader("properties.count.x")(SEEN) is None
    assert field_reader("variant.exp")(event("a", 0)) is None


def test_what_is_kept_of_an_event() -> None:
    converted: list[tuple[int, str, int]] = []

    def convert(value: int, currency: str, ts: int) -> int:
        converted.append((value, currency, ts))
        return value * 2

    compiled = CompiledFunnel(
        funnel(stage("A"), stage("B", value="revenue"), dimensions=("channel",), refunds=("r",)), convert
    )

    def money(name: str, **fields: Any) -> Any:
        seen = event(name, 7, **fields)
        matcher = Matcher(compiled, name)
        hit = matcher.hit(seen, matcher.mask(seen))
        return hit.money and (hit.money.value, hit.money.currency, hit.money.reporting, hit.money.order_id)

    assert money("b", revenue=5, currency="EUR", order_id="o") == (5, "EUR", 10, "o")
    assert money("b", revenue=5) == (5, "", 10, "")
    assert money("r", revenue=4, currency="USD") == (4, "USD", 8, "")
    assert money("a", revenue=5, currency="EUR") is None  # this stage has no value
    assert money("b", currency="EUR") is None
    assert converted == [(5, "EUR", 7), (5, "", 7), (4, "USD", 7)]


def test_what_may_come_next_by_level() -> None:
    ordered = CompiledFunnel(
        funnel(
            stage("A"), stage("B", optional=True, within=5), stage("C", optional=True, within=9), stage("D", within=7),
            stage("E"),
        )
    )  # fmt: skip
    assert [f"{mask:05b}" for mask in ordered.awaited] == ["01110", "01100", "01000", "10000", "00000"]
    assert [f"{mask:05b}" for mask in ordered.within_reach] == ["01111", "01111", "01111", "11111", "11111"]
    assert ordered.leap == [9, 9, 7, None, None]
    assert ordered.timed
    assert not CompiledFunnel(funnel(stage("A"), stage("B"))).timed


def test_strict_funnels_look_at_every_event_of_the_unit() -> None:
    made = Run(funnel(stage("A"), stage("B"), mode=Mode.STRICT))
    made.feed([event("a", 0), event("z", 1), event("z", 1), Event(event="z", ts=2, event_id="2", account_id="c")])
    assert made.counts() == {"read": 4, "matched": 1, "ignored": 2, "duplicate": 1}
    assert [row.outcome for row in made.final() if row.kind == "end"] == ["broken"]
