"""Each mode over files: the engine's own rules, seen through the report."""

from __future__ import annotations

from tests.unit.batch.samples import answer, document, funnel, line, reached

#: Past every window of an hour: ends what is over.
LATER = line("search", 86_400, session="other")


def test_ordered_a_step_out_of_order_does_not_advance() -> None:
    assert reached([line("cart", 0), line("view", 1), line("buy", 2)], funnel()) == [1, 0, 0]
    assert reached([line("view", 0), line("search", 1), line("cart", 2), line("buy", 3)], funnel()) == [1, 1, 1]


def test_strict_another_event_breaks_the_attempt() -> None:
    lines = [line("view", 0), line("search", 1), line("cart", 2), line("buy", 3)]
    report = answer(lines, funnel(mode="strict")).report
    assert [stage.attempts for stage in report.stages] == [1, 0, 0]
    assert report.stages[0].dropped_by == {"broken": 1}


def test_unordered_each_stage_in_any_order() -> None:
    report = answer([line("buy", 0), line("view", 10), line("cart", 30)], funnel(mode="unordered")).report
    assert [(stage.stage, stage.attempts) for stage in report.stages] == [("1 of 3", 1), ("2 of 3", 1), ("3 of 3", 1)]
    assert report.stages[2].median_seconds_from_previous == 20.0


def test_a_goal_converts_at_its_entry() -> None:
    report = answer([line("view", 0), line("view", 5)], funnel("view")).report
    assert (report.attempts, report.units, report.converted) == (2, 1, 2)


def test_gap_sessions_are_cut_by_silence() -> None:
    lines = [line(name, at, None, visitor_id="v") for name, at in (("view", 0), ("cart", 2_000), ("view", 2_100))]
    report = answer([*lines, LATER], funnel(session_gap="30m")).report
    assert [stage.attempts for stage in report.stages] == [2, 0, 0]
    assert report.stages[0].dropped_by == {"session_end": 2}


def test_rates_count_matured_attempts_only() -> None:
    walked = [
        line(name, at, session=f"s{n}") for n in range(4) for name, at in (("view", n), ("cart", n + 10))[: 1 + n % 2]
    ]
    found = document([*walked, LATER, line("view", 86_390, session="young")], funnel())
    assert [stage["attempts"] for stage in found["stages"]] == [5, 2, 0]
    assert [stage["conversion_from_start"] for stage in found["stages"]] == [1.0, 0.5, 0.0]
    assert [stage["open"] for stage in found["stages"]] == [1, 0, 0]
    assert [stage["dropped"] for stage in found["stages"]] == [2, 2, 0]


def test_a_breakdown_is_by_the_entrys_value() -> None:
    lines = [
        line("view", 0, channel="paid"),
        line("cart", 1, channel="mail"),
        line("view", 0, session="s2"),
    ]
    by = document(lines, funnel(dimensions=["channel"]), ["channel"])["by"]["channel"]
    assert {value: [stage["attempts"] for stage in cell["stages"]] for value, cell in by.items()} == {
        "(none)": [1, 0, 0],
        "paid": [1, 1, 0],
    }
