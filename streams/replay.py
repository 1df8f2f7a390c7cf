"""Replay: files with real history become records of a source topic, in the order of event time."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Protocol

import msgspec

from schemas.decode import encode_native
from schemas.errors import InvalidEvent
from schemas.event import CONTROLS, Event
from schemas.funnel import Unit
from streams.sorting import RUN_EVENTS, event_time, sort_events
from streams.traffic.clock import Clock, paced

_Events = Generator[Event, None, None]


class Sender(Protocol):
    """Where records go. `streams.topic_sender.TopicSender` is one."""

    def send(self, value: bytes, key: bytes | None) -> None: ...

    def heartbeat(self, ts: int) -> None: ...

    def flush(self) -> None: ...


class Raw(Protocol):
    """One record of a file: its bytes, as `schemas.decode.read_records` gives them."""

    @property
    def data(self) -> bytes: ...


class ReplayInput(msgspec.Struct, frozen=True):
    """One file: its records, and what makes events of their bytes (raising InvalidEvent for those that are none)."""

    records: Iterable[Raw]
    decode: Callable[[bytes], Event]


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """How to replay.

    `keyed_by`: what the source declares. `speed`: times the files' own rhythm, None = as fast as possible. `as_is`: in
    the files' order. `limit`: events sorted in memory; `directory`: where to sort more (None: the system's).
    """

    keyed_by: Unit | None = None
    speed: float | None = None
    as_is: bool = False
    limit: int = RUN_EVENTS
    directory: Path | None = None


class ReplayProgress:
    """How far a replay is.

    `read`: records of the files so far; `events`: those that the decoder takes; `refused`: those it doesn't, sent as
    they are; `sent`: records sent, refused ones too. `reached`: event time (ms) of the last event sent; `newest`: of the
    newest, bots left out (what a heartbeat may declare); None before the first. `reading`: there may be more to read. `stopped`: ended before its end.
    """

    __slots__ = ("events", "newest", "reached", "read", "reading", "refused", "sent", "stopped")

    def __init__(self) -> None:
        self.read = self.events = self.refused = self.sent = 0
        self.reached: int | None = None
        self.newest: int | None = None
        self.reading = True
        self.stopped = False


def unit_key(event: Event, keyed_by: Unit | None) -> bytes | None:
    """The record key: the id of the unit that the source is keyed by; else the one that keeps a person together."""
    if keyed_by is Unit.SESSION:
        found = event.session_id or event.visitor_id or event.user_id
    elif keyed_by is Unit.ACCOUNT:
        found = event.account_id or event.user_id
    else:
        found = event.visitor_id or event.user_id
        if keyed_by is None:
            found = found or event.session_id or event.account_id
    return found.encode() if found else None


def replay(
    inputs: Iterable[ReplayInput],
    sender: Sender,
    plan: ReplayPlan,
    clock: Clock,
    progress: ReplayProgress | None = None,
) -> ReplayProgress:
    """Sends all events of `inputs` as native JSON, in event-time order unless `plan.as_is`; then a heartbeat everywhere.

    What a decoder refuses is sent as its own bytes, without a key, at the moment it is read: the worker puts it to the
    dead letters. An interrupt (Ctrl-C), or a clock that says stop, ends it cleanly: what was sent is acknowledged, no
    heartbeat follows, `stopped` is set. Raises SinkError, and what reading and sorting raise.
    """
    progress = progress or ReplayProgress()
    try:
        with closing(_in_order(_decoded(inputs, sender, progress), plan)) as events:
            stream = events if plan.speed is None else paced(events, event_time, plan.speed, clock)
            _send(stream, sender, plan.keyed_by, progress)
            progress.stopped = progress.reading or progress.sent - progress.refused < progress.events
    except KeyboardInterrupt:
        progress.stopped = True
    if progress.stopped or progress.newest is None:
        sender.flush()
    else:
        sender.heartbeat(progress.newest)
    return progress


def _in_order(events: _Events, plan: ReplayPlan) -> _Events:
    return events if plan.as_is else sort_events(events, event_time, plan.directory, plan.limit)


def _decoded(inputs: Iterable[ReplayInput], sender: Sender, progress: ReplayProgress) -> _Events:
    for given in inputs:
        for record in given.records:
            progress.read += 1
            try:
                event = given.decode(record.data)
            except InvalidEvent:
                sender.send(record.data, None)
                progress.refused += 1
                progress.sent += 1
                continue
            if event.event not in CONTROLS:  # one from an earlier replay would cut this one short
                progress.events += 1
                yield event
    progress.reading = False


def _send(
    events: Iterator[Event],
    sender: Sender,
    keyed_by: Unit | None,
    progress: ReplayProgress,
) -> None:
    for event in events:
        sender.send(encode_native(event), unit_key(event, keyed_by))
        progress.sent += 1
        progress.reached = event.ts
        if not event.bot and (progress.newest is None or event.ts > progress.newest):
            progress.newest = event.ts
