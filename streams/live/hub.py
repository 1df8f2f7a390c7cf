"""One drawing for all who look at the same: at most once a second, and not at all while nobody looks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress

import msgspec

from streams.live.alerts import AlertReader
from streams.live.draw import Artist
from streams.live.follow import TopicReader, wall_clock
from streams.live.picture import Choice, Picture

#: Streams at a time.
MOST_STREAMS = 64
#: Seconds between two drawings: at least the first, and so many times as long as the last one took.
SHORTEST, SHARE = 1.0, 20.0
#: Seconds after which a stream in which nothing changed says that it is alive.
PULSE = 5.0
#: Seconds for which the topic is read on when the last one has gone: pages are often loaded anew.
LINGER = 30.0
#: Ends a stream.
END = b""


class Stream:
    """One who looks. `news`: a picture that was not sent yet; one that was not fetched in time is passed over."""

    def __init__(self, choice: Choice, note: str) -> None:
        self.choice, self.note = choice, note
        self.news: asyncio.Queue[bytes] = asyncio.Queue(1)

    def offer(self, drawn: bytes) -> None:
        if self.news.full():
            self.news.get_nowait()
        self.news.put_nowait(drawn)


class Hub:
    """Starts its work with the first stream and ends it after the last."""

    def __init__(self, artist: Artist, reader: TopicReader, alerts: AlertReader) -> None:
        self.artist, self._reader, self._alerts = artist, reader, alerts
        self._streams: set[Stream] = set()
        self._drawn: dict[tuple[Choice, str], bytes] = {}
        self._work: asyncio.Task[None] | None = None
        self.drawings = 0

    @property
    def full(self) -> bool:
        return len(self._streams) >= MOST_STREAMS

    async def watch(self, choice: Choice, note: str) -> AsyncGenerator[tuple[int, bytes | None]]:
        """The time (ms UTC) and the picture as JSON, whenever it changes; None every few seconds while it does not."""
        stream = Stream(choice, note)
        drawn = self._drawn.get((choice, note))
        if drawn is not None:
            stream.offer(drawn)
        self._streams.add(stream)
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._run())
        try:
            while True:
                news = None
                with suppress(TimeoutError):
                    news = await asyncio.wait_for(stream.news.get(), PULSE)
                if news == END:
                    return
                yield wall_clock(), news
        finally:
            self._streams.discard(stream)

    async def close(self) -> None:
        """Ends the work and all streams."""
        for stream in self._streams:
            stream.offer(END)
        if self._work is not None:
            self._work.cancel()
            with suppress(asyncio.CancelledError):
                await self._work

    async def _run(self) -> None:
        beside = [asyncio.create_task(work) for work in (self._reader.keep_reading(), self._alerts.keep_asking())]
        try:
            await self._reader.caught_up.wait()
            left = time.monotonic()
            while self._streams or time.monotonic() - left < LINGER:
                left = time.monotonic() if self._streams else left
                began = time.perf_counter()
                self._draw_all()
                await asyncio.sleep(max(SHORTEST, SHARE * (time.perf_counter() - began)))
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)
            self._drawn.clear()

    def _draw_all(self) -> None:
        wanted = {(stream.choice, stream.note) for stream in self._streams}
        self._drawn = {key: drawn for key, drawn in self._drawn.items() if key in wanted}
        for choice, note in wanted:
            picture = msgspec.json.encode(self._picture(choice, note))
            if self._drawn.get((choice, note)) != picture:
                self._drawn[choice, note] = picture
                for stream in self._streams:
                    if (stream.choice, stream.note) == (choice, note):
                        stream.offer(picture)

    def _picture(self, choice: Choice, note: str) -> Picture:
        self.drawings += 1
        reader = self._reader
        return self.artist.draw(choice, note, reader.history, self._alerts.now, reader.problem, wall_clock())
