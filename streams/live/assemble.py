"""Puts the live page together, for the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from schemas.funnel import Funnel
from schemas.settings import Settings
from sinks.kafka import BatchWriter
from sinks.prometheus.counters import FunnelCounters
from sinks.prometheus.health import WorkerHealth
from sinks.prometheus.web import Guard
from streams.live.alerts import AlertReader
from streams.live.draw import Artist
from streams.live.follow import TopicReader, wall_clock
from streams.live.hub import Hub
from streams.live.page import LivePage
from streams.live.publish import EVERY, Publisher
from streams.stream.app import StreamApp

#: Seconds that a worker takes at its end to tell what it counted last.
GOODBYE = 5.0


def live_page(app: StreamApp, settings: Settings, funnels: Sequence[Funnel]) -> LivePage:
    """The page, which ends its streams when the app stops."""
    artist = Artist(settings.site.name, settings.site.timezone, funnels, settings.labels.crosses)
    alerts = AlertReader(settings.web.alertmanager, settings.site.name)
    hub = Hub(artist, TopicReader(settings.kafka), alerts)
    app.after_stop = (hub.close, *app.after_stop)
    return LivePage(hub, Guard(settings.web.token.reveal()))


def add_publisher(
    app: StreamApp, settings: Settings, worker: str, funnels: Sequence[Funnel], counters: FunnelCounters,
    health: WorkerHealth, writer: BatchWriter,
) -> None:  # fmt: skip
    """Tells all workers what this one, called `worker`, counts: while it runs, and once more at its end."""
    publisher = Publisher(worker, wall_clock(), funnels, counters, health, writer, settings.kafka.topic_prefix)

    async def keep_publishing() -> None:
        while not app.should_stop:
            await publisher.publish(wall_clock())
            await asyncio.sleep(EVERY)

    async def say_goodbye() -> None:
        if writer.started:
            with suppress(TimeoutError):
                await asyncio.wait_for(publisher.publish(wall_clock(), ended=True), GOODBYE)

    app.task(keep_publishing)
    app.after_stop = (say_goodbye, *app.after_stop)
