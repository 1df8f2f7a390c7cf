"""A monitor that is kept running as an orchestrator keeps it: whatever ends is started again, and its counters are scraped."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from schemas.settings import load_settings
from sinks.embedded.clickhouse import EmbeddedClickHouse
from sinks.embedded.faults import Faults
from tests.e2e.child import Child
from tests.e2e.prometheus import Series, net_samples
from tests.e2e.stack import Site, Stack
from tests.faults.broker import ProxiedKafka
from tests.faults.clock import Clock
from tests.faults.crash import VARIABLE, Point

SCRAPE = 0.5  # seconds
CONFIG_ERROR = 2
#: Of one partition in one fetch: what is left after a pause of seconds, and the state that is recovered, are more than that.
FETCH_BYTES = 65_536
#: Seconds after which the broker misses a process. Less, and a crowded machine ends sessions that nobody meant to.
SESSION = 12
SINK = "sink"


class Mine(msgspec.Struct, frozen=True):
    """Where a process is to die, and at which time that it comes there."""

    point: Point
    times: int = 1


class Kept(msgspec.Struct):
    """A process by its name. `clock`: its own, if it is to jump; `wanted`: whether it is to run; `armed`: the mine of this life; `mines`: of its next lives; `given_up`: a
    mine that did not go off before its time. `forced`: killed from outside. `unforced`: lives that ended for another reason, by
    exit code."""

    name: str
    role: str
    config: Path
    port: int
    child: Child
    clock: Clock | None = None
    wanted: bool = True
    armed: Mine | None = None
    mines: list[Mine] = []
    forced: bool = False
    ended: bool = False


class Monitor(Stack):
    """Every process reaches Kafka through the proxy of its name. `happened`: mines that went off; `ends`: processes that ended for
    another reason than a fault's own; `increases`: of all counters of all workers; `ordered`: of ClickHouse's faults, the last.
    `clocks`: whether each process has a clock of its own."""

    def __init__(
        self, directory: Path, kafka: ProxiedKafka, clickhouse: EmbeddedClickHouse, database: str, site: Site, *, clocks: bool = False
    ) -> None:  # fmt: skip
        self.kafka, self.clickhouse, self.clocks = kafka, clickhouse, clocks
        super().__init__(directory, kafka.bootstrap_servers, clickhouse.url, database, site)
        self.kept: dict[str, Kept] = {}
        self.happened: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.increases: Counter[Series] = Counter()
        self.refused: list[str] = []
        self.ordered = Faults()
        self._seen: dict[int, Mapping[Series, int]] = {}
        self._lock, self._ended = threading.RLock(), threading.Event()
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._keep, self._scrape)]

    # -- processes

    def begin(self, name: str, *mines: Mine) -> None:
        """Starts a process, and keeps it running. One that left comes back."""
        with self._lock:
            kept = self.kept.get(name)
            if kept is not None:
                kept.mines.extend(mines)
                kept.wanted = True
                return
            config = self.write_config(name)
            config.write_text(config.read_text().replace(self.servers, self.kafka.servers(name)))
            web, role = load_settings(config, {}, {}).web, SINK if name == SINK else "worker"
            port = int((web.sink_listen if role == SINK else web.listen).rpartition(":")[2])
            first = mines[0] if mines else None
            clock = Clock(self.directory / f"{name}.clock") if self.clocks else None
            child = self._child(name, role, config, port, first, clock)
            self.kept[name] = Kept(name, role, config, port, child, clock, armed=first, mines=list(mines[1:]))

    def _child(self, name: str, role: str, config: Path, port: int, mine: Mine | None, clock: Clock | None) -> Child:
        variables: dict[str, str] = {VARIABLE: f"{mine.point.value}:{mine.times}"} if mine else {}
        variables |= {
            "FUNNELWATCH_KAFKA_FETCH_BYTES": str(FETCH_BYTES),
            "FUNNELWATCH_KAFKA_SESSION_TIMEOUT": f"{SESSION}s",
        }
        variables |= clock.variables if clock else {}
        log = self.directory / f"{name}-{len(self.children)}.log"
        child = Child(role, config, log, port, "tests.faults.crash", variables)
        self.children.append(child)
        return child

    def leave(self, name: str) -> None:
        """SIGTERM; it stays away."""
        with self._lock:
            self.kept[name].wanted = False
            self.kept[name].child.signal(signal.SIGTERM)

    def signal(self, name: str, number: int) -> None:
        """Sends a signal to what runs under that name."""
        with self._lock:
            self.kept[name].forced |= number == signal.SIGKILL
            self.kept[name].child.signal(number)

    def _keep(self) -> None:
        while not self._ended.wait(0.1):
            with self._lock:
                for kept in self.kept.values():
                    if not kept.child.alive:
                        self._end(kept)

    def _end(self, kept: Kept) -> None:
        """Tells why a process ended, once, and starts it again if it is wanted."""
        code = kept.child.code
        if not kept.ended:
            kept.ended = True
            if code == -signal.SIGKILL and kept.armed is not None and not kept.forced:
                self.happened[f"{kept.role} killed {kept.armed.point.value}"] += 1
            elif code != 0 and not kept.forced:
                self.ends[f"{kept.role} ended with code {code}"] += 1
        if code == CONFIG_ERROR:
            self.refused.append(kept.child.tail())
            kept.wanted = False
        if kept.wanted:
            kept.armed = kept.mines.pop(0) if kept.mines else None
            kept.child = self._child(kept.name, kept.role, kept.config, kept.port, kept.armed, kept.clock)
            kept.forced = kept.ended = False

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
        """Waits for a condition; processes may end and come back meanwhile."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert not self.refused, self.refused
            assert time.monotonic() < deadline, f"the monitor did not {what} within {seconds:.0f} s\n{self.tails()}"
            time.sleep(0.1)

    def until_ready(self, *names: str, seconds: float = 300.0) -> None:
        """Waits until these processes say that they are ready."""
        self.until(lambda: all(self.kept[name].child.get("/readyz")[0] == 200 for name in names), "be ready", seconds)

    def tails(self) -> str:
        """The ends of the logs of what runs now."""
        return "\n".join(kept.child.tail() for kept in self.kept.values())

    # -- counters

    def _scrape(self) -> None:
        while not self._ended.wait(SCRAPE):
            self.scrape()

    def scrape(self) -> None:
        """Adds what the counters of all traffic rose by since the last scrape of each process, as Prometheus' increase() does: what a
        series begins with does not count."""
        for child in [kept.child for kept in list(self.kept.values()) if kept.role != SINK]:
            status, text = child.get("/metrics")
            if status != 200:
                continue
            found = net_samples(text, ())
            before = self._seen.get(child.pid, {})
            for place, value in found.items():
                self.increases[place] += value - before.get(place, value)
            self._seen[child.pid] = found

    # -- life

    def __enter__(self) -> Self:
        super().__enter__()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._rest()
        for child in self.children:
            child.signal(signal.SIGCONT)
        super().__exit__(kind, error, trace)

    def _rest(self) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def end(self) -> None:
        """Ends all processes in order; asserts that each ends by itself, and well. (One that was just started anew is let come up: a
        signal that comes before it listens for it ends it at once.)"""
        self.until_ready(*(name for name, kept in self.kept.items() if kept.wanted))
        self.scrape()
        self._rest()
        running = [kept.child for kept in self.kept.values() if kept.child.alive]
        for child in running:
            child.signal(signal.SIGTERM)
        codes = [child.wait(40) for child in running]
        assert codes == [0] * len(running), f"ended with {codes}\n{self.tails()}"
