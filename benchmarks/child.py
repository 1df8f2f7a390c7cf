"""A measured process: started, watched and ended by its own pid."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil  # type: ignore[import-untyped]

from schemas.errors import SinkError


class Usage(msgspec.Struct, frozen=True):
    """`cpu`: user and system seconds since the process began, children left out. `at`: seconds since 1970 UTC."""

    cpu: float
    at: float


class Child:
    """Runs `command` while the context lasts; its output goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command, self._log = list(command), log

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
            )
        self._watched = psutil.Process(self._process.pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def usage(self) -> Usage:
        """What it has used up to now. Raises SinkError, with the end of its log, if it is not running."""
        if self._process.poll() is not None:
            raise SinkError(f"{' '.join(self._command[:4])} ended with code {self._process.returncode}: {self.tail()}")
        times = self._watched.cpu_times()
        return Usage(times.user + times.system, time.time())

    def peak_rss(self) -> int:
        """Most bytes of memory it has held; where the system doesn't keep that: those that it holds now."""
        status = Path(f"/proc/{self._process.pid}/status")
        if status.is_file():
            for line in status.read_text().splitlines():
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
        return int(self._watched.memory_info().rss)

    def said(self, line: str) -> bool:
        """Whether its output has this line."""
        return f"{line}\n" in self._log.read_text(errors="replace")

    def tail(self) -> str:
        """The last lines of its output, as one."""
        return " | ".join(self._log.read_text(errors="replace").splitlines()[-6:]) or "(it said nothing)"
