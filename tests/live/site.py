"""The page as a worker serves it, in the test's own process: its history is given instead of read from Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec
from prometheus_client import CollectorRegistry

from schemas.funnel import Funnel
from schemas.live import Published
from schemas.settings import Kafka
from sinks.prometheus.web import Guard, MetricsServer
from streams.live.alerts import AlertReader
from streams.live.draw import Artist
from streams.live.follow import TopicReader, wall_clock
from streams.live.hub import Hub
from streams.live.page import LivePage
from streams.live.picture import Alerts
from tests.live.story import CROSSES


class GivenReader(TopicReader):
    """Knows what it was given."""

    def __init__(self) -> None:
        super().__init__(Kafka())
        self.readings = 0

    async def keep_reading(self) -> None:
        self.readings += 1
        self.caught_up.set()
        await asyncio.Event().wait()


class Site:
    """A server of the page. `alerts`: what Alertmanager is taken to say."""

    def __init__(
        self, funnels: Sequence[Funnel], *, name: str = "shop.example", zone: str = "UTC", token: str = ""
    ) -> None:
        self.reader, self.asker = GivenReader(), AlertReader("", name)
        self.hub = Hub(Artist(name, zone, funnels, CROSSES), self.reader, self.asker)
        self._token = token
        self._server: MetricsServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def take(self, *records: Published) -> None:
        for record in records:
            self.reader.history.take(record)
            self.reader.history.age(wall_clock())

    def beat(self) -> None:
        """The workers are heard again, with nothing new."""
        for record in self.reader.history.workers():
            self.take(msgspec.structs.replace(record, at=wall_clock()))

    def alert(self, alerts: Alerts) -> None:
        self.asker.now = alerts

    async def start(self) -> None:
        """Listens; on the port of before, if it had one."""
        page = LivePage(self.hub, Guard(self._token))
        self._server = MetricsServer(CollectorRegistry(), token=self._token, pages=page)
        self.port = await self._server.start("127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            await self.hub.close()
            await self._server.stop()
            self._server = None
