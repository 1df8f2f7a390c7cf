"""ClickHouse as a child process: chDB behind ClickHouse's HTTP interface, on a free port of loopback."""

from __future__ import annotations

import os
import sys
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from schemas.errors import SinkError
from sinks.embedded.faults import Faults
from sinks.embedded.process import ServerProcess

SOURCES = Path(__file__).parents[2]


class EmbeddedClickHouse:
    """An engine with its data under `directory`. `start`, `stop` and `start` again keep the port and the data.

    `faults`: for tests, `inject` may then order failures. Raises SinkError, one line with the end of the log.
    """

    def __init__(self, directory: Path, *, faults: bool = False, start_seconds: float = 60.0) -> None:
        self.directory, self._faults, self._start_seconds = directory, faults, start_seconds
        self.log = directory / "clickhouse.log"
        self._port = 0
        self._process: ServerProcess | None = None

    @property
    def host(self) -> str:
        return "127.0.0.1"

    @property
    def port(self) -> int:
        if not self._port:
            raise SinkError("the embedded ClickHouse has not been started")
        return self._port

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.alive

    def start(self) -> None:
        """Starts the engine and waits until it answers. Does nothing when it runs."""
        if self.running:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "sinks.embedded.adapter", "--path", str(self.directory / "data")]
        command += ["--port", str(self._port), *(["--faults"] if self._faults else [])]
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(SOURCES), os.getenv("PYTHONPATH")]))
        }
        self._process = ServerProcess(command, self.log, announces=True, environment=environment)
        word, _, port = self._process.line(self._start_seconds).partition(" ")
        if word != "ready":
            tail = self._process.tail()
            self.kill()
            raise SinkError(f"the embedded ClickHouse did not start; its log {self.log} ends: {tail}")
        self._port = int(port)

    def stop(self) -> None:
        """Ends the engine in order; the data stay."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """Ends the engine as a crash would (SIGKILL); the data stay."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def pause(self) -> None:
        """Freezes the engine: connections stay open, nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        self._running().resume()

    def inject(self, faults: Faults) -> Faults:
        """Orders failures of the next requests in place of those that have not happened yet, which are returned. Needs `faults=True`."""
        order = urllib.request.Request(f"{self.url}/faults", data=msgspec.json.encode(faults), method="POST")  # noqa: S310  (loopback)
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(order, timeout=10) as answer:
            return msgspec.json.decode(answer.read(), type=Faults)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _running(self) -> ServerProcess:
        if self._process is None:
            raise SinkError("the embedded ClickHouse is not running")
        return self._process
