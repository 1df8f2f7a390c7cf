"""The demo's screen in a small terminal: nothing is cut that must be read."""

from io import StringIO

from rich.console import Console

from schemas.report import Report, StageFigures
from streams.live_view import LiveFigures, LiveView


def stage(name: str, attempts: int) -> StageFigures:
    return StageFigures(
        stage=name, units=attempts, attempts=attempts, dropped=12_345, open=1_234, conversion_from_start=0.5,
        conversion_from_previous=0.5, median_seconds_from_previous=1.0, matured=1, dropped_by={}, optional=False,
    )  # fmt: skip


def test_eighty_columns_hold_the_whole_table_and_the_state() -> None:
    stages = (stage("visit", 123_456), stage("add_payment_info", 61_728))
    report = Report(
        funnel="purchase", version="", unit="session", units=123_456, attempts=123_456, stages=stages, revenue={}, by={},
        events={}, matured=1, recovered=0, converted=61_728, horizon=0,
    )  # fmt: skip
    figures = LiveFigures(
        reports=(report,),
        recent={"purchase": (None, 0.123)},
        events_per_second=1_234.0,
        lag=123,
        dead_letters=1_234,
        watermark=1_767_571_200_000,
    )
    console = Console(file=StringIO(), width=80, height=24, color_system=None)
    console.print(LiveView().frame(figures, 24, 80))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines[1].split() == ["stage", "attempts", "of", "start", "open", "dropped", "last", "min."]
    assert lines[3].split() == ["add_payment_info", "██▊", "61,728", "50.0%", "1,234", "12,345", "12.3%"]
    assert lines[-1] == "1,234 events/s   lag 123 records   1,234 dead letters   event time 00:00:00 UTC"
