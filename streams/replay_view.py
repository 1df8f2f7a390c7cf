"""What `replay` shows while it runs: a bar, events per second, and the event time reached."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from time import monotonic

from rich.console import RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from schemas.decode import FileProgress
from streams.replay import ReplayProgress


class ReplayView:
    """Draw it with `rich.live.Live`. While events are sorted the bar counts bytes read, then events sent."""

    def __init__(
        self,
        progress: ReplayProgress,
        files: Sequence[FileProgress],
        *,
        as_is: bool,
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._progress, self._files, self._as_is, self._seconds = progress, files, as_is, seconds
        self._started = seconds()

    def __rich__(self) -> RenderableType:
        progress = self._progress
        row = Table.grid(padding=(0, 2))
        row.add_row(Text(self._phase()), self._bar(), Text(f"{self.rate():,.0f} events/s"), Text(self._reached()))
        if progress.refused:
            row.add_row("", "", Text(f"{progress.refused:,} refused"), "")
        return row

    def rate(self) -> float:
        """Records sent per second; while sorting, records read."""
        done = self._progress.read if self._sorting() else self._progress.sent
        return done / max(self._seconds() - self._started, 0.001)

    def summary(self, topic: str) -> str:
        """One line for the end: what was sent, how far, how fast."""
        progress = self._progress
        good = progress.sent - progress.refused
        line = f"{good:,} events sent to {topic}" + (
            f", and {progress.refused:,} records that are none (they will be dead letters)" if progress.refused else ""
        )
        if progress.reached is not None:
            line += f"; event time reached {moment(progress.reached)}"
        line += f"; {self.rate():,.0f} records/s"
        if progress.stopped:
            return f"stopped: {line}. No heartbeat was sent; another run sends all again, and event ids count once."
        return line + "."

    def _sorting(self) -> bool:
        return self._progress.reading and not self._as_is

    def _phase(self) -> str:
        return "reading and sorting" if self._sorting() else "sending"

    def _bar(self) -> ProgressBar:
        progress = self._progress
        if progress.reading:
            total, done = sum(file.total for file in self._files), sum(file.done for file in self._files)
        else:
            total, done = progress.events, progress.sent - progress.refused
        return ProgressBar(total=max(total, 1), completed=done, width=30)

    def _reached(self) -> str:
        return "" if self._progress.reached is None else moment(self._progress.reached)


def moment(ms: int) -> str:
    """An event time as people read it, in UTC."""
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return f"{ms} ms"
