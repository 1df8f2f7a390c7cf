"""The live view, drawn on consoles that only remember."""

import re
from io import StringIO

import msgspec
from rich.console import Console

from schemas.report import Report, StageFigures
from schemas.rows import Row
from streams.live_view import LiveFigures, LiveView, brief, line, row_text, show_live, state

MONDAY = 1_767_571_200_000


class StopAfter:
    """Says stop at the wait number `frames`; remembers how long each wait was to be."""

    def __init__(self, frames: int) -> None:
        self.frames, self.waits = frames, list[float]()

    def wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        return len(self.waits) >= self.frames


def report(*attempts: int, funnel: str = "purchase") -> Report:
    names = ("visit", "view_item", "cart", "purchase")
    stages = tuple(
        StageFigures(
            stage=names[k],
            units=count,
            attempts=count,
            dropped=k,
            open=count // 2,
            conversion_from_start=None,
            conversion_from_previous=None,
            median_seconds_from_previous=None,
            matured=0,
            dropped_by={},
            optional=k == 2,
        )
        for k, count in enumerate(attempts)
    )
    return Report(
        funnel=funnel,
        version="0" * 12,
        unit="session",
        units=attempts[0],
        attempts=attempts[0],
        stages=stages,
        revenue={},
        by={},
        events={},
        matured=0,
        recovered=0,
        converted=attempts[-1],
        horizon=None,
    )


ROW = Row(
    funnel="purchase", version="0" * 12, attempt_id="a", kind="enter", item="cart", revision=1, is_deleted=0,
    unit_id="s-1", session_start=0, attempt=1, recovered=False, entry_time=MONDAY, event_time=MONDAY, event_id="e",
    from_stage="view_item", to_stage="cart", stage=2, reached=7, direction="", outcome="", duration=10,
    entry_dims=(), dims=(), value=None, currency="", value_reporting=None, order_id="", consent=False,
)  # fmt: skip


def row(**changes: object) -> Row:
    return msgspec.structs.replace(ROW, **changes)


FIGURES = LiveFigures(
    reports=(report(1_200, 600, 300, 75), report(40, 20, funnel="newsletter")),
    recent={"purchase": (None, 0.5, 0.5, 0.08)},
    events_per_second=151.6,
    lag=12,
    dead_letters=7,
    watermark=MONDAY,
    latest=(row(), row(kind="end", outcome="converted")),
    notes=("ALERT purchase fell 60 %",),
)


def drawn(figures: LiveFigures, height: int = 50, frames: int = 1) -> str:
    view = LiveView()
    console = Console(file=StringIO(), width=110, height=height, color_system=None, force_terminal=False)
    for _ in range(frames - 1):
        view.frame(figures, height)
    console.print(view.frame(figures, height))
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_frame_shows_every_figure() -> None:
    text = drawn(FIGURES, frames=30)
    lines = [found.rstrip() for found in text.splitlines()]
    assert lines[0] == "purchase  1,200 sessions, 75 converted"
    assert lines[1].split() == ["stage", "attempts", "of", "start", "open", "dropped", "last", "min."]
    assert lines[2].split() == ["visit", "█" * 26, "1,200", "100.0%", "600", "0", "–"]
    assert lines[3].split() == ["view_item", "█" * 13, "600", "50.0%", "300", "1", "50.0%"]
    assert lines[5].split() == ["purchase", "█▋", "75", "6.2%", "37", "3", "8.0%"]
    assert "151.6" not in text
    assert "152 events/s   lag 12 records   7 dead letters   event time 2026-01-05 00:00:00 UTC" in text
    assert "ALERT purchase fell 60 %" in text
    assert lines[-2].split() == ["00:00:00", "purchase", "s-1", "converts"]
    assert lines[-1].split() == ["00:00:00", "purchase", "s-1", "view_item", "→", "cart"]


def test_bars_move_towards_their_length_and_arrive() -> None:
    lengths = [drawn(FIGURES, frames=frames).splitlines()[2].count("█") for frames in (1, 2, 3, 30)]
    assert lengths == [11, 18, 21, 26]


def test_a_small_screen_has_one_line_for_the_later_funnels() -> None:
    text = drawn(FIGURES, height=20)
    assert "newsletter: visit 40 → view_item 20" in text
    assert "newsletter  40 sessions" in drawn(FIGURES, height=50)


def test_a_fallen_rate_is_red_and_a_usual_one_is_not() -> None:
    console = Console(file=StringIO(), width=110, force_terminal=True, color_system="standard")
    console.print(LiveView().frame(FIGURES))
    coloured = console.file.getvalue()  # type: ignore[attr-defined]
    # The cart is optional here: 8 % of those who viewed an item, where 12.5 % is usual.
    assert re.findall(r"\x1b\[1;31m *([0-9.]+%)", coloured) == ["8.0%"]


def test_nothing_yet_is_drawn_as_nothing() -> None:
    text = drawn(LiveFigures(reports=(report(0, 0),)))
    assert "purchase  0 sessions, 0 converted" in text
    assert "lag unknown" in text


def test_names_from_outside_cant_write_to_the_terminal() -> None:
    figures = LiveFigures(
        reports=(report(1, 1, funnel="a\x1b[31m[red]"),), latest=(row(unit_id="s\x1b]0;x\x07"),), notes=("n\x1b[2J",)
    )
    for text in (drawn(figures), line(figures)):
        assert "\x1b" not in text
        assert "\x07" not in text
    assert "a\\x1b[31m[red]" in drawn(figures)


def test_without_a_terminal_it_is_a_line_every_few_seconds() -> None:
    console = Console(file=StringIO(), width=40)
    stop = StopAfter(2)
    show_live(lambda: FIGURES, console, stop, seconds_per_line=5.0)
    expected = (
        "purchase: visit 1,200 → view_item 600 → cart 300 → purchase 75; newsletter: visit 40 → view_item 20; "
        "152 events/s, lag 12 records, 7 dead letters, event time 2026-01-05 00:00:00 UTC; ALERT purchase fell 60 %"
    )
    assert console.file.getvalue().splitlines() == [expected, expected]  # type: ignore[attr-defined]
    assert stop.waits == [5.0, 5.0]


def test_on_a_terminal_it_draws_four_frames_a_second() -> None:
    console = Console(file=StringIO(), width=110, height=40, force_terminal=True, color_system=None)
    asked: list[int] = []
    stop = StopAfter(3)

    def figures() -> LiveFigures:
        asked.append(1)
        return FIGURES

    show_live(figures, console, stop)
    assert stop.waits == [0.25, 0.25, 0.25]
    assert len(asked) == 3
    assert console.file.getvalue().count("purchase  1,200 sessions") >= 3  # type: ignore[attr-defined]


def test_a_row_in_words() -> None:
    said = [
        row_text(row(from_stage="")),
        row_text(row(kind="end", outcome="step_timeout")),
        row_text(row(kind="move", direction="back", from_stage="cart", to_stage="view_item")),
        row_text(row(kind="move", direction="skip", from_stage="")),
        row_text(row(kind="refund")),
        row_text(row(is_deleted=1)),
    ]
    assert said == [
        "enters cart",
        "drops off after cart: the next stage did not come in its time",
        "cart → view_item (back)",
        "outside → cart (skip)",
        "gets money back",
        "taken back: enter cart",
    ]


def test_brief_and_state_are_single_lines() -> None:
    assert brief(report(3, 1)) == "purchase: visit 3 → view_item 1"
    assert state(LiveFigures(reports=())) == "0 events/s   lag unknown   0 dead letters"
