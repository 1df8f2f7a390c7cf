"""Memory of a process that runs for months: how often the collector looks, and what malloc keeps though nobody uses it."""

from __future__ import annotations

import asyncio
import ctypes
import gc
from collections.abc import Callable

#: Seconds between two times that idle memory is given back.
PAUSE = 15.0
#: glibc's numbers for them, in malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
#: Bytes of one answer of Kafka's that are taken of the heap, not mapped apart (more than that older glibc refuses); and of idle memory at the
#: heap's end that is only given back with the rest.
LARGEST, KEPT = 32 << 20, 128 << 20


def spare_the_collector() -> None:
    """Rows, states and events hold no cycles, but making them wakes the garbage collector at every 700th: a third of the
    engine's time. What is there now is left alone, and the rest is looked at a hundred times less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def one_heap() -> None:
    """Lets all threads that come share malloc's one heap, where each would get one of its own: what a thread frees the next one takes. The
    interpreter's lock lets no two of them allocate at once anyway. To be called before the first thread: the heap of one that has ended goes
    to the next. Answers of megabytes come from it, too: mapped apart, every page of each
    is a fault of its own, and zeroed (6 % of a busy worker's time). Does nothing where malloc is not glibc's."""
    change = getattr(ctypes.CDLL(None), "mallopt", None)
    if change is not None:
        change(M_ARENA_MAX, 1)
        change(M_MMAP_THRESHOLD, LARGEST)
        change(M_TRIM_THRESHOLD, KEPT)


def give_back() -> None:
    """Gives the system what malloc keeps though nobody uses it: after a backlog, tens of MiB for each thread that read of it. Does
    nothing where malloc is not glibc's."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


async def keep_lean(over: Callable[[], bool]) -> None:
    """Does so again and again."""
    while not over():
        await asyncio.sleep(PAUSE)
        await asyncio.to_thread(give_back)
