"""A server process that can't outlive the process that started it."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from schemas.errors import SinkError

GUARD = Path(__file__).with_name("guard.py")
TAIL_BYTES = 4096


class ServerProcess:
    """Starts `command` under a guard, with its output appended to `log`; addresses it by its own pid.

    `announces`: the server says on standard output, in one line, that it is ready (read it with `line`).
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        *,
        announces: bool = False,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.log = log
        with log.open("ab") as output:
            self._guard = subprocess.Popen(
                [sys.executable, "-I", str(GUARD), "pipe" if announces else "log", *command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=output,
                env=dict(environment) if environment is not None else None,
                start_new_session=True,  # Ctrl-C goes to the owner alone, who then stops the servers in order
            )
        self._stopped = False
        first = self.line(30.0)
        if not first.isdigit():
            self.kill()
            raise SinkError(f"{command[0]}: can't be started; see {log}: {self.tail()}")
        self.pid = int(first)

    @property
    def alive(self) -> bool:
        return self._guard.poll() is None

    def line(self, seconds: float) -> str:
        """The next line of standard output, without its end; "" at its end or after `seconds`."""
        assert self._guard.stdout is not None
        stream, text, deadline = self._guard.stdout.fileno(), b"", time.monotonic() + seconds
        while not text.endswith(b"\n"):
            readable, _, _ = select.select([stream], [], [], max(0.0, deadline - time.monotonic()))
            piece = os.read(stream, 1) if readable else b""
            if not piece:
                return ""
            text += piece
        return text.decode(errors="replace").rstrip()

    def pause(self) -> None:
        """Freezes the server (SIGSTOP): its port stays open, nothing answers."""
        self._signal(signal.SIGSTOP)
        self._stopped = True

    def resume(self) -> None:
        self._signal(signal.SIGCONT)
        self._stopped = False

    def stop(self, seconds: float = 20.0) -> None:
        """Asks the server to end, kills it after `seconds`. Does nothing when it has ended."""
        if self.alive and hasattr(self, "pid"):
            if self._stopped:
                self.resume()
            self._signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._guard.wait(seconds)
        self.kill()

    def wait(self, seconds: float) -> int | None:
        """Waits until it has ended by itself; its exit code, or None if it runs on."""
        try:
            return self._guard.wait(seconds)
        except subprocess.TimeoutExpired:
            return None

    def kill(self) -> None:
        """Ends the server at once, without a chance to write anything (SIGKILL)."""
        if self.alive and hasattr(self, "pid"):
            self._signal(signal.SIGKILL)
        for pipe in (self._guard.stdin, self._guard.stdout):
            _close(pipe)
        self._guard.wait()

    def tail(self) -> str:
        """The last lines of the log, as one line."""
        with self.log.open("rb") as output:
            output.seek(max(0, self.log.stat().st_size - TAIL_BYTES))
            lines = output.read().decode(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines[-8:] if line.strip()) or "(the log is empty)"

    def _signal(self, number: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, number)


def _close(pipe: IO[bytes] | None) -> None:
    if pipe is not None:
        pipe.close()
