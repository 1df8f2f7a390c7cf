"""Idle memory goes back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import subprocess
import sys

import pytest

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


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="malloc is not glibc's")
def test_what_malloc_keeps_between_blocks_in_use_goes_back() -> None:
    told = subprocess.run([sys.executable, "-c", SHREDS], capture_output=True, text=True, check=True)
    assert int(told.stdout) >= 80


def test_it_is_given_back_again_and_again_until_the_process_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[int] = []
    monkeypatch.setattr(memory, "PAUSE", 0.0)
    monkeypatch.setattr(memory, "give_back", lambda: times.append(1))
    asyncio.run(memory.keep_lean(lambda: len(times) == 3))
    assert len(times) == 3
