"""The live funnel on a terminal: bars that move while events come in. Without a terminal, a line every few seconds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Protocol

import msgspec
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from schemas.report import Report, StageFigures
from schemas.rows import End, Kind, Row
from streams.terminal import REASON_MEANINGS, bar, percent, safe

FRAMES_PER_SECOND = 4
#: Share of the way to its new length that a bar goes in one frame.
EASING = 0.45
#: A rate of the last minutes below this share of its whole is shown in red.
FALLEN = 0.75
LATEST_ROWS = 6
_BAR_CELLS = 26
#: On a screen of fewer columns than _WIDE the bars are shorter, and the day is left out.
_WIDE, _NARROW_BAR_CELLS = 96, 12
_OTHER_LINES = 6  # lines of a screen that no funnel and no row takes


class LiveFigures(msgspec.Struct, frozen=True, kw_only=True):
    """What is known now.

    `reports`: one for each funnel, the most important first. `recent`: funnel → for each of its levels, the share of
    the last minutes' attempts at the required level before that reached it (None: too few). `lag`: records not yet read (None:
    unknown). `watermark`: event time reached, ms. `latest`: the newest rows, newest last. `notes`: lines to be read
    (alerts, addresses), newest last.
    """

    reports: tuple[Report, ...]
    recent: Mapping[str, tuple[float | None, ...]] = msgspec.field(default_factory=dict)
    events_per_second: float = 0.0
    lag: int | None = None
    dead_letters: int = 0
    watermark: int | None = None
    latest: tuple[Row, ...] = ()
    notes: tuple[str, ...] = ()


class Stop(Protocol):
    """Says when to end: `threading.Event` is one."""

    def wait(self, timeout: float) -> bool: ...


def show_live(
    figures: Callable[[], LiveFigures], console: Console, stop: Stop, *, seconds_per_line: float = 5.0
) -> None:
    """Shows what `figures` returns until `stop` is set: at most 4 frames a second on a terminal, else lines.

    The last frame stays on the terminal. What `figures` raises ends it.
    """
    if not console.is_terminal:
        console.print(line(figures()), soft_wrap=True, highlight=False)
        while not stop.wait(seconds_per_line):
            console.print(line(figures()), soft_wrap=True, highlight=False)
        return
    view = LiveView()
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while True:
            live.update(view.frame(figures(), console.height, console.width), refresh=True)
            if stop.wait(1 / FRAMES_PER_SECOND):
                return


class LiveView:
    """Draws frames, and remembers how long each bar was in the last one."""

    def __init__(self) -> None:
        self._shown: dict[tuple[str, int], float] = {}

    def frame(self, figures: LiveFigures, height: int = 50, width: int = _WIDE) -> RenderableType:
        """The next frame, for a screen of `height` lines and `width` columns: funnels that don't fit are one line each."""
        cells = _BAR_CELLS if width >= _WIDE else _NARROW_BAR_CELLS
        rows = figures.latest[-LATEST_ROWS:]
        left = height - _OTHER_LINES - len(figures.notes) - len(rows)
        parts: list[RenderableType] = []
        for report in figures.reports:
            left -= len(report.stages) + 3
            whole = left >= 0 or not parts
            recent = figures.recent.get(report.funnel, ())
            parts.append(self._funnel(report, recent, cells) if whole else Text(brief(report)))
        parts.append(Text(state(figures, day=width >= _WIDE), style="bold"))
        parts.extend(safe(note, 200) for note in figures.notes)
        if rows:
            parts.extend((Text(""), _latest(rows)))
        return Group(*parts)

    def _funnel(self, report: Report, recent: tuple[float | None, ...], cells: int) -> RenderableType:
        table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
        table.add_column("stage", no_wrap=True, overflow="ellipsis", min_width=18, max_width=24)
        table.add_column("", no_wrap=True, min_width=cells)
        for name in ("attempts", "of start", "open", "dropped", "last min."):
            table.add_column(name, justify="right", no_wrap=True)
        for level, stage in enumerate(report.stages):
            share = share_of_start(report, level)
            table.add_row(
                safe(stage.stage),
                Text(bar(self._eased(report.funnel, level, share or 0.0), cells), style="cyan"),
                f"{stage.attempts:,}",
                percent(share),
                f"{stage.open:,}",
                f"{stage.dropped:,}",
                _recent(stage, report, level, recent),
            )
        counted = f"  {report.units:,} {report.unit}s, {report.converted:,} converted"
        return Group(Text.assemble((safe(report.funnel, 60).plain, "bold"), counted), table, Text(""))

    def _eased(self, funnel: str, level: int, share: float) -> float:
        before = self._shown.get((funnel, level), 0.0)
        now = before + (share - before) * EASING
        self._shown[funnel, level] = share if abs(share - now) < 0.5 / (8 * _BAR_CELLS) else now
        return self._shown[funnel, level]


def share_of_start(report: Report, level: int) -> float | None:
    """Of all attempts so far, matured or not, the share that has reached `level`; None before the first."""
    return report.stages[level].attempts / report.attempts if report.attempts else None


def brief(report: Report) -> str:
    """A funnel in one line: each stage with its attempts."""
    stages = " → ".join(f"{safe(stage.stage).plain} {stage.attempts:,}" for stage in report.stages)
    return f"{safe(report.funnel, 60).plain}: {stages}"


def state(figures: LiveFigures, *, day: bool = True) -> str:
    """The stream in one line; without `day`, event time is the time of day alone."""
    lag = "unknown" if figures.lag is None else f"{figures.lag:,} records"
    parts = [f"{figures.events_per_second:,.0f} events/s", f"lag {lag}", f"{figures.dead_letters:,} dead letters"]
    if figures.watermark is not None:
        parts.append(f"event time {_clock(figures.watermark, '%Y-%m-%d %H:%M:%S' if day else '%H:%M:%S')} UTC")
    return "   ".join(parts)


def line(figures: LiveFigures) -> str:
    """All figures in one line, for logs, and the newest note."""
    parts = [brief(report) for report in figures.reports]
    parts.append(state(figures).replace("   ", ", "))
    parts.extend(safe(note, 200).plain for note in figures.notes[-1:])
    return "; ".join(parts)


def row_text(row: Row) -> str:
    """What a row says, in words."""
    if row.is_deleted:
        return f"taken back: {row.kind} {safe(row.to_stage).plain}".rstrip()
    source, target = safe(row.from_stage).plain, safe(row.to_stage).plain
    if row.kind == Kind.ENTER:
        return f"{source} → {target}" if row.from_stage else f"enters {target}"
    if row.kind == Kind.END:
        if row.outcome == End.CONVERTED:
            return "converts"
        return f"drops off after {target or source}: {REASON_MEANINGS.get(row.outcome, row.outcome)}"
    if row.kind == Kind.MOVE:
        return f"{source or 'outside'} → {target} ({row.direction})"
    return "gets money back"


def _recent(stage: StageFigures, report: Report, level: int, recent: tuple[float | None, ...]) -> Text:
    share = recent[level] if 0 < level < len(recent) else None
    before = next((earlier.attempts for earlier in reversed(report.stages[:level]) if not earlier.optional), 0)
    usual = stage.conversion_from_previous
    if usual is None and before:
        usual = stage.attempts / before
    fallen = share is not None and usual is not None and share < FALLEN * usual
    return Text(percent(share), style="bold red" if fallen else "")


def _latest(rows: tuple[Row, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for style, least in (("dim", 8), ("dim", 8), ("", 10), ("", 30)):  # the widest gives way first
        table.add_column(style=style, no_wrap=True, overflow="ellipsis", min_width=least)
    for cells in _cells(rows):
        table.add_row(*cells)
    return table


def _cells(rows: tuple[Row, ...]) -> Iterator[tuple[RenderableType, ...]]:
    for row in reversed(rows):
        at = Text(_clock(row.event_time, "%H:%M:%S"))
        yield at, safe(row.funnel, 16), safe(row.unit_id, 20), Text(row_text(row))


def _clock(ms: int, form: str) -> str:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime(form)
    except (OverflowError, OSError, ValueError):
        return f"{ms} ms"
