"""Writing records to one topic with kafka-python: durable, in order within a partition, bounded in memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from socket import create_connection
from types import TracebackType
from typing import Any, Self

import msgspec
from kafka import KafkaProducer
from kafka.errors import KafkaError, KafkaTimeoutError, MessageSizeTooLargeError, UnknownTopicOrPartitionError
from kafka.future import Future
from kafka.partitioner.default import murmur2

from schemas.errors import SinkError
from schemas.event import HEARTBEAT
from schemas.settings.sections import Kafka, SaslMechanism, SecurityProtocol
from sinks.tokens import PlainTokens

#: Records sent but not yet acknowledged: the producer's own buffer has no bound.
MOST_PENDING = 20_000
_BATCH_BYTES = 262_144
_METADATA_MS = 10_000
_TOPIC_MS = 3_000  # a topic just created may not be known at once
_CONNECT_S = 5.0


def client_options(kafka: Kafka) -> dict[str, Any]:
    """kafka-python's options for servers, encryption and log-in, the same for all its clients."""
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka.servers),
        "security_protocol": kafka.security_protocol.value,
        "request_timeout_ms": kafka.request_timeout,
        "bootstrap_timeout_ms": _METADATA_MS,
    }
    if kafka.security_protocol in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL):
        files = {"ssl_cafile": kafka.ca, "ssl_certfile": kafka.cert, "ssl_keyfile": kafka.key}
        options |= {name: str(path) for name, path in files.items() if path is not None}
        options |= {"ssl_check_hostname": kafka.check_hostname, "ssl_password": kafka.key_password.reveal() or None}
    if kafka.security_protocol in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL):
        options["sasl_mechanism"] = kafka.sasl_mechanism.value
        if kafka.sasl_mechanism is SaslMechanism.OAUTHBEARER:
            tokens = options["sasl_oauth_token_provider"] = PlainTokens(kafka)
            tokens.token()  # what is wrong is said here; the client would only say that it could not connect
        else:
            options |= {"sasl_plain_username": kafka.user, "sasl_plain_password": kafka.password.reveal()}
    return options


def compression() -> str:
    """lz4 where this installation can write it (lz4) and its worker could read it (cramjam), else gzip."""
    return "lz4" if find_spec("lz4") and find_spec("cramjam") else "gzip"


class TopicSender:
    """An idempotent producer for one topic that must exist. Use as a context manager, or `close` it.

    All methods raise SinkError, with one line that names the topic and the servers. Records carry the time of sending
    as their Kafka timestamp: with the event time, history would fall to the topic's retention at once.
    """

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self.topic = topic
        self._servers = ", ".join(kafka.servers)
        self._pending: deque[Future] = deque()
        self._producer = self._connect(kafka)
        try:
            self.partitions: tuple[int, ...] = tuple(sorted(self._producer.partitions_for(topic)))
        except (UnknownTopicOrPartitionError, KafkaTimeoutError) as error:
            self.close()
            remedy = "create it (`funnelwatch topics` prints how), or name another by --topic"
            raise SinkError(f"topic {topic!r} does not exist at {self._servers}; {remedy}") from error
        except KafkaError as error:
            self.close()
            raise self._refused(error) from error
        self._partition_of = lru_cache(maxsize=65_536)(self._hashed)

    def send(self, value: bytes | None, key: bytes | None) -> None:
        """Sends one record (None: a tombstone); waits while too many are unacknowledged. Keys choose partitions as in Java's client."""
        self._send(value, key, None if key is None else self._partition_of(key))

    def heartbeat(self, ts: int) -> None:
        """Tells every partition that nothing older than `ts` (event time, ms) will come, after all that was sent."""
        value = msgspec.json.encode({"event": HEARTBEAT, "timestamp": ts})
        for partition in self.partitions:
            self._send(value, None, partition)
        self.flush()

    def flush(self) -> None:
        """Waits until all that was sent is acknowledged."""
        try:
            self._producer.flush()
        except KafkaError as error:
            raise self._refused(error) from error
        self._settle(0)

    def close(self) -> None:
        """Gives up what is not yet acknowledged: `flush` first."""
        self._producer.close(timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self, kafka: Kafka) -> KafkaProducer:
        _reach(kafka.servers)
        try:
            return KafkaProducer(
                **client_options(kafka),
                acks="all",
                enable_idempotence=True,
                compression_type=compression(),
                linger_ms=20,
                batch_size=_BATCH_BYTES,
                max_block_ms=_TOPIC_MS,
                allow_auto_create_topics=False,
            )
        except (KafkaError, OSError) as error:
            raise SinkError(f"can't reach Kafka at {self._servers}: {_words(error)}; check [kafka] servers") from error

    def _hashed(self, key: bytes) -> int:
        return self.partitions[(int(murmur2(key)) & 0x7FFFFFFF) % len(self.partitions)]

    def _send(self, value: bytes | None, key: bytes | None, partition: int | None) -> None:
        try:
            self._pending.append(self._producer.send(self.topic, value, key=key, partition=partition))
        except MessageSizeTooLargeError as error:
            raise SinkError(
                f"a record of {len(value) if value else 0:,} bytes is too large for topic {self.topic!r}"
            ) from error
        except KafkaError as error:
            raise self._refused(error) from error
        if len(self._pending) >= MOST_PENDING:
            self._settle(MOST_PENDING // 2)

    def _settle(self, most: int) -> None:
        """Waits until no more than `most` records are unacknowledged."""
        while len(self._pending) > most:
            try:
                self._pending.popleft().get()
            except KafkaError as error:
                raise self._refused(error) from error

    def _refused(self, error: KafkaError) -> SinkError:
        return SinkError(f"Kafka at {self._servers} does not take records for topic {self.topic!r}: {_words(error)}")


def _reach(servers: Sequence[str]) -> None:
    """Returns when one of `servers` (host:port) takes a connection. The client itself would try for long, and say less."""
    problems: list[str] = []
    for server in servers:
        host, _, port = server.rpartition(":")
        try:
            create_connection((host.strip("[]"), int(port)), timeout=_CONNECT_S).close()
        except OSError as error:
            problems.append(f"{server} ({error.strerror or error})")
        else:
            return
    raise SinkError(f"can't reach Kafka at {', '.join(problems)}; check [kafka] servers")


def _words(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())
