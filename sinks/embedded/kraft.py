"""Settings and ports of the one KRaft node."""

from __future__ import annotations

import random
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from schemas.errors import SinkError

CLUSTER_ID = "ZnVubmVsd2F0Y2gtZGVtbw"  # 16 bytes in URL-safe base64, as StorageTool wants it
MAX_MESSAGE_BYTES = 16 * 1024 * 1024

#: Below the range that the system takes for outgoing connections: a client that reconnects to a stopped broker's port
#: could otherwise be given that very port, connect to itself, and keep the broker from coming back.
PORTS = range(15_000, 30_000)


class Security(msgspec.Struct, frozen=True):
    """What a broker has beside its plain listener. `listeners`: their protocols by name (`SASL_SSL`), each on a port of its own.
    `settings`: of the server; those of a listener begin with `listener.name.`. `scram`: passwords by user, for both mechanisms."""

    listeners: Mapping[str, str] = {}
    settings: Mapping[str, str] = {}
    scram: Mapping[str, str] = {}


NOT_SECURED = Security()


def server_properties(
    data: Path, port: int, controller_port: int, security: Security = NOT_SECURED, more_ports: Sequence[int] = ()
) -> str:
    more = dict(zip(security.listeners, more_ports, strict=True))
    settings = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}"
        + "".join(f",{name}://127.0.0.1:{number}" for name, number in more.items()),
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
        + "".join(f",{name}:{protocol}" for name, protocol in security.listeners.items()),
        "log.dirs": data,
        # Replayed history is older than any retention: the broker would delete it at once.
        "log.retention.ms": -1,
        "message.max.bytes": MAX_MESSAGE_BYTES,  # topics set lower limits
        "auto.create.topics.enable": "false",
        "num.partitions": 1,
        "offsets.topic.num.partitions": 3,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 1,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.num.partitions": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        # After a crash the controller holds the old registration for this long before it takes the broker back (9 s).
        "broker.session.timeout.ms": 4_000,
        "broker.heartbeat.interval.ms": 500,
        "num.network.threads": 2,
        "num.io.threads": 2,
        "log.cleaner.dedupe.buffer.size": 16 * 1024 * 1024,  # of the heap; the default takes 128 MB of it
    } | dict(security.settings)  # fmt: skip
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def free_ports(count: int = 2) -> list[int]:
    """So many ports of PORTS that nobody holds now."""
    found: list[int] = []
    for port in random.SystemRandom().sample(PORTS, 200):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
        if len(found) == count:
            return found
    raise SinkError(f"no free port on 127.0.0.1 between {PORTS.start} and {PORTS.stop}")
