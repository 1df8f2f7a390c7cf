"""Idle memory goes back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import importlib
import subprocess
import sys

import pytest
from click.testing import CliRunner

from schemas.errors import ConfigError
from schemas.settings import Settings
from streams import memory

#: 100 MB in pieces that malloc takes from its heap, of which a few stay: the heap's end can't be lowered past them.
SHREDS = """
import psutil
from streams.memory import give_back
held = [bytes(2_000) for _ in range(50_000)]
pins = held[::500]
del held
before = psutil.Process().memory_info().rss
give_back()
print((before - psutil.Process().memory_info().rss) // 1_000_000)
"""


#: Threads that allocate at the same time; the line tells how many heaps malloc has made for them.
THREADS = """
import ctypes, sys, threading
from streams.memory import one_heap
libc = ctypes.CDLL(None)
if sys.argv[1] == "one":
    one_heap()
turn, held = threading.Barrier(5), []
def allocate():
    turn.wait()
    held.extend(bytes(2_000) for _ in range(1_000))
    turn.wait()
threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
turn.wait()
turn.wait()
libc.fdopen.restype = ctypes.c_void_p
out = ctypes.c_void_p(libc.fdopen(1, b"w"))
libc.malloc_info(0, out)
libc.fflush(out)
"""

glibc = pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="malloc is not glibc's")


def test_it_is_asked_for_before_the_first_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kafka's client for topics has threads, and whoever came after them would inherit their heaps."""
    command = importlib.import_module("streams.commands.run")
    asked = list[str]()

    def prepare(*_: object) -> None:
        asked.append("topics")
        raise ConfigError("topics", "are not here", "this is a test")

    monkeypatch.setattr(command, "read_settings", lambda *_: Settings())
    monkeypatch.setattr(command, "load_funnels", lambda *_: ())
    monkeypatch.setattr(command.logs, "set_up", lambda *_: None)
    monkeypatch.setattr(command, "one_heap", lambda: asked.append("one heap"))
    monkeypatch.setattr(command, "prepare", prepare)
    assert CliRunner().invoke(command.run, ["--only", "worker"]).exit_code == 2
    assert asked == ["one heap", "topics"]


@glibc
@pytest.mark.parametrize(("heaps", "most"), [("one", 1), ("many", 5)])
def test_all_threads_share_one_heap(heaps: str, most: int) -> None:
    told = subprocess.run([sys.executable, "-c", THREADS, heaps], capture_output=True, text=True, check=True)
    made = told.stdout.count("<heap nr=")
    assert made == 1 if most == 1 else 1 < made <= most  # each thread has one of its own unless told otherwise


@glibc
def test_what_malloc_keeps_between_blocks_in_use_goes_back() -> None:
    told = subprocess.run([sys.executable, "-c", SHREDS], capture_output=True, text=True, check=True)
    assert int(told.stdout) >= 80


def test_it_is_given_back_again_and_again_until_the_process_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    monkeypatch.setattr(memory, "PAUSE", 0.0)
    monkeypatch.setattr(memory, "give_back", lambda: times.append(1))
    asyncio.run(memory.keep_lean(lambda: len(times) == 3))
    assert len(times) == 3
