"""Line charts as plain SVG. The panel brings its own background, so that it can be read on light and on dark pages."""

from __future__ import annotations

import math
from collections.abc import Iterator
from html import escape

from benchmarks.experiments.outcome import Chart, number

WIDTH, HEIGHT = 720, 360
LEFT, RIGHT, TOP, BOTTOM = 76, 40, 48, 78
COLOURS = ("#2f7ed8", "#e0701d", "#2e9f57", "#a05bd0", "#c23b5a", "#6f7b87")
STYLE = """
.panel{fill:#ffffff;stroke:#d0d7de}.grid{stroke:#d8dee4}.axis{stroke:#57606a}text{fill:#24292f;font:12px sans-serif}.title{font-size:14px;font-weight:600}
@media (prefers-color-scheme:dark){.panel{fill:#161b22;stroke:#30363d}.grid{stroke:#30363d}.axis{stroke:#8b949e}text{fill:#e6edf3}}
"""


def draw(chart: Chart) -> str:
    """The chart as an SVG document. The y axis begins at 0. Raises ValueError for a chart without points."""
    xs = [x for line in chart.lines for x, _ in line.points]
    ys = [y for line in chart.lines for _, y in line.points]
    if not xs:
        raise ValueError(f"the chart {chart.file} has no points")
    across = Scale(min(xs), max(xs), LEFT, WIDTH - RIGHT, log=chart.log_x)
    y_marks = marks(max(ys))
    up = Scale(0.0, y_marks[-1], HEIGHT - BOTTOM, TOP)
    body = [*grid(chart, across, up, y_marks), *curves(chart, across, up)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(chart.title)}">'
    return "\n".join([head, f"<style>{STYLE}</style>", *body, "</svg>"]) + "\n"


class Scale:
    """From values to places on the panel."""

    def __init__(self, low: float, high: float, start: float, end: float, *, log: bool = False) -> None:
        self._to = math.log10 if log else float
        self._low, self._start = self._to(low), start
        self._by = (end - start) / ((self._to(high) - self._low) or 1.0)

    def at(self, value: float) -> float:
        return round(self._start + (self._to(value) - self._low) * self._by, 1)


def marks(highest: float) -> list[float]:
    """Round values from 0 to at least `highest`: three to six of them."""
    if highest <= 0:
        return [0.0, 1.0]
    power = 10.0 ** math.floor(math.log10(highest))
    step = next(power * part for part in (0.2, 0.5, 1.0, 2.0) if highest <= power * part * 5)
    return [step * count for count in range(math.ceil(highest / step - 1e-9) + 1)]


def x_marks(chart: Chart) -> list[float]:
    """The points' own x where they are few, else round values between the first and the last."""
    xs = sorted({x for line in chart.lines for x, _ in line.points})
    return xs if len(xs) <= 8 else [mark for mark in marks(xs[-1]) if mark >= xs[0]]


def grid(chart: Chart, across: Scale, up: Scale, y_marks: list[float]) -> Iterator[str]:
    """Everything but the lines."""
    yield f'<rect class="panel" x="0.5" y="0.5" width="{WIDTH - 1}" height="{HEIGHT - 1}" rx="6"/>'
    yield f'<text class="title" x="{LEFT}" y="26">{escape(chart.title)}</text>'
    for mark in y_marks:
        y = up.at(mark)
        yield f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}"/>'
        yield f'<text x="{LEFT - 8}" y="{y + 4}" text-anchor="end">{number(mark)}</text>'
    bottom = HEIGHT - BOTTOM
    yield f'<line class="axis" x1="{LEFT}" y1="{bottom}" x2="{WIDTH - RIGHT}" y2="{bottom}"/>'
    for mark in x_marks(chart):
        yield f'<text x="{across.at(mark)}" y="{bottom + 18}" text-anchor="middle">{number(mark)}</text>'
    yield f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{bottom + 38}" text-anchor="middle">{escape(chart.x)}</text>'
    middle = (TOP + bottom) / 2
    yield f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">{escape(chart.y)}</text>'


def curves(chart: Chart, across: Scale, up: Scale) -> Iterator[str]:
    """The lines, and below what each is."""
    x = float(LEFT)
    for line, colour in zip(chart.lines, COLOURS * (len(chart.lines) // len(COLOURS) + 1), strict=False):
        places = [(across.at(a), up.at(b)) for a, b in line.points]
        yield f'<polyline fill="none" stroke="{colour}" stroke-width="2" points="{" ".join(f"{a},{b}" for a, b in places)}"/>'
        if len(places) <= 40:
            yield from (f'<circle cx="{a}" cy="{b}" r="3" fill="{colour}"/>' for a, b in places)
        yield f'<rect x="{x}" y="{HEIGHT - 24}" width="14" height="4" fill="{colour}"/>'
        yield f'<text x="{x + 20}" y="{HEIGHT - 17}">{escape(line.name)}</text>'
        x += 44 + 6.6 * len(line.name)
