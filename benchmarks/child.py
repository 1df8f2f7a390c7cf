"""A measured process: started, watched and ended by its own pid."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
import psutil  # type: ignore[import-untyped]

from schemas.errors import SinkError

#: Measured commands run here: they import the packages beside this one.
SOURCES = Path(__file__).parents[1]
LONGEST = 1_200.0  # seconds a run may take


class Usage(msgspec.Struct, frozen=True):
    """`cpu`: user and system seconds since the process began, its threads and children included.
    `at`: seconds since 1970 UTC. `peak_rss`: most bytes of memory it has held."""

    cpu: float
    at: float
    peak_rss: int


def usage_of(pid: int) -> Usage:
    """What a running process has used up to now. Raises psutil.Error if there is none."""
    process = psutil.Process(pid)
    cpu = sum(process.cpu_times()[:4])
    for child in process.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended meanwhile: its time is its parent's now
            cpu += sum(child.cpu_times()[:4])
    return Usage(cpu, time.time(), peak_rss(process))


def peak_rss(process: psutil.Process) -> int:
    """Most bytes of memory it has held; where the system doesn't keep that: those that it holds now."""
    status = Path(f"/proc/{process.pid}/status")
    if status.is_file():
        for line in status.read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    return int(process.memory_info().rss)


class Child:
    """Runs `command` while the context lasts; its output goes to `log`."""

    def __init__(self, command: Sequence[str], log: Path) -> None:
        self._command, self._log = list(command), log

    def __enter__(self) -> Self:
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=SOURCES
            )
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

    @property
    def pid(self) -> int:
        return self._process.pid

    def usage(self) -> Usage:
        """What it has used up to now. Raises SinkError, with the end of its log, if it is not running."""
        if self._process.poll() is not None:
            raise self._ended_early(self._process.returncode)
        return usage_of(self._process.pid)

    def wait(self, done: Callable[[], bool], pause: float) -> Usage:
        """Asks until it is done; returns what the process had used when that was asked for the last time."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            usage = self.usage()
            if done():
                return usage
            time.sleep(pause)
        raise self._too_long()

    def ended(self) -> Usage:
        """Waits for its end, and returns all that it has used. Raises SinkError if it fails."""
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            pid, status, used = os.wait4(self._process.pid, os.WNOHANG)
            if pid:
                at, unit = time.time(), 1 if sys.platform == "darwin" else 1024
                self._process.returncode = os.waitstatus_to_exitcode(status)
                if self._process.returncode != 0:
                    raise self._ended_early(self._process.returncode)
                return Usage(used.ru_utime + used.ru_stime, at, used.ru_maxrss * unit)
            time.sleep(0.02)
        raise self._too_long()

    def terminate(self) -> None:
        """Asks it to end, as an operator would."""
        self._process.terminate()

    def said(self, line: str) -> bool:
        """Whether a line of its output ends so."""
        return f"{line}\n" in self._log.read_text(errors="replace")

    def tail(self) -> str:
        """The last lines of its output, as one."""
        return " | ".join(self._log.read_text(errors="replace").splitlines()[-6:]) or "(it said nothing)"

    def _ended_early(self, code: int) -> SinkError:
        return SinkError(f"{' '.join(self._command[:4])} ended with code {code}: {self.tail()}")

    def _too_long(self) -> SinkError:
        return SinkError(f"a benchmark did not end within {LONGEST:.0f} s: {self.tail()}")
