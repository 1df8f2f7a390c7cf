"""Processes that get only a share of a core: no sender reaches ten times what a worker does at full speed."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]

#: Seconds of one turn. Short against a session of the group: a throttled worker is slow, not away.
PERIOD = 1.0
#: Seconds between two looks at what those that run have used.
LOOK = 0.001
LEAST, MOST = 0.002, 0.95


class Throttle:
    """While the context lasts. `share`: seconds of CPU that each of them gets in a second; it may be changed at any moment. (Not a share
    of the clock's time: on a busy machine a process that may run for some milliseconds may well get nothing of them.)"""

    def __init__(self, pids: Sequence[int], share: float) -> None:
        self.share = share
        self._processes = [psutil.Process(pid) for pid in pids]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._turns)

    def change(self, by: float) -> None:
        """Gives them so many times as much."""
        self.share = min(MOST, max(LEAST, self.share * by))

    def _turns(self) -> None:
        while not self._over.is_set():
            self._turn(time.monotonic() + PERIOD)
        self._signal(self._processes, signal.SIGCONT)

    def _turn(self, end: float) -> None:
        running = {process: used(process) for process in self._processes}
        self._signal(running, signal.SIGCONT)
        while running and time.monotonic() < end and not self._over.wait(LOOK):
            done = [process for process, before in running.items() if used(process) - before >= PERIOD * self.share]
            self._signal(done, signal.SIGSTOP)
            for process in done:
                del running[process]
        self._over.wait(max(0.0, end - time.monotonic()))

    def _signal(self, processes: Iterable[psutil.Process], number: signal.Signals) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(number)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()


def used(process: psutil.Process) -> float:
    """Seconds of CPU that the process has had, all threads together, to the nanosecond (clock_getcpuclockid(3)); 0 if there is none."""
    with suppress(OSError):
        return time.clock_gettime(~process.pid << 3 | 2)
    return 0.0
