"""Small inputs: events of a shop as JSON lines, funnels in one line, and how to evaluate them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from schemas.decode import DecodeOptions, RawRecord, decoder
from schemas.definitions.funnels import parse_funnels
from schemas.funnel import Funnel
from streams.batch.grouped import LIMIT
from streams.batch.intake import BatchInput
from streams.batch.run import Answer, Batch, Progress, run

NOW = 1_800_000_000_000
T0 = 1_750_000_000_000

decode = decoder(DecodeOptions())


def line(event: str, seconds: float, session: str | None = "s1", **fields: Any) -> bytes:
    """One JSON line; `event_id` is made of the rest unless it is given."""
    ts = T0 + int(seconds * 1000)
    record = {"event": event, "timestamp": ts, "session_id": session, "event_id": f"{event}-{seconds}-{session}"}
    return msgspec.json.encode({key: value for key, value in (record | fields).items() if value is not None})


def funnel(way: str = "view > cart > buy", **keys: Any) -> Funnel:
    """A funnel whose stages are the events of `way`; `keys` as in funnels.toml."""
    named = [{"name": name.strip(), "events": [name.strip()]} for name in way.split(">")]
    table = {"name": "shop", "unit": "session", "window": "1h", "lateness": "0s", "stages": named} | keys
    return parse_funnels({"funnels": [table]}, "test")[0]


def given(lines: Sequence[bytes], name: str = "file") -> BatchInput:
    """An input of these lines."""
    records = [RawRecord(data, number) for number, data in enumerate(lines, 1)]
    return BatchInput(name, records, lambda data: decode(data, NOW))


def answer(
    lines: Sequence[bytes],
    definition: Funnel,
    by: Sequence[str] = (),
    *,
    limit: int = LIMIT,
    progress: Progress | None = None,
) -> Answer:
    """The answer for one funnel over these lines."""
    return run(Batch([definition], by, limit=limit), [given(lines)], progress)[0]


def document(lines: Sequence[bytes], definition: Funnel, by: Sequence[str] = (), limit: int = LIMIT) -> dict[str, Any]:
    """The same as the JSON contract has it."""
    return answer(lines, definition, by, limit=limit).report.document()


def reached(lines: Sequence[bytes], definition: Funnel) -> list[int]:
    """Attempts by level."""
    return [stage.attempts for stage in answer(lines, definition).report.stages]


def events(**counts: int) -> dict[str, int]:
    """All counts of the contract: those named, the others 0."""
    names = ("read", "matched", "ignored", "duplicate", "late", "invalid", "bot")
    return dict.fromkeys(names, 0) | counts
