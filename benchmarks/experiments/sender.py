"""A paced load from a process of its own, so that it disturbs no measurement by its pauses: `python -m benchmarks.experiments.sender`.

Events and markers carry the time of sending. At its end (or at SIGTERM) it writes, as JSON, what it sent and when Kafka appended each marker.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from math import cos, pi
from pathlib import Path

import msgspec
from aiokafka import AIOKafkaProducer

from benchmarks.definitions import DENSE, REALISTIC
from benchmarks.experiments.processes import Running, wait
from benchmarks.experiments.records import Traffic, marker

TICK = 0.01  # seconds between two sends
BETWEEN = 5  # seconds between two events of a session
MOST = 2_000  # events of one send: what the machine kept it from is made up for bit by bit
NOISE_RATIO = 4.0  # of the realistic load: four events of five fit no stage


class Order(msgspec.Struct, frozen=True):
    """What is to be sent. `markers`: a second, over all partitions. `realistic`: three funnels and noise, else one funnel, all stages.
    `swing`: share by which the rate rises and falls around its mean, once in `swing_seconds`. `first`: sessions are counted from there (those
    of a former load on the same topic are others)."""

    servers: str
    topic: str
    partitions: int
    rate: float
    seconds: float
    out: str
    markers: float = 0.0
    realistic: bool = False
    swing: float = 0.0
    swing_seconds: float = 3600.0
    first: int = 0

    def due(self, passed: float) -> int:
        """Events that are to be sent in the first `passed` seconds."""
        turn = 2 * pi / self.swing_seconds
        return int(self.rate * (passed + self.swing / turn * (1 - cos(turn * passed))))


class Sent(msgspec.Struct):
    """What was. `markers`: by partition, the append times (ms) in order. `behind`: most seconds behind its plan."""

    events: int = 0
    seconds: float = 0.0
    behind: float = 0.0
    markers: dict[int, list[int]] = {}

    @property
    def rate(self) -> float:
        return self.events / self.seconds


def traffic(order: Order) -> Traffic:
    """Sessions for this load."""
    walks, noise = (REALISTIC, NOISE_RATIO) if order.realistic else (DENSE, 0.0)
    slots = max(8, int(order.rate * BETWEEN))
    return Traffic(walks, slots=slots, partitions=order.partitions, noise=noise, first=order.first)


async def send(order: Order) -> Sent:
    """Sends at the asked pace until the time is over or SIGTERM comes."""
    producer = AIOKafkaProducer(bootstrap_servers=order.servers, acks="all", linger_ms=0, max_batch_size=1 << 19)
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    source, sent, marked = traffic(order), Sent(markers={n: [] for n in range(order.partitions)}), 0
    pending: list[tuple[int | None, asyncio.Future[object]]] = []
    await producer.start()
    began = time.monotonic()
    while not ended.is_set() and (passed := time.monotonic() - began) < order.seconds:
        due, now = min(order.due(passed), sent.events + MOST), int(time.time() * 1000)
        parts: dict[int, list[tuple[bytes, bytes]]] = {}
        sent.behind = max(sent.behind, (order.due(passed) - sent.events) / order.rate - TICK)
        while sent.events < due:
            partition, key, value = source.event(now)
            parts.setdefault(partition, []).append((key, value))
            sent.events += 1
        with_marker = -1
        if marked < int(passed * order.markers):
            with_marker = marked % order.partitions
            parts.setdefault(with_marker, []).append(marker(with_marker, marked, now))
            marked += 1
        for partition, records in parts.items():
            batch = producer.create_batch()
            for key, value in records:
                assert batch.append(key=key, value=value, timestamp=now) is not None, "a batch is too small"
            future = await producer.send_batch(batch, order.topic, partition=partition)
            pending.append((partition if partition == with_marker else None, future))
        pending = collect(pending, sent)
        await asyncio.sleep(max(0.0, began + passed + TICK - time.monotonic()))
    sent.seconds = time.monotonic() - began
    await producer.stop()  # waits for what is under way
    collect(pending, sent)
    return sent


def collect(
    pending: list[tuple[int | None, asyncio.Future[object]]], sent: Sent
) -> list[tuple[int | None, asyncio.Future[object]]]:
    """Takes the answered ones, in order; returns those that are still under way."""
    done = 0
    while done < len(pending) and pending[done][1].done():
        partition, future = pending[done]
        appended = future.result()
        if partition is not None:
            sent.markers[partition].append(int(appended.timestamp))  # type: ignore[attr-defined]
        done += 1
    return pending[done:]


@contextmanager
def sending(order: Order) -> Iterator[Running]:
    """The load, while the context lasts."""
    line = msgspec.json.encode(order).decode()
    with Running(
        [sys.executable, "-m", "benchmarks.experiments.sender", line], Path(order.out).parent, "sender.log"
    ) as running:
        yield running


def result(order: Order, running: Running | None = None) -> Sent:
    """What the load came to, once it has ended."""
    if running is not None:
        wait(lambda: not running.alive, longest=order.seconds + 60)
    return msgspec.json.decode(Path(order.out).read_bytes(), type=Sent)


def main(line: str) -> None:
    order = msgspec.json.decode(line, type=Order)
    Path(order.out).write_bytes(msgspec.json.encode(asyncio.run(send(order))))


if __name__ == "__main__":
    main(sys.argv[1])
