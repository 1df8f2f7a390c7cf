"""`funnelwatch run` as a real process of its own: ended by its own pid, its log shown where a test fails."""

from __future__ import annotations

import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

SOURCES = Path(__file__).parents[2]
#: Below the ports that the system hands out for outgoing connections.
PORTS = range(10_000, 15_000)
TAIL_LINES = 40
NO_VARIABLES: Mapping[str, str] = MappingProxyType({})


class Child:
    """`funnelwatch run --config config`, with `--only` one role or with both (None). `port`: of /readyz and /metrics.

    `module`: another one that runs the command line; `variables`: of its environment, beside ours.
    """

    def __init__(
        self, role: str | None, config: Path, log: Path, port: int, module: str = "streams.cli",
        variables: Mapping[str, str] = NO_VARIABLES,
    ) -> None:  # fmt: skip
        self.role, self.log, self.port = role or "worker with its sink", log, port
        command = [sys.executable, "-m", module, "run", "--config", str(config)]
        command += [] if role is None else ["--only", role]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("FUNNELWATCH_")}
        environment |= variables
        environment["PYTHONPATH"] = str(SOURCES)
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=environment,
                cwd=log.parent, start_new_session=True,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def text(self) -> str:
        """All that it has written."""
        return self.log.read_text(errors="replace")

    def cpu(self) -> float:
        """Seconds of CPU that it has used (Linux; elsewhere 0)."""
        stat = Path(f"/proc/{self.pid}/stat")
        if not stat.exists():
            return 0.0
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait(self, seconds: float) -> int:
        """Its exit code, once it has ended by itself."""
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the {self.role} still runs after {seconds:.0f} s\n{self.tail()}") from None

    @property
    def code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    def signal(self, number: int) -> None:
        """Sends a signal, if it still runs."""
        if self.alive:
            self._process.send_signal(number)

    def stop(self, seconds: float = 30.0) -> int:
        """SIGTERM; returns the exit code. Fails if it has not ended after `seconds`."""
        if self.alive:
            self._process.send_signal(signal.SIGTERM)
        return self.wait(seconds)

    def kill(self) -> None:
        """SIGKILL, as a crash of the machine would end it."""
        if self.alive:
            self._process.kill()
        self._process.wait()

    def get(self, page: str) -> tuple[int, str]:
        """Status and text of a page; status 0 while nothing listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{page}", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError as error:
            return 0, str(error)

    def until_ready(self, seconds: float = 60.0) -> None:
        """Waits for /readyz."""
        self.until(lambda: self.get("/readyz")[0] == 200, "be ready", seconds)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Waits for a condition; fails with the log when the process ends or the time is over."""
        deadline = time.monotonic() + seconds
        while not condition():
            if not self.alive:
                raise AssertionError(f"the {self.role} ended before it could {what}\n{self.tail()}")
            if time.monotonic() > deadline:
                raise AssertionError(
                    f"the {self.role} did not {what} within {seconds:.0f} s; /readyz: {self.get('/readyz')}\n{self.tail()}"
                )
            time.sleep(0.05)

    def tail(self) -> str:
        """The end of its log, for a failure's report."""
        lines = self.text().splitlines()[-TAIL_LINES:]
        return "\n".join([f"--- {self.log.name}, last {TAIL_LINES} lines at most", *lines])


def free_port() -> int:
    """A port of PORTS that nobody listens on now."""
    for port in random.SystemRandom().sample(PORTS, 100):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        return port
    raise AssertionError(f"no free port between {PORTS.start} and {PORTS.stop}")
