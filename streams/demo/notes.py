"""The lines under the live funnel: what is lost where, the fault, and which segment shows it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

from schemas.funnel import Funnel
from schemas.report import Report
from streams.demo.figures import Reading
from streams.demo.recent import Change, Recent, merged, previous_required
from streams.terminal import percent
from streams.traffic import Fault

#: A segment is named when its rate has fallen below this share of what it was, on at least so many attempts.
FALLEN, NAMED_FROM = 0.6, 20
#: Reasons of drop-offs as they fit into one line.
_REASONS = {
    "step_timeout": "next stage too late",
    "window_timeout": "window passed",
    "session_end": "session ended",
    "excluded": "excluded",
    "broken": "broken off",
}


def notes(reading: Reading, funnel: Funnel, fault: Fault | None) -> list[str]:
    """The lines for a terminal, of at most 80 columns each where names are not very long."""
    lines: list[str] = []
    for report in reading.figures.reports[:1]:
        lines += [drop_offs(report), left_out(report)]
    if reading.recent is not None and reading.recent.changes:
        lines += by_device(reading.recent, funnel)
    if fault is not None:
        lines.append(fault_line(fault, reading.figures.watermark))
    worst = fallen(reading.recent)
    if worst is not None:
        lines.append(f"fallen furthest: {change_text(worst)}")
    if reading.problem:
        lines.append(starting(reading))
    return lines


def brief_note(reading: Reading, fault: Fault | None) -> str:
    """The one note of a line in a log."""
    worst = fallen(reading.recent)
    parts = [] if fault is None else [fault_line(fault, reading.figures.watermark)]
    parts += [] if worst is None else [f"fallen furthest: {change_text(worst)}"]
    return "; ".join(parts)


def starting(reading: Reading) -> str:
    """Why there are no new figures."""
    return f"ClickHouse: {reading.problem}" if reading.figures.reports else "the worker is starting …"


def drop_offs(report: Report) -> str:
    """All drop-offs of a funnel by reason, most frequent first."""
    reasons: Counter[str] = Counter()
    for stage in report.stages:
        reasons.update(stage.dropped_by)
    listed = ", ".join(f"{_REASONS.get(reason, reason)} {count:,}" for reason, count in reasons.most_common())
    return f"drop-offs: {listed or 'none yet'}"


def left_out(report: Report) -> str:
    """The records that are in no figure."""
    events = report.events
    return f"left out: {events['duplicate']:,} duplicates, {events['late']:,} late, {events['bot']:,} of bots"


def by_device(recent: Recent, funnel: Funnel) -> Iterator[str]:
    """The last step of the funnel by device."""
    last = len(funnel.stages) - 1
    before = funnel.stages[previous_required(funnel, last)].name
    yield f"{before} → {funnel.stages[last].name}, last half hour (before):"
    yield "  " + "   ".join(
        f"{change.segment[0]} {percent(change.now.rate)} ({percent(change.before.rate)})"
        for change in merged(recent.changes, 0)[:3]
    )


def fallen(recent: Recent | None) -> Change | None:
    """The segment that has lost most of its rate, if one has lost much."""
    candidates = [
        change
        for change in (recent.changes if recent is not None else ())
        if change.ratio is not None and change.ratio < FALLEN and change.now.of >= NAMED_FROM
    ]
    return min(candidates, key=lambda change: change.ratio or 0.0, default=None)


def change_text(change: Change) -> str:
    """A segment, its rate now and before."""
    segment = " × ".join(change.segment)
    return f"{segment} {percent(change.now.rate)} of {change.now.of:,} (before {percent(change.before.rate)})"


def fault_line(fault: Fault, watermark: int | None) -> str:
    """Whether the simulated fault is on, and what it does."""
    since = datetime.fromtimestamp(fault.start_ms / 1000, UTC).strftime("%H:%M")
    if watermark is None or watermark < fault.start_ms:
        return f"simulated fault: not yet (from {since} UTC on)"
    if watermark >= fault.end_ms:
        return "simulated fault: mended"
    segment = " × ".join(value for _, value in fault.where)
    return f"simulated fault: since {since} UTC {segment} loses {fault.share_lost:.0%} at {fault.stage}"
