"""What becomes of each record: exactly one of invalid, duplicate, bot, matched, ignored."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from hypothesis import given as forall
from hypothesis import settings
from hypothesis import strategies as st

from schemas.event import HEARTBEAT
from schemas.funnel import Funnel
from schemas.reasons import Reason
from schemas.tally import report_from_rows
from streams.batch.intake import Refusal
from streams.batch.run import Progress
from streams.engine.batch import walk_unit
from streams.engine.match import unit_key
from tests.unit.batch.samples import NOW, T0, answer, decode, document, events, funnel, line


def counts(*lines: bytes, **keys: Any) -> dict[str, int]:
    return answer(lines, funnel(**keys)).report.events


def test_an_event_is_matched_or_ignored() -> None:
    assert counts(line("view", 0), line("search", 1)) == events(read=2, matched=1, ignored=1)


def test_the_same_id_in_one_unit_counts_once_whatever_it_is() -> None:
    twice = [line(name, 0, bot=name == "bot") for name in ("view", "search", "bot")] * 2
    assert counts(*twice) == events(read=6, matched=1, ignored=1, bot=1, duplicate=3)


def test_the_same_id_in_two_units_is_two_events() -> None:
    both = [line("view", 0, session=session, event_id="e") for session in ("s1", "s2")]
    assert counts(*both) == events(read=2, matched=2)


def test_one_that_no_stage_fits_never_stands_in_the_way_of_one_that_fits() -> None:
    same_id = [line("search", 0, event_id="e"), line("view", 5, event_id="e"), line("view", 6, event_id="e", bot=True)]
    assert counts(*same_id) == events(read=3, matched=1, duplicate=2)


def test_of_two_records_with_one_id_the_earlier_counts() -> None:
    lines = [line("view", 9, event_id="e"), line("view", 2, event_id="e"), line("cart", 12)]
    report = answer(lines, funnel()).report
    assert report.stages[1].median_seconds_from_previous == 10.0
    assert report.events == events(read=3, matched=2, duplicate=1)


def test_an_event_without_the_funnels_unit_is_ignored_and_still_counts_once() -> None:
    anonymous = line("view", 0, session=None, account_id="a")
    given = answer([anonymous, anonymous], funnel(unit="visitor"))
    assert given.report.events == events(read=2, ignored=1, duplicate=1)
    assert given.ignored.homeless == 2


def test_strict_and_gap_sessions_look_at_every_event_and_still_call_it_ignored() -> None:
    lines = [line("view", 0), line("search", 1), line("search", 1), line("cart", 2)]
    assert counts(*lines, mode="strict") == events(read=4, matched=2, ignored=1, duplicate=1)
    by_visitor = [line("view", 0, None, visitor_id="v"), line("search", 1, None, visitor_id="v")]
    assert counts(*by_visitor) == events(read=2, matched=1, ignored=1)


def test_exclude_and_refund_are_looked_at() -> None:
    stages = [
        {"name": "view", "events": ["view"]},
        {"name": "buy", "events": ["buy"], "exclude": ["abort"], "value": "revenue"},
    ]
    lines = [
        line("view", 0),
        line("buy", 1, revenue="10.50", currency="EUR", order_id="o"),
        line("refund", 2, revenue="3.25", currency="EUR", order_id="o"),
        line("view", 10),
        line("abort", 11),
    ]
    found = document(lines, funnel(stages=stages, refunds=["refund"]))
    assert found["events"] == events(read=5, matched=5)
    assert found["revenue"] == {"EUR": "7.25"}
    assert [stage["dropped"] for stage in found["stages"]] == [1, 0]


def test_heartbeats_are_passed_over() -> None:
    progress = Progress()
    lines = [line("view", 0), line(HEARTBEAT, 86_400)]
    assert answer(lines, funnel(), progress=progress).report.events == events(read=1, matched=1)
    assert progress.intake.horizon == T0


def test_the_horizon_is_the_newest_event_that_is_no_bots() -> None:
    progress = Progress()
    answer([line("search", 5), line("view", 1), line("view", 9, bot=True), b"broken"], funnel(), progress=progress)
    assert progress.intake.horizon == T0 + 5_000
    assert progress.intake.backwards == 1
    assert progress.intake.bots == 1


def test_refused_records_are_counted_by_reason_with_the_first_as_examples() -> None:
    progress = Progress()
    lines = [line("view", 0), *[b"no json"] * 5, b'{"event":"view","session_id":"s"}']
    assert answer(lines, funnel(), progress=progress).report.events == events(read=7, matched=1, invalid=6)
    assert progress.intake.refused == {Reason.UNPARSEABLE: 5, Reason.MISSING_TIMESTAMP: 1}
    assert [example.line for example in progress.intake.examples[Reason.UNPARSEABLE]] == [2, 3, 4]
    assert progress.intake.examples[Reason.MISSING_TIMESTAMP] == [Refusal("file", 7, "timestamp is not given")]


def test_no_event_at_all_is_a_report_of_zeros() -> None:
    found = document([b"{}"], funnel())
    assert (found["units"], found["attempts"], found["events"]) == (0, 0, events(read=1, invalid=1))
    assert found["stages"][0]["conversion_from_start"] is None


NAMES = st.sampled_from(["view", "cart", "buy", "search", "abort"])
RECORDS = st.lists(
    st.one_of(
        st.just(b"broken"),
        st.builds(
            line,
            NAMES,
            st.integers(0, 6).map(lambda k: k * 1000),
            st.sampled_from(["s1", "s2", None]),
            visitor_id=st.sampled_from(["v1", "v2"]),
            event_id=st.integers(0, 12).map(str),
            channel=st.sampled_from(["paid", None]),
            revenue=st.sampled_from(["1.50", "2", None]),
            currency=st.sampled_from(["EUR", "USD"]),
            order_id=st.sampled_from(["o1", "o2", None]),
            bot=st.sampled_from([False, False, False, True]),
        ),
    ),
    max_size=24,
)
KEYS = {
    "unit": st.sampled_from(["session", "visitor"]),
    "dimensions": st.just(["channel"]),
    "refunds": st.just(["abort"]),
}
PLAIN = [{"name": "view", "events": ["view"]}, {"name": "cart", "events": ["cart"]}]
BUY = {"name": "buy", "events": ["buy"], "value": "revenue"}
FUNNELS = st.one_of(
    st.builds(funnel, mode=st.sampled_from(["ordered", "strict", "unordered"]), stages=st.just([*PLAIN, BUY]), **KEYS),
    st.builds(funnel, stages=st.just([PLAIN[0], PLAIN[1] | {"optional": True}, BUY | {"within": "30m"}]), **KEYS),
)


@settings(deadline=None)
@forall(RECORDS, FUNNELS, st.randoms(use_true_random=False), st.integers(1, 40))
def test_neither_order_nor_the_memory_at_hand_changes_the_answer(
    lines: list[bytes], definition: Any, rng: Any, limit: int
) -> None:
    expected = document(lines, definition, ["channel"])
    shuffled = rng.sample(lines, len(lines))
    assert document(shuffled, definition, ["channel"], limit) == expected
    found = expected["events"]
    assert found["read"] == len(lines) == sum(count for name, count in found.items() if name != "read")
    assert found["late"] == 0


@settings(deadline=None)
@forall(RECORDS.map(lambda lines: [line for line in lines if line != b"broken"]), FUNNELS)
def test_the_figures_are_those_of_the_engine_unit_by_unit(lines: list[bytes], definition: Funnel) -> None:
    people = [event for event in (decode(data, NOW) for data in lines) if not event.bot]
    units = defaultdict(list)
    for event in people:
        units[unit_key(definition.unit, event)].append(event)
    horizon = max((event.ts for event in people), default=None)
    rows = [row for known in units.values() for row in walk_unit(definition, known, horizon)]
    expected = report_from_rows(definition, rows, {}, horizon, ["channel"]).document()
    assert document(lines, definition, ["channel"]) | {"events": expected["events"]} == expected
