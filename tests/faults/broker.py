"""The embedded broker with a listener for each process that is to be disturbed, which it knows by its proxy's address."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from sinks.embedded.kafka import EmbeddedKafka
from sinks.embedded.kraft import free_ports
from tests.faults.proxy import Proxy


class ProxiedKafka(EmbeddedKafka):
    """`proxies`: by the name of the process that goes through it. `bootstrap_servers` is the way past all of them."""

    def __init__(self, directory: Path, names: Sequence[str]) -> None:
        super().__init__(directory, start_seconds=300.0)  # on a crowded machine
        self._ways = {name: free_ports() for name in names}
        self.proxies: dict[str, Proxy] = {}

    def servers(self, name: str) -> str:
        """What that process is told."""
        return f"127.0.0.1:{self._ways[name][1]}"

    def _configure(self) -> None:
        super()._configure()
        lines = dict(line.split("=", 1) for line in self._properties.read_text().splitlines())
        listeners, known = [lines["listeners"]], [lines["listeners"].split(",", maxsplit=1)[0]]
        protocols = [lines["listener.security.protocol.map"]]
        for number, (own, proxied) in enumerate(self._ways.values()):
            listeners.append(f"WAY{number}://127.0.0.1:{own}")
            known.append(f"WAY{number}://127.0.0.1:{proxied}")
            protocols.append(f"WAY{number}:PLAINTEXT")
        lines |= {
            "listeners": ",".join(listeners), "advertised.listeners": ",".join(known),
            "listener.security.protocol.map": ",".join(protocols), "inter.broker.listener.name": "PLAINTEXT",
        }  # fmt: skip
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in lines.items()))

    def __enter__(self) -> Self:
        super().__enter__()
        self.proxies = {name: Proxy(proxied, own) for name, (own, proxied) in self._ways.items()}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for proxy in self.proxies.values():
            proxy.close()
        super().__exit__(kind, error, trace)
