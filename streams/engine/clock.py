"""The event-time clock of one log partition: its watermark is the minimum over the source partitions that feed it."""

from __future__ import annotations

import msgspec

#: Before all time: nothing seen yet.
NEVER = -(1 << 62)


class Source(msgspec.Struct, array_like=True, gc=False):
    """One source partition as a log partition knows it. `offset`: the last one taken from it; `idle`: fell silent."""

    offset: int = -1
    watermark: int = NEVER
    floor: int = NEVER
    idle: bool = False


class Clock(msgspec.Struct, array_like=True, gc=False):
    """`watermark`: highest event time seen by all sources (ms). `floor`: time that heartbeats or ticks declared complete.

    Neither ever falls. A source that is known but not yet heard holds both back; one that fell silent is left
    out while others advance.
    """

    watermark: int = NEVER
    floor: int = NEVER
    sources: dict[str, Source] = {}

    def horizon(self, lateness: int) -> int:
        """Events before this time (ms) are late; deadlines before it have passed."""
        return max(self.watermark - lateness, self.floor)

    def expect(self, names: list[str]) -> None:
        """Makes source partitions known that have not been heard from yet."""
        for name in names:
            self.sources.setdefault(name, Source())

    def take(self, name: str, offset: int) -> bool:
        """Whether this record of that source is new. Records come in the order of their offsets, so older ones were
        sent again after a crash."""
        source = self.sources.get(name)
        if source is None:
            source = self.sources[name] = Source()
        if offset <= source.offset:
            return False
        source.offset = offset
        return True

    def observe(self, name: str, ts: int) -> None:
        """A source has seen an event of this time."""
        source = self.sources[name]
        if source.idle or ts > source.watermark:
            was_slowest = source.idle or source.watermark <= self.watermark
            source.watermark, source.idle = max(ts, source.watermark), False
            if was_slowest:
                self._follow()

    def declare(self, name: str, ts: int) -> None:
        """A source has declared that nothing older than this time will come (a heartbeat)."""
        source = self.sources[name]
        source.watermark, source.floor, source.idle = max(source.watermark, ts), max(source.floor, ts), False
        self._follow()

    def silence(self, name: str) -> None:
        """A source has fallen silent: it holds back the others no longer."""
        self.sources[name].idle = True
        self._follow()

    def tick(self, ts: int) -> None:
        """All sources are silent: time itself goes on."""
        self.watermark, self.floor = max(self.watermark, ts), max(self.floor, ts)

    @property
    def all_idle(self) -> bool:
        return bool(self.sources) and all(source.idle for source in self.sources.values())

    @property
    def heard(self) -> int | None:
        """Event time (ms) that the events themselves have reached; unlike the watermark no tick moves it. None before the first."""
        awake = [source.watermark for source in self.sources.values() if not source.idle]
        found = (min(awake) if awake else self.newest) if self.sources else self.watermark
        return None if found == NEVER else found

    @property
    def newest(self) -> int:
        """Highest event time of any source, ms."""
        return max((source.watermark for source in self.sources.values()), default=NEVER)

    def _follow(self) -> None:
        awake = [source for source in self.sources.values() if not source.idle]
        if awake:
            self.watermark = max(self.watermark, min(source.watermark for source in awake))
            self.floor = max(self.floor, min(source.floor for source in awake))
