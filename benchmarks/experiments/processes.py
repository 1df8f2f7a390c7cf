"""The product's processes: started as in production, watched from outside, ended by their own pid."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped]

from benchmarks.experiments import pages
from benchmarks.experiments.place import Config, environment
from schemas.errors import SinkError

LONGEST = 900.0  # seconds that anything may take
WORKER, SINK = "worker", "sink"


class Running:
    """A process while the context lasts. `began`: when it was started, in seconds since 1970 UTC."""

    def __init__(self, command: Sequence[str], folder: Path, log: str) -> None:
        self._log = folder / log
        with self._log.open("ab") as output:
            self.began = time.time()
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=folder,
                env=environment(),
            )  # fmt: skip
        self._watched = psutil.Process(self._process.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def handles(self) -> int:
        """Files and sockets that it has open. Raises SinkError if it has ended."""
        self.check()
        return int(self._watched.num_fds())

    def stop(self, seconds: float = 30.0) -> None:
        """SIGTERM, and SIGKILL if that takes too long. Does nothing when it has ended."""
        if self.alive:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(seconds)
        self.kill()

    def halt(self) -> None:
        """SIGSTOP: it stands still, and keeps its place in the group for a session's length."""
        self._watched.suspend()

    def go_on(self) -> None:
        """SIGCONT."""
        self._watched.resume()

    def kill(self) -> None:
        """SIGKILL."""
        if self.alive:
            self._process.kill()
        self._process.wait()

    def cpu(self) -> float:
        """User and system seconds up to now, children left out. Raises SinkError if it has ended."""
        self.check()
        times = self._watched.cpu_times()
        return float(times.user + times.system)

    def rss(self) -> int:
        """Bytes of memory that it holds. Raises SinkError if it has ended."""
        self.check()
        return int(self._watched.memory_info().rss)

    def parts(self) -> dict[str, psutil.Process]:
        """Of a supervisor: the processes that it keeps running, by their role."""
        found: dict[str, psutil.Process] = {}
        for child in self._watched.children():
            line = child.cmdline()
            found |= {role: child for role in (WORKER, SINK) if role in line}
        return found

    def check(self) -> None:
        """Raises SinkError, with the end of its log, if it has ended."""
        if not self.alive:
            lines = self._log.read_text(errors="replace").splitlines()[-6:]
            raise SinkError(f"a process ended with code {self._process.returncode}: {' | '.join(lines)}")


def product(config: Config, role: str | None) -> Running:
    """`funnelwatch run`, or one role of it alone, as a container runs it."""
    only = [] if role is None else ["--only", role]
    command = [sys.executable, "-m", "streams.cli", "run", "--config", str(config.path), *only]
    return Running(command, config.path.parent, f"{config.path.stem}-{role or 'run'}.log")


def ready_worker(config: Config) -> Running:
    """A worker that has its partitions and their state."""
    worker = product(config, WORKER)
    try:
        wait(lambda: pages.status(config.port, "readyz") == "ok", worker)
    except BaseException:
        worker.kill()
        raise
    return worker


def wait(done: Callable[[], bool], *running: Running, pause: float = 0.05, longest: float = LONGEST) -> float:
    """Asks until it is done, and returns when it was, in seconds since 1970 UTC. Raises SinkError if it takes too long or a
    process ends meanwhile."""
    deadline = time.monotonic() + longest
    while not done():
        for process in running:
            process.check()
        if time.monotonic() > deadline:
            raise SinkError(f"an experiment waited longer than {longest:.0f} s")
        time.sleep(pause)
    return time.time()


def settled(process: Running, *, quiet: float = 3.0, longest: float = 30.0) -> int:
    """RSS once it has moved by less than 1 % for `quiet` seconds."""
    size, since = process.rss(), time.monotonic()
    deadline = since + longest
    while time.monotonic() - since < quiet and time.monotonic() < deadline:
        time.sleep(0.25)
        now = process.rss()
        if abs(now - size) > size / 100:
            size, since = now, time.monotonic()
    return process.rss()
