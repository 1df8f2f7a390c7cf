"""When what happens in the demo, in event time. Pure."""

from __future__ import annotations

import msgspec

from streams.traffic import Fault, TrafficConfig

_MINUTE, _HOUR, _DAY = 60_000, 3_600_000, 86_400_000

#: How far back event time starts: at 60 times the pace of the clock, it takes about 20 minutes to reach now.
HISTORY = _DAY
SPEED = 60.0
#: What is sent at once at the start, so that there is something to see: this span, or as long as these visitors take.
LONGEST_BURST, BURST_VISITORS = 2 * _HOUR, 4_000
#: The shop's local time at the start, wherever and whenever the demo runs: the late morning of a busy day.
OPENING = 10 * _HOUR

FAULT_STAGE = "purchase"
FAULT_SHARE = 0.8
FAULT_WHERE = (("device", "mobile"), ("source", "instagram"))
#: So many of the new visitors come by a campaign on Instagram: the shop's day is a good one, until its checkout breaks there.
CAMPAIGN_SHARE = 0.35
#: Broken records per good one: what a site has on any day. More would be an alert of its own.
BAD_SHARE = 0.003


class Wish(msgspec.Struct, frozen=True):
    """What the user asked for. `fault_after`: seconds of live traffic before the fault; None: no fault. `fault_for`: seconds
    until it is mended."""

    seed: int
    visitors_per_day: float
    fault_after: float | None
    fault_for: float


class Timeline(msgspec.Struct, frozen=True):
    """Event times, ms UTC. Traffic up to `live_ms` is sent at once, the rest at `SPEED`. `fault`: None in a calm demo."""

    start_ms: int
    live_ms: int
    fault: Fault | None
    traffic: TrafficConfig


def timeline(wish: Wish, now_ms: int, reached_ms: int | None = None) -> Timeline:
    """The demo's course. `reached_ms`: event time that an earlier run reached: this one goes on from there.

    Raises ConfigError for a wish that no traffic can fulfil.
    """
    start = now_ms - HISTORY
    burst = min(LONGEST_BURST, int(BURST_VISITORS / max(wish.visitors_per_day, 1.0) * _DAY))
    seed = wish.seed
    if reached_ms is not None:
        start, burst = min(max(start, reached_ms), now_ms), 0
        seed += start % 1_000_003  # other visitors than those of the earlier run
    live = start + burst
    fault = None
    if wish.fault_after is not None:
        begin, end = (_at(seconds, live, now_ms) for seconds in (wish.fault_after, wish.fault_after + wish.fault_for))
        fault = Fault(start_ms=begin, end_ms=end, stage=FAULT_STAGE, share_lost=FAULT_SHARE, where=FAULT_WHERE)
    traffic = TrafficConfig(
        seed=seed,
        start_ms=start,
        visitors_per_day=wish.visitors_per_day,
        bad_share=BAD_SHARE,
        campaign_share=CAMPAIGN_SHARE,
        keyed_by="session",
        utc_offset_ms=OPENING - start % _DAY,
        faults=() if fault is None else (fault,),
    )
    traffic.check()
    return Timeline(start, live, fault, traffic)


def _at(seconds: float, live: int, now_ms: int) -> int:
    """Event time after so many seconds of live traffic, ms: it never passes the clock."""
    return min(live + int(seconds * 1000 * SPEED), now_ms + int(seconds * 1000))
