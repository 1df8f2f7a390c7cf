"""`python -m benchmarks.soak.inside FILE SECONDS run …`: the command line itself, and a thread that tells what only the process
can see of itself: lists that might grow. The product is as it is; nothing of it knows of this."""

from __future__ import annotations

import asyncio
import ctypes
import sys
import threading
import time
from collections.abc import Callable, Sized
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.experiments.memory import MIB


class Seen(msgspec.Struct, frozen=True):
    """Lengths inside the worker. `acked`: acknowledged offsets that Faust has not committed; `unacked`: messages it waits for;
    `calendar`: entries of the engine's deadlines, `units`: of which there are so many; `finished`: units that wait to be removed;
    `remembered`: what the follower keeps by partition; `recent`: ids of events that no funnel looks at, kept to know repeats (bounded by
    partition); `tasks`: of the event loop; `blocks`: of Python's own allocator, in use; `heap`, `idle_heap`: MiB that malloc has handed
    out, and that it keeps though nobody uses them."""

    acked: int = 0
    unacked: int = 0
    calendar: int = 0
    units: int = 0
    finished: int = 0
    remembered: int = 0
    recent: int = 0
    tasks: int = 0
    blocks: int = 0
    heap: float = 0.0
    idle_heap: float = 0.0


class Heap(ctypes.Structure):
    """glibc's `struct mallinfo2`."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd", "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


def heap() -> tuple[float, float]:
    """MiB in use and idle; zeros where malloc is not glibc's."""
    asked = getattr(ctypes.CDLL(None), "mallinfo2", None)
    if asked is None:
        return 0.0, 0.0
    asked.restype = Heap
    found = asked()
    return (found.uordblks + found.hblkhd) / MIB, found.fordblks / MIB


def look(worker: Any, loop: asyncio.AbstractEventLoop) -> Seen:
    """What it holds now."""
    consumer, follower = worker.app.consumer, worker.follower
    partitions = [partition for log in follower.logs.values() for partition in list(log.partitions.values())]
    kept: list[Sized] = [follower._done, follower._told, follower._silent_since]  # noqa: SLF001
    used, idle = heap()
    return Seen(
        acked=sum(map(len, list(consumer._acked.values()))) + sum(map(len, list(consumer._acked_index.values()))),  # noqa: SLF001
        unacked=len(consumer.unacked), calendar=sum(len(partition.wakes) for partition in partitions), units=follower.units(),
        finished=sum(len(partition.units.finished) for partition in partitions), remembered=sum(map(len, kept)),
        recent=sum(len(partition.recent) for partition in partitions), tasks=len(asyncio.all_tasks(loop)),
        blocks=sys.getallocatedblocks(), heap=used, idle_heap=idle,
    )  # fmt: skip


def tell(worker: Any, file: Path, seconds: float) -> None:
    """Writes what it sees, again and again."""
    while True:
        time.sleep(seconds)
        app = worker.app
        if app._consumer is None or app._loop is None:  # noqa: SLF001 - to ask for them would make them, of this thread's loop
            continue
        try:
            seen = look(worker, app.loop)
        except (RuntimeError, AttributeError):  # it changed while it was looked at, or is not there yet
            continue
        fresh = file.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(seen))
        fresh.replace(file)


def main() -> None:
    from streams import cli, worker

    file, seconds = Path(sys.argv[1]), float(sys.argv[2])
    build: Callable[..., Any] = worker.build

    def watched(*arguments: Any) -> Any:
        made = build(*arguments)
        threading.Thread(target=tell, args=(made, file, seconds), daemon=True).start()
        return made

    worker.build = watched  # type: ignore[assignment]
    sys.argv[1:3] = []
    cli.main()


if __name__ == "__main__":
    main()
