"""Writing to Kafka: record batches, each awaited until the brokers have it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import InvalidTimestampError, KafkaError, MessageSizeTooLargeError
from aiokafka.helpers import create_ssl_context
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.structs import RecordMetadata

from schemas.errors import SinkError
from schemas.settings import Compression, Kafka, SaslMechanism, SecurityProtocol
from sinks.packed_batch import SIZE, PackedBatch, Sum, by_tables
from sinks.requests import encode_at_once
from sinks.tokens import AsyncTokens

#: Key and value of one record; a value of None is a tombstone.
KeyValue = tuple[bytes | None, bytes | None]
#: The same, where the key may be text.
Keyed = tuple[str | bytes | None, bytes | None]
#: Packs records, and one before them, into a batch of so many bytes, the first so many of which are left free: the batch, how many, and
#: the one that did not fit.
Pack = Callable[[Iterator[Keyed], Keyed | None, int, int], tuple[bytearray, int, Keyed | None]]

#: Age (ms) beyond which a record's timestamp is not passed on: Kafka would take what follows from history for older than the
#: topic's retention, and delete it before it is read.
OLDEST = 86_400_000
#: Seconds for a producer that could not connect to stop.
GIVE_UP = 1.0
NO_HEADERS: list[tuple[str, bytes]] = []


def client_options(kafka: Kafka) -> dict[str, Any]:
    """What every aiokafka client needs to reach the brokers."""
    protocol = kafka.security_protocol
    options: dict[str, Any] = {
        "bootstrap_servers": list(kafka.servers),
        "security_protocol": protocol.value,
        "request_timeout_ms": kafka.request_timeout,
    }
    if protocol in (SecurityProtocol.SSL, SecurityProtocol.SASL_SSL):
        context = create_ssl_context(
            cafile=str(kafka.ca) if kafka.ca else None,
            certfile=str(kafka.cert) if kafka.cert else None,
            keyfile=str(kafka.key) if kafka.key else None,
            password=kafka.key_password.reveal() or None,
        )
        context.check_hostname = kafka.check_hostname
        options["ssl_context"] = context
    if protocol in (SecurityProtocol.SASL_PLAINTEXT, SecurityProtocol.SASL_SSL):
        options["sasl_mechanism"] = kafka.sasl_mechanism.value
        if kafka.sasl_mechanism is SaslMechanism.OAUTHBEARER:
            options["sasl_oauth_token_provider"] = AsyncTokens(kafka)
        else:
            options["sasl_plain_username"] = kafka.user
            options["sasl_plain_password"] = kafka.password.reveal()
    return options


def check_login(kafka: Kafka) -> str:
    """What to check where a broker can't be reached."""
    if kafka.security_protocol is SecurityProtocol.PLAINTEXT:
        return "check kafka.servers and that the broker is up"
    return "check kafka.servers, and in [kafka] security_protocol, the log-in and the certificates"


class BatchWriter:
    """Writes records as batches of a partition: about a microsecond a record, where single sends cost forty.

    Idempotent and acknowledged by all replicas; batches of one partition keep their order. `pack`: what packs them; None: aiokafka's
    own builder, which takes several times as long.
    """

    def __init__(self, kafka: Kafka, pack: Pack | None = None, crc32c: Sum | None = None) -> None:
        self._kafka, self._pack, self._crc32c = kafka, pack, crc32c or by_tables
        self._producer: AIOKafkaProducer | None = None
        encode_at_once()

    async def start(self) -> None:
        """Connects. Raises SinkError with the remedy if no broker answers."""
        kafka = self._kafka
        compression = None if kafka.compression is Compression.NONE else kafka.compression.value
        options = client_options(kafka)
        tokens: AsyncTokens | None = options.get("sasl_oauth_token_provider")
        producer = AIOKafkaProducer(
            acks="all", enable_idempotence=True, max_batch_size=kafka.batch_bytes, max_request_size=16 * 1024 * 1024,
            compression_type=compression, linger_ms=0, **options,
        )  # fmt: skip
        try:
            if tokens is not None:
                await tokens.token()
            await asyncio.wait_for(
                producer.start(), kafka.request_timeout / 1000
            )  # with a refused token it tries for ever
        except (KafkaError, OSError, SinkError) as error:
            with suppress(TimeoutError):  # the same of its end
                await asyncio.wait_for(producer.stop(), GIVE_UP)
            if isinstance(error, SinkError):
                raise
            reason = str(error) or type(error).__name__
            raise SinkError(
                f"Kafka: can't reach {', '.join(kafka.servers)} ({reason}); {check_login(kafka)}"
            ) from error
        self._producer = producer

    async def stop(self) -> None:
        """Sends what is under way and disconnects."""
        if self._producer is not None:
            await self._producer.stop()
            self._producer = None

    @property
    def started(self) -> bool:
        return self._producer is not None

    def _started(self) -> AIOKafkaProducer:
        if self._producer is None:
            raise SinkError("Kafka: the writer was not started")
        return self._producer

    async def write(
        self, topic: str, partition: int, records: Iterable[Keyed], timestamp: int | None = None
    ) -> int | None:
        """Appends the records in order; returns the offset of the last once all are durable, None if there were none.

        `timestamp`: ms, of all records (default now; no older than OLDEST). Raises SinkError if the brokers don't take them.
        """
        producer, pending, batch = self._started(), [], None
        now = int(time.time() * 1000)
        stamp = now if timestamp is None else min(now, max(timestamp, now - OLDEST))
        try:
            waiting = iter(records)
            over = next(waiting, None)
            while over is not None:
                if batch is not None:
                    pending.append(await producer.send_batch(batch, topic, partition=partition))
                batch, over = self._batch(over, waiting, stamp)
            if batch is None:
                return None
            count: int = batch.record_count()
            pending.append(await producer.send_batch(batch, topic, partition=partition))
            written: list[RecordMetadata] = await asyncio.gather(*pending)
        except MessageSizeTooLargeError as error:
            raise SinkError(
                f"Kafka: a batch for {topic}, partition {partition}, is larger than the topic takes; raise its max.message.bytes, or "
                "lower kafka.batch_bytes if no single record is as large"
            ) from error
        except InvalidTimestampError as error:
            told = datetime.fromtimestamp(stamp / 1000, UTC).isoformat(" ", "seconds")
            raise SinkError(
                f"Kafka: {topic} does not take records of {told}; if this machine's clock is ahead, set it (the brokers allow for "
                "message.timestamp.after.max.ms, an hour)"
            ) from error
        except KafkaError as error:
            raise SinkError(f"Kafka: can't write to {topic}, partition {partition}: {error!r}") from error
        last: int = written[-1].offset + count - 1
        return last

    def _batch(self, first: Keyed, others: Iterator[Keyed], timestamp: int) -> tuple[Any, Keyed | None]:
        """A batch of as many of them as fit, the first in any case, and the one that did not."""
        kafka = self._kafka
        if self._pack is None:
            batch = self._started().create_batch()
            return batch, fill(batch, chain((first,), others), timestamp)
        packed, count, over = self._pack(others, first, kafka.batch_bytes, SIZE)
        return PackedBatch(packed, count, timestamp, kafka.compression, self._crc32c), over


def fill(batch: BatchBuilder, records: Iterable[Keyed], timestamp: int) -> Keyed | None:
    """Appends records until the batch is full; returns the one that did not fit, None once all are in.

    As BatchBuilder.append does it, which takes as long again for its own calls (0.26 against 0.45 µs a record).
    """
    append, count = batch._builder.append, batch._relative_offset  # noqa: SLF001
    over = None
    for key, value in records:
        name = key.encode() if isinstance(key, str) else key
        if append(count, timestamp, name, value, NO_HEADERS) is None:
            over = key, value
            batch.close()
            break
        count += 1
    batch._relative_offset = count  # noqa: SLF001
    return over
