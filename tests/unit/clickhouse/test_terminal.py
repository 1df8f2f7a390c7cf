"""The report as people see it."""

from __future__ import annotations

import csv
import io

import msgspec
import pytest
from rich.console import Console

from schemas.report import Report
from schemas.tally import report_from_rows
from streams.report_csv import report_csv
from streams.terminal import bar, percent, print_report
from tests.unit.clickhouse.test_report import HORIZON, ROWS, SHOP, enter


def drawn(report: Report, width: int = 80) -> str:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=False, color_system=None)
    print_report(report, console)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def test_a_report_is_drawn_in_eighty_columns() -> None:
    events = {"read": 12, "matched": 11, "late": 1}
    assert drawn(report_from_rows(SHOP, ROWS, events, HORIZON, ["channel"])) == EXPECTED.strip("\n")


EXPECTED = """
shop  3 visitors, 4 attempts, 1 converted, 1 came back after a drop-off

stage                                  attempts  of start  of prev.  median
view             ████████████████████         4    100.0%    100.0%
size (optional)  █████                        1      0.0%      0.0%    0.5s
cart             ██████████                   2     66.7%     66.7%    7.0s
buy              █████                        1     33.3%     50.0%    1.0s
Rates count the 3 attempts whose window has passed (events are known until
1970-01-01 01:00 UTC); the others may move on.
1 attempt is open: neither converted nor dropped.

Drop-offs
after  dropped  open  because
view         1     0  the window passed: 1
size         0     1
cart         1     0  the next stage did not come in its time: 1

By channel
value              attempts  converted   rate  most dropped after
paid   ██████████         3          1  33.3%  view (1)
mail                      1          0      –

Revenue
EUR 99.25

Events
read     12
matched  11  looked at by the funnel
late      1  older than the horizon when they came
"""


def test_an_empty_report_says_so() -> None:
    assert "No attempt has entered this funnel yet." in drawn(report_from_rows(SHOP, [], {}, None))
    assert "No attempts." in drawn(report_from_rows(SHOP, [], {"read": 5}, None))


HOSTILE = "[red]\x1b[31m\u202e\nx"


def test_names_from_outside_can_neither_colour_nor_move_the_cursor() -> None:
    funnel = msgspec.structs.replace(SHOP, name=HOSTILE)
    rows = [enter("a", 0, 1, funnel=HOSTILE, entry_dims=(HOSTILE,))]
    text = drawn(report_from_rows(funnel, rows, {}, None, ["channel"]), width=200)
    assert text.count(r"[red]\x1b[31m\u202e\nx") == 2
    assert not set(text) & set("\x1b\u202e")


def test_long_names_and_many_values_stay_in_the_picture() -> None:
    rows = [enter(f"{n}", 0, 1, entry_dims=(f"{n:>02}" * 40,)) for n in range(13)]
    text = drawn(report_from_rows(SHOP, rows, {}, None, ["channel"]))
    assert max(map(len, text.splitlines())) <= 80
    assert "3 more values are in --json and --csv." in text


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (0.0, "0.0%"), (1.0, "100.0%"), (0.99999, "99.9%"), (1e-9, "0.1%"), (0.1234, "12.3%")],
)
def test_only_all_is_a_hundred_percent_and_only_none_is_zero(share: float | None, text: str) -> None:
    assert percent(share) == text


@pytest.mark.parametrize(
    ("share", "cells"), [(0.0, "    "), (1e-9, "▏   "), (0.5, "██  "), (0.53125, "██▏ "), (1.0, "████"), (2.0, "████")]
)
def test_a_bar_is_drawn_in_eighths(share: float, cells: str) -> None:
    assert bar(share, 4) == cells


def test_csv_has_a_line_for_each_stage_of_all_and_of_each_value() -> None:
    lines = list(csv.DictReader(io.StringIO(report_csv(report_from_rows(SHOP, ROWS, {}, HORIZON, ["channel"])))))
    assert [(line["dimension"], line["value"]) for line in lines[::4]] == [
        ("all", "all"),
        ("channel", "paid"),
        ("channel", "mail"),
    ]
    assert lines[2] == {
        "funnel": "shop", "dimension": "all", "value": "all", "stage": "cart", "units": "2", "attempts": "2", "dropped": "1",
        "open": "0", "matured": "2", "conversion_from_start": "0.6666666666666666",
        "conversion_from_previous": "0.6666666666666666", "median_seconds_from_previous": "7.0005",
        "dropped_step_timeout": "1", "dropped_window_timeout": "0", "dropped_session_end": "0", "dropped_excluded": "0",
        "dropped_broken": "0",
    }  # fmt: skip


def test_csv_holds_no_formula_and_no_control_characters() -> None:
    rows = [enter("a", 0, 1, entry_dims=("=HYPERLINK(1)\r\n",)), enter("b", 0, 1, entry_dims=('a,"b',))]
    lines = list(csv.DictReader(io.StringIO(report_csv(report_from_rows(SHOP, rows, {}, None, ["channel"])))))
    assert [line["value"] for line in lines[4::4]] == ["'=HYPERLINK(1)  ", 'a,"b']
