"""Processes that may run only a share of the time: no sender reaches ten times what a worker does at full speed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]

#: Seconds of one turn. Short against a session of the group: a throttled worker is slow, not away.
PERIOD = 1.0
LEAST, MOST = 0.002, 0.95


class Throttle:
    """While the context lasts. `share`: of the time that they run; it may be changed at any moment."""

    def __init__(self, pids: Sequence[int], share: float) -> None:
        self.share = share
        self._processes = [psutil.Process(pid) for pid in pids]
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._turn)

    def change(self, by: float) -> None:
        """Lets them run so many times as long."""
        self.share = min(MOST, max(LEAST, self.share * by))

    def _turn(self) -> None:
        while not self._over.is_set():
            self._signal(signal.SIGSTOP)
            self._over.wait(PERIOD * (1 - self.share))
            self._signal(signal.SIGCONT)
            self._over.wait(PERIOD * self.share)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes:
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
