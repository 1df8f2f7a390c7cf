"""Seeded traffic of an online shop, for the demo, the benchmarks and the tests. Pure but for `clock.WallClock`."""

from streams.traffic.clock import Clock, WallClock, due_ms, pace, paced
from streams.traffic.config import TrafficConfig
from streams.traffic.counts import Counts
from streams.traffic.faults import Fault
from streams.traffic.generator import Traffic, TrafficRecord
from streams.traffic.spoil import REASONS, Bad

__all__ = [
    "REASONS",
    "Bad",
    "Clock",
    "Counts",
    "Fault",
    "Traffic",
    "TrafficConfig",
    "TrafficRecord",
    "WallClock",
    "due_ms",
    "pace",
    "paced",
]
