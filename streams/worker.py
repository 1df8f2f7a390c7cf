"""The worker: the one place that constructs clients and puts the parts together.

Also started as `faust -A streams.worker worker`; its settings then come from FUNNELWATCH_CONFIG and the environment.
"""

from __future__ import annotations

import asyncio
import gc
import os
import socket
import time
from collections.abc import Callable, Coroutine, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec

from schemas import topics as names
from schemas.decode import Format
from schemas.expectation.baselines import Baselines
from schemas.funnel import Funnel
from schemas.privacy.sealing import letter_protection
from schemas.settings import Labels, Settings
from schemas.topics import Feed
from sinks.kafka import BatchWriter
from sinks.prometheus.collector import registry
from sinks.prometheus.counters import FunnelCounters
from sinks.prometheus.health import WorkerHealth
from sinks.prometheus.labels import LabelPolicy
from sinks.prometheus.web import MetricsServer
from streams.annotations import Annotations
from streams.baselines import BaselineTopic
from streams.decoding import event_protection, readable, source_decoder
from streams.engine.match import CompiledFunnel
from streams.engine.usual import crc32c, pack_records
from streams.live.assemble import add_publisher, live_page
from streams.memory import keep_lean, one_heap, spare_the_collector
from streams.registry import SchemaRegistry
from streams.stream.app import StreamApp, create_app
from streams.stream.chunks import ChunkSchema
from streams.stream.faust_fixes import recovered, sure_of_its_place
from streams.stream.follow import Follower
from streams.stream.lag import LagWatch
from streams.stream.source import InternalLog, Letters, Source
from streams.stream.table import StateTable
from streams.stream.unit_log import Outputs, UnitLog
from streams.topics import WORKER, Layout, prepare

#: Seconds between two looks at which sources are silent.
IDLE_LOOK = 1.0


class Worker(msgspec.Struct, frozen=True):
    """A worker that is put together but not started."""

    app: StreamApp
    follower: Follower
    server: MetricsServer
    counters: FunnelCounters
    health: WorkerHealth


def build(settings: Settings, funnels: Sequence[Funnel], layout: Layout) -> Worker:
    """The worker for these settings. Raises ConfigError; connects to nothing yet."""
    instance = settings.kafka.instance_id or own_name(settings.web.listen)
    app = create_app(WORKER, settings.kafka, instance)
    writer = BatchWriter(settings.kafka, pack_records, crc32c)
    unit_logs = [unit_log(app, feed, settings, funnels, layout, writer) for feed in layout.feeds]
    internal = [
        InternalLog(feed.topic, feed.unit, layout.partitions[feed.topic]) for feed in layout.feeds if not feed.direct
    ]
    schemas = schema_registry(settings, app)
    protect = letter_protection(settings.privacy.dead_letter_key.reveal())
    letters = Letters(layout.dead_letters, layout.partitions[layout.dead_letters], protect)
    sources = [
        Source(
            source.topic, source_decoder(settings, source, None if schemas is None else schemas.store), source.keyed_by,
            internal, writer, letters, event_protection(settings), schemas,
        )
        for source in settings.sources
    ]  # fmt: skip
    expectation, site = settings.expectation, settings.site
    baselines = Baselines(funnels, expectation.step, site.timezone, settings.calendar)
    counters = FunnelCounters(funnels, label_policy(settings.labels), site.name, baselines=baselines)
    topics = [source.topic for source in settings.sources]
    health = WorkerHealth(settings.site.name, [funnel.name for funnel in funnels], topics, (), version("funnelwatch"))
    follower = Follower(app, sources, unit_logs, writer, counters, health)
    for log in unit_logs:
        log.on_build = follower.begin
    health.attempts_open = follower.open_attempts
    health.state_units = follower.units
    if schemas is not None:
        schemas.on_fault, health.registry_waiting = health.count_registry_error, schemas.waiting
    annotations = Annotations(settings.kafka, layout.annotations)
    health.annotations = annotations.newest
    server = MetricsServer(
        registry(counters, health), ready=lambda: readiness(app), token=settings.web.token.reveal(),
        pages=live_page(app, settings, funnels),
    )  # fmt: skip
    add_agents(app, follower, layout)
    add_clocks(app, follower, settings)
    app.task(lambda: annotations.topic.follow(lambda: app.should_stop))
    add_life(app, writer, server, counters, follower, settings)
    add_expectation(app, BaselineTopic(settings.kafka, layout.baselines, baselines))
    add_publisher(app, settings, instance, funnels, counters, health, writer)
    return Worker(app, follower, server, counters, health)


def unit_log(
    app: StreamApp, feed: Feed, settings: Settings, funnels: Sequence[Funnel], layout: Layout, writer: BatchWriter
) -> UnitLog:
    """The log of one kind of unit, with its table."""
    state = names.state_log(settings.kafka.topic_prefix, feed.unit)
    partitions = layout.partitions[feed.topic]
    changelog = app.topic(state, partitions=partitions, schema=ChunkSchema(), internal=True)
    # Faust gathers so many of a changelog's messages, each a chunk of thousands of records here, before any is applied. (At 1 it
    # lets the flow of the changelogs go on behind the end of the recovery.)
    table = StateTable(
        app, name=feed.unit.value, partitions=partitions, changelog_topic=changelog, recovery_buffer_size=2
    )
    app.tables.add(table)
    compiled = [CompiledFunnel(funnel, settings.site.rates.convert) for funnel in funnels if funnel.unit is feed.unit]
    outputs = Outputs(layout.transitions, layout.drop_offs, state, layout.partitions[layout.transitions])
    feeding = [
        f"{source.topic}:{number}" for source in settings.sources for number in range(layout.partitions[source.topic])
    ]
    own = readable(settings, settings.sources[0]) if feed.direct else None
    return UnitLog(feed.topic, feed.unit, compiled, table, writer, outputs, () if feed.direct else feeding, own)


def schema_registry(settings: Settings, app: StreamApp) -> SchemaRegistry | None:
    """The schema registry's client, if any source needs one; closed with the app."""
    if not any(source.format is Format.CONFLUENT for source in settings.sources):
        return None
    client = SchemaRegistry(settings.registry)
    app.conf.broker_max_poll_interval = 86_400.0  # records may wait that long for it
    app.after_stop = (*app.after_stop, client.close)
    return client


def own_name(listen: str) -> str:
    """A name for static membership that is the same after a restart: several workers of one host differ by their ports."""
    return f"{socket.gethostname()}-{listen.rpartition(':')[2]}"


def label_policy(labels: Labels) -> LabelPolicy:
    """Which dimension values become label values."""
    values = {listed.dimension: listed.values for listed in labels.values}
    return LabelPolicy(values, labels.max_values, labels.crosses, labels.max_cells)


def add_agents(app: StreamApp, follower: Follower, layout: Layout) -> None:
    """One sequential agent a topic; each of its events is a chunk, acknowledged by hand."""

    def agent(topic: str, follow: Callable[[Any, Any], Coroutine[Any, Any, bool]]) -> None:
        async def chunks(stream: Any) -> None:
            stream = stream.noack()
            async for event in stream.events():
                await follow(stream, event)

        channel = app.topic(topic, partitions=layout.partitions[topic], schema=ChunkSchema())
        app.agent(channel, name=f"follow.{topic}", concurrency=1)(chunks)

    for topic in follower.sources:
        agent(topic, follower.on_source)
    for feed in layout.feeds:
        if not feed.direct:
            agent(feed.topic, follower.on_log)


def add_clocks(app: StreamApp, follower: Follower, settings: Settings) -> None:
    """What happens by the wall clock: silence is noticed, time passes in internal logs whose sources are all silent, idle memory is
    given back."""
    idle_after = {source.topic: source.idle_after / 1000 for source in settings.sources}

    async def watch_silence() -> None:
        while not app.should_stop:
            await asyncio.sleep(IDLE_LOOK)
            if app.rebalancing or not sure_of_its_place(app):
                follower.pause()
            else:
                await follower.declare_idle(idle_after)
                await follower.tick()

    app.task(watch_silence)
    app.task(lambda: keep_lean(lambda: app.should_stop))


def add_life(
    app: StreamApp, writer: BatchWriter, server: MetricsServer, counters: FunnelCounters, follower: Follower,
    settings: Settings,
) -> None:  # fmt: skip
    """What starts before the agents and stops after them; how long a rebalance took."""
    host, _, port = settings.web.listen.rpartition(":")
    began, health, lag = time.monotonic(), follower.health, LagWatch(settings.kafka, follower)

    async def listen() -> None:
        await server.start(host.strip("[]"), int(port))

    app.before_start = (writer.start, listen)
    app.after_stop = (*app.after_stop, server.stop, lag.stop, writer.stop)
    app.task(lag.watch)

    @app.on_rebalance_complete.connect(weak=False)
    async def rebalanced(*_: Any, **__: Any) -> None:
        nonlocal began
        health.count_rebalance()
        health.set_recovery(int((time.monotonic() - began) * 1000))
        gc.collect()  # a rebalance leaves cycles around all that was under way, and the collector comes by rarely

    @app.on_partitions_revoked.connect(weak=False)
    async def revoked(_: Any, partitions: Any, **__: Any) -> None:
        nonlocal began
        began = time.monotonic()
        for tp in partitions:
            follower.applied.pop(tp, None)
            health.forget_partition(tp.topic, tp.partition)
            counters.forget((tp.topic, tp.partition))


def add_expectation(app: StreamApp, learned: BaselineTopic) -> None:
    """What is expected is known before the first chunk, and followed from then on."""
    following: list[asyncio.Task[None]] = []

    async def begin() -> None:
        following.append(asyncio.create_task(learned.topic.follow(lambda: app.should_stop)))
        await learned.until_known()

    async def end() -> None:
        for task in following:
            task.cancel()
        await asyncio.gather(*following, return_exceptions=True)

    app.before_start, app.after_stop = (*app.before_start, begin), (end, *app.after_stop)


def readiness(app: StreamApp) -> str:
    """Why the worker is not ready; empty when it is recovered and has its partitions."""
    if app.rebalancing:
        return "rebalancing"
    if not recovered(app):
        return "recovering state"
    return "" if app.consumer.assignment() else "no partitions assigned"


def build_from_environment() -> Worker:
    """The worker that the environment asks for: settings, definitions, topics."""
    from schemas.definitions import load_funnels
    from streams.commands.configuration import read_settings

    one_heap()
    config = os.environ.get("FUNNELWATCH_CONFIG")
    settings = read_settings(None if config is None else Path(config))
    funnels = load_funnels(settings.funnels)
    spare_the_collector()
    return build(settings, funnels, prepare(settings, funnels))


def __getattr__(name: str) -> Any:
    """`streams.worker:app` for Faust's own command, built when it is asked for and not at import."""
    if name == "app":
        return build_from_environment().app
    raise AttributeError(name)
