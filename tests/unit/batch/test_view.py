"""The progress that a terminal shows."""

from __future__ import annotations

import io

from rich.console import Console

from schemas.decode import FileProgress
from streams.batch.run import Progress
from streams.batch.view import BatchView


def drawn(view: BatchView) -> str:
    console = Console(file=io.StringIO(), width=100, force_terminal=False, color_system=None)
    console.print(view)
    assert isinstance(console.file, io.StringIO)
    return " ".join(console.file.getvalue().split())


def test_bytes_while_reading_then_events_while_evaluating() -> None:
    progress, now = Progress(), 100.0
    view = BatchView(progress, [FileProgress(1_000, 500), FileProgress(1_000, 0)], lambda: now)
    now = 102.0
    progress.intake.read = 3_000
    reading = drawn(view)
    assert reading.startswith("reading ")
    assert reading.endswith(" 3,000 records 1,500/s")
    progress.total, progress.evaluation.done = 3_000, 1_500
    evaluating = drawn(view)
    assert evaluating.startswith("evaluating ")
    assert evaluating.endswith(" 3,000 records")
    assert evaluating.count("━") == 15  # half of the bar
