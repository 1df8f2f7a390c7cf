"""What `batch` shows on a terminal while it runs: a bar, events per second, and what it is doing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from time import monotonic

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schemas.decode import FileProgress
from streams.batch.run import Progress


class BatchView:
    """Draw it with `rich.live.Live`. The bar counts bytes while files are read, then events evaluated."""

    def __init__(
        self, progress: Progress, files: Sequence[FileProgress], seconds: Callable[[], float] = monotonic
    ) -> None:
        self._progress, self._files, self._seconds = progress, files, seconds
        self._started = seconds()

    def __rich__(self) -> RenderableType:
        progress, row = self._progress, Table.grid(padding=(0, 2))
        if progress.total:
            phase, done, total = "evaluating", progress.evaluation.done, progress.total
        else:
            phase = "reading"
            done, total = sum(file.done for file in self._files), sum(file.total for file in self._files)
        read = progress.intake.read
        rate = "" if progress.total else f"{read / max(self.seconds(), 0.001):,.0f}/s"
        bar = ProgressBar(total=max(total, 1), completed=done, width=30)
        row.add_row(Text(phase), bar, Text(f"{read:,} records"), Text(rate))
        return row

    def seconds(self) -> float:
        """Time since the start."""
        return self._seconds() - self._started
