"""What the demo does beside drawing: a thread that runs until it is told to stop."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event as Signal
from threading import Thread

from schemas.errors import SinkError


class Background:
    """A thread named `name` that runs `work`, which ends soon after `_stop` is set. `error`: what ended it before."""

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self._stop = Signal()
        self._thread = Thread(target=work, name=name, daemon=True)
        self.error: SinkError | None = None

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Ends it; what is done stays done. Does nothing before `start`."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(10)
