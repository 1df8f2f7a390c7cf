"""The sink: transitions, dead letters and events from Kafka into ClickHouse, in a process of its own.

An outage of ClickHouse stops nothing but this: its agents wait, Kafka keeps the backlog, metrics and state go on.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import msgspec

from schemas import annotation, transitions
from schemas.decode import Decode
from schemas.errors import InvalidEvent, SinkError
from schemas.event import CONTROLS
from schemas.funnel import Funnel
from schemas.progress import Progress
from schemas.settings import Settings
from sinks.clickhouse.buffer import Buffer
from sinks.clickhouse.client import connect
from sinks.clickhouse.migrate import bring_up_to_date
from sinks.clickhouse.writer import Writer
from sinks.prometheus.collector import registry
from sinks.prometheus.health import WorkerHealth
from sinks.prometheus.web import MetricsServer
from streams.baselines import Learning
from streams.decoding import event_protection, protected, source_decoder
from streams.memory import keep_lean
from streams.registry import SchemaRegistry
from streams.stream.app import StreamApp, create_app
from streams.stream.chunks import Chunk, ChunkSchema
from streams.stream.letters import decode_letter
from streams.topics import SINK, Layout
from streams.worker import own_name, schema_registry

log = logging.getLogger("funnelwatch.sink")

TABLES = ("transitions", "dead_letters", "events", "progress", "annotations")
#: Seconds between two tries when ClickHouse refuses: doubled from the first to the last.
FIRST_PAUSE, LAST_PAUSE = 0.5, 5.0
#: Every how many records one's latency is measured.
SAMPLE = 100

Fill = Callable[[Buffer, Chunk], None]


class Sink:
    """Fills a buffer from chunks, flushes it, and acknowledges the chunks that it held."""

    def __init__(self, app: StreamApp, settings: Settings, funnels: Sequence[Funnel], health: WorkerHealth) -> None:
        self.app, self.settings, self.funnels, self.health = app, settings, tuple(funnels), health
        self.buffer, self.held = Buffer(), list[tuple[Any, Any]]()
        self.waiting: dict[str, list[int]] = {}
        self.writer: Writer | None = None
        self.problem = "connecting to ClickHouse"
        self.schemas: SchemaRegistry | None = None
        self._lock = asyncio.Lock()

    async def take(self, stream: Any, event: Any, table: str, fill: Fill) -> None:
        """Adds a chunk of what goes into a table; flushes when there is enough."""
        if table == "events" and self.schemas is not None:
            chunk: Chunk = event.value
            await self.schemas.learn((record.value for record in chunk.records), chunk.topic)
        async with self._lock:
            if self.buffer.since is None:
                self.buffer.since = time.monotonic()
            fill(self.buffer, event.value)
            self.held.append((stream, event))
            times = self.waiting.setdefault(table, [])
            times.extend(record.timestamp for record in event.value.records[::SAMPLE])
        if len(self.buffer) >= self.settings.clickhouse.flush_rows:
            await self.flush()

    async def flush_when_due(self) -> None:
        """Flushes what has waited long enough."""
        since = self.buffer.since
        if since is not None and time.monotonic() - since >= self.settings.clickhouse.flush_after / 1000:
            await self.flush()

    async def flush(self) -> None:
        """Writes the buffer, trying again until ClickHouse takes it, then acknowledges its chunks."""
        async with self._lock:
            if not self.held:
                return
            written = await self._insist(self.buffer.write)
            now = int(time.time() * 1000)
            for table, rows in written.items():
                self.health.count_sink_rows(table, rows, [max(0, now - time) for time in self.waiting.get(table, ())])
            held, self.held, self.buffer, self.waiting = self.held, [], Buffer(), {}
            for stream, event in held:
                await stream.ack(event)

    async def _insist(self, write: Callable[[Writer], dict[str, int]]) -> dict[str, int]:
        pause = FIRST_PAUSE
        while True:
            try:
                if self.writer is None:
                    self.writer = await asyncio.to_thread(self._connect)
                written = await asyncio.to_thread(write, self.writer)
            except SinkError as error:
                self.problem, self.writer = str(error), None
                self.health.count_sink_error("transitions")
                log.warning("%s; trying again in %.1f s, Kafka keeps the rows", error, pause)
                await asyncio.sleep(pause)
                pause = min(pause * 2, LAST_PAUSE)
                self.health.count_sink_retry("transitions")
            else:
                if self.problem:
                    log.info("ClickHouse takes rows")
                self.problem = ""
                return written

    def _connect(self) -> Writer:
        if self.settings.create:
            bring_up_to_date(self.settings.clickhouse)
        writer = Writer(connect(self.settings.clickhouse))
        writer.register(self.funnels)
        return writer

    async def begin(self) -> None:
        """Makes the tables as soon as ClickHouse answers, and keeps the buffer moving."""
        async with self._lock:
            await self._insist(nothing)
        while not self.app.should_stop:
            await asyncio.sleep(self.settings.clickhouse.flush_after / 4000)
            await self.flush_when_due()

    def queue_age(self) -> int:
        """How long the oldest record has waited, in ms."""
        since = self.buffer.since
        return 0 if since is None else int((time.monotonic() - since) * 1000)


def nothing(_writer: Writer) -> dict[str, int]:
    """Only connects."""
    return {}


def take_transitions(buffer: Buffer, chunk: Chunk) -> None:
    """Rows, and progress among them."""
    for record in chunk.records:
        try:
            carried = transitions.unpack(record.key, record.value or b"")
        except (msgspec.DecodeError, TypeError) as error:
            log.warning(
                "%s:%s@%s holds no rows and is passed over: %s", chunk.topic, chunk.partition, record.offset, error
            )
            continue
        if isinstance(carried, Progress):
            buffer.progress.append(carried)
        else:
            buffer.rows.extend(carried)


def take_dead_letters(buffer: Buffer, chunk: Chunk) -> None:
    """Dead letters."""
    for record in chunk.records:
        if record.value is None:  # a letter that was replayed or forgotten
            continue
        try:
            buffer.dead_letters.append(decode_letter(record.value))
        except (msgspec.DecodeError, TypeError) as error:
            log.warning("%s:%s@%s is no dead letter: %s", chunk.topic, chunk.partition, record.offset, error)


def take_annotations(buffer: Buffer, chunk: Chunk) -> None:
    """What people announced, and took back."""
    for record in chunk.records:
        gone = record.value is None
        try:
            found = (
                annotation.Annotation((record.key or b"").decode(), 0)
                if gone
                else annotation.unpack(record.value or b"")
            )
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            log.warning("%s@%s is no annotation: %s", chunk.topic, record.offset, error)
            continue
        buffer.annotations.append(
            annotation.StoredAnnotation(found.name, found.at, found.kind.value, found.until, record.offset, int(gone))
        )


def event_taker(decode: Decode) -> Fill:
    """Events of a source, as the worker decodes and protects them; refused ones are the worker's to report."""

    def take(buffer: Buffer, chunk: Chunk) -> None:
        for record in chunk.records:
            try:
                event = decode(record.value or b"", record.timestamp)
            except InvalidEvent:
                continue
            if event.event not in CONTROLS:
                buffer.events.append(event)

    return take


def build(settings: Settings, funnels: Sequence[Funnel], layout: Layout) -> StreamApp:
    """The sink's app. Raises ConfigError; connects to nothing yet."""
    app = create_app(SINK, settings.kafka, f"{settings.kafka.instance_id or own_name(settings.web.sink_listen)}-sink")
    # It may wait long for ClickHouse; a rebalance need not wait for it: rows that are written twice count once.
    app.conf.stream_wait_empty = False
    app.conf.broker_max_poll_interval = 86_400.0
    health = WorkerHealth(settings.site.name, (), (), TABLES, version("funnelwatch"))
    sink = Sink(app, settings, funnels, health)
    health.sink_queue_age = sink.queue_age
    server = MetricsServer(registry(health), ready=lambda: sink.problem, token=settings.web.token.reveal())
    fills: dict[str, tuple[str, Fill]] = {
        layout.transitions: ("transitions", take_transitions),
        layout.dead_letters: ("dead_letters", take_dead_letters),
        layout.annotations: ("annotations", take_annotations),
    }
    if settings.clickhouse.events:
        schemas = sink.schemas = schema_registry(settings, app)
        if schemas is not None:
            schemas.on_fault, health.registry_waiting = health.count_registry_error, schemas.waiting
        store = None if schemas is None else schemas.store
        fills |= {
            source.topic: (
                "events",
                event_taker(protected(source_decoder(settings, source, store), event_protection(settings))),
            )
            for source in settings.sources
        }
    for topic, (table, fill) in fills.items():
        add_agent(app, sink, topic, layout.partitions[topic], table, fill)
    app.task(sink.begin)
    app.task(lambda: keep_lean(lambda: app.should_stop))
    learning = Learning(settings, funnels, layout.baselines, lambda: sink.writer is not None)
    app.task(lambda: learning.go_on(lambda: app.should_stop))
    host, _, port = settings.web.sink_listen.rpartition(":")

    async def listen() -> None:
        await server.start(host.strip("[]"), int(port), "sink_listen")

    app.before_start, app.after_stop = (listen,), (*app.after_stop, server.stop)
    return app


def add_agent(app: StreamApp, sink: Sink, topic: str, partitions: int, table: str, fill: Fill) -> None:
    """One sequential agent for a topic."""

    async def chunks(stream: Any) -> None:
        stream = stream.noack()
        async for event in stream.events():
            await sink.take(stream, event, table, fill)

    app.agent(app.topic(topic, partitions=partitions, schema=ChunkSchema()), name=f"sink.{topic}", concurrency=1)(
        chunks
    )
