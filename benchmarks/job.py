"""What the other frameworks' apps are told, and how they speak to the benchmark. Needs nothing of the worker's environment."""

from __future__ import annotations

import ctypes
import signal
import sys

import msgspec


class Job(msgspec.Struct, frozen=True):
    """Follow `source`: per session the stage reached, each new one a record of `transitions`.

    `name`: of the app or consumer group. `directory`: for state on disk. `window`: ms from the first stage to the last.
    """

    servers: str
    source: str
    transitions: str
    name: str
    directory: str
    stages: tuple[str, ...]
    window: int
    partitions: int


def told() -> Job:
    """The job in the first argument; from here on this process does not outlive the benchmark."""
    if sys.platform == "linux":
        set_parent_death_signal = 1
        ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGTERM)
    return msgspec.json.decode(sys.argv[1], type=Job)


def ready() -> None:
    """Says that what comes now is work."""
    print("ready", flush=True)
