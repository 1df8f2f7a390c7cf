"""Ctrl-C and SIGTERM: the first ends the demo in order, the second at once."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Self

STOPPED = 130  # exit code of an end at once: as shells report an interrupt


class Interrupts:
    """Takes SIGINT and SIGTERM while it is entered.

    Until `live`, the first signal raises KeyboardInterrupt where the demo starts its parts; afterwards it only ends
    `wait`. A second one calls `at_once` and ends the process. `wait` also ends after `seconds` of being live.
    """

    def __init__(self, at_once: Callable[[], None], seconds: float | None = None) -> None:
        self._at_once, self._seconds = at_once, seconds
        self._deadline: float | None = None
        self._live = False
        self._count = 0
        # A pipe: setting a threading.Event in a signal handler can deadlock with the very wait that it is to end.
        self._read, self._write = os.pipe()
        os.set_blocking(self._write, False)

    @property
    def stopped(self) -> bool:
        return self._count > 0

    def go_live(self) -> None:
        """From now on a signal ends `wait`."""
        self._live = True
        if self._seconds is not None:
            self._deadline = time.monotonic() + self._seconds

    def wait(self, timeout: float) -> bool:
        """Waits `timeout` seconds; True, at once, when the demo is to end."""
        left = timeout if self._deadline is None else min(timeout, self._deadline - time.monotonic())
        if left <= 0:
            return True
        readable, _, _ = select.select([self._read], [], [], left)
        return bool(readable) or (self._deadline is not None and time.monotonic() >= self._deadline)

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._take) for number in (signal.SIGINT, signal.SIGTERM)}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._read)
        os.close(self._write)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self._count += 1
        if self._count > 1:
            self._at_once()
            os._exit(STOPPED)
        os.write(self._write, b"!")
        if not self._live:
            raise KeyboardInterrupt
