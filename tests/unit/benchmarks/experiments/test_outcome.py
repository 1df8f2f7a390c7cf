"""Figures, charts and the document."""

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.experiments import document
from benchmarks.experiments.outcome import Chart, Figure, Line, Outcome, Table, cells, number, quantile
from benchmarks.experiments.svg import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, draw, marks

SVG = "{http://www.w3.org/2000/svg}"
CHART = Chart("c", "A <title>", "x", "y", (Line("one & two", ((1.0, 0.0), (10.0, 5.0), (100.0, 10.0))),), log_x=True)
MACHINE = [("date", "2026-01-01"), ("machine", "2 cores")]


def outcome(name: str, value: float = 1.0) -> Outcome:
    figures = (Figure(f"{name}_cost", value, "us", 2.0), Figure(f"{name}_size", 1234.5, "MiB"))
    chart = msgspec.structs.replace(CHART, file=name)
    return Outcome(
        name, name.capitalize(), "Done.", figures, (Table("a table", ("a|b", "c"), (cells("x", 2.0),)),), (chart,)
    )


def test_a_bar_is_met_up_to_its_value() -> None:
    assert [Figure("f", value, "s", 2.0).met for value in (1.0, 2.0, 2.01)] == [True, True, False]
    assert Figure("f", 1.0, "s").met is None


def test_values_are_told_with_the_digits_that_count() -> None:
    assert [number(value) for value in (0, 0.12345, 12.3456, 999.94, 1234567.8)] == [
        "0",
        "0.123",
        "12.35",
        "999.9",
        "1,234,568",
    ]


def test_quantiles_are_values_that_occurred() -> None:
    values = [float(value) for value in range(100, 0, -1)]
    assert [quantile(values, share) for share in (0.5, 0.95, 0.99, 1.0)] == [50.0, 95.0, 99.0, 100.0]
    assert quantile([7.0], 0.01) == 7.0
    with pytest.raises(ValueError, match="no values"):
        quantile([], 0.5)


def test_a_chart_is_drawn_inside_its_axes() -> None:
    tree = ET.fromstring(draw(CHART))  # noqa: S314  (our own text)
    line = tree.find(f"{SVG}polyline")
    assert line is not None
    places = [tuple(map(float, place.split(","))) for place in line.attrib["points"].split()]
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    assert places == [(LEFT, bottom), ((LEFT + right) / 2, (bottom + TOP) / 2), (right, TOP)]
    texts = [text.text for text in tree.iter(f"{SVG}text")]
    assert {"A <title>", "one & two", "x", "y", "1", "10", "100"} <= set(texts)
    assert "prefers-color-scheme:dark" in draw(CHART)


@given(st.floats(1e-6, 1e9))
def test_the_marks_reach_the_highest_value_and_are_few(highest: float) -> None:
    found = marks(highest)
    assert found[0] == 0.0
    assert found[-1] >= highest * (1 - 1e-9)
    assert 3 <= len(found) <= 6


def test_a_chart_without_points_is_refused() -> None:
    with pytest.raises(ValueError, match="no points"):
        draw(msgspec.structs.replace(CHART, lines=()))


def test_a_section_is_replaced_in_its_place_and_the_others_stay(tmp_path: Path) -> None:
    path = tmp_path / "docs.md"
    order = ["memory", "latency", "sink"]
    for each in (outcome("sink"), outcome("memory"), outcome("sink", 3.0)):
        document.write(path, each, MACHINE, order)
    text = path.read_text()
    assert text.startswith(document.PREFACE)
    assert text.count("## Memory") == text.count("## Sink") == 1
    assert text.index("## Memory") < text.index("## Sink")
    assert "| memory_cost | 1 | us | ≤ 2 | met |" in text
    assert "| sink_cost | 3 | us | ≤ 2 | **missed** |" in text
    assert "| a\\|b | c |" in text
    assert sorted(each.name for each in (tmp_path / "img").iterdir()) == ["memory.svg", "sink.svg"]


def test_the_json_line_has_every_figure() -> None:
    assert msgspec.json.decode(document.as_json([outcome("sink", 3.0)])) == {
        "sink_cost": {"value": 3.0, "unit": "us", "bar": 2.0, "met": False},
        "sink_size": {"value": 1234.5, "unit": "MiB"},
    }
