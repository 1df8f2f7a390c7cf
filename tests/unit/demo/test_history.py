"""The weeks before the demo."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streams.demo import history
from streams.demo.plan import Wish, timeline

NOW = 1_767_571_200_000  # 2026-01-05 00:00 UTC
HOUR, DAY = 3_600_000, 86_400_000


def test_it_ends_where_the_demo_begins_and_knows_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "SPAN", DAY)
    monkeypatch.setattr(history, "VISITORS", 800.0)  # so that there are sales in the segment on one day
    times = timeline(Wish(7, 60_000.0, 1.0, 60.0), NOW)
    written = history.write_history(tmp_path / "history.jsonl", times)
    lines = (tmp_path / "history.jsonl").read_text().splitlines()
    assert len(lines) == written > 1_000
    events = [json.loads(line) for line in lines]
    seconds = [event["timestamp"] for event in events if isinstance(event["timestamp"], str)]
    assert "2026-01-03T00:00:00" < min(seconds) < "2026-01-03T02:00:00"  # a day before the demo's beginning, a day ago
    assert "2026-01-03T23:00:00" < max(seconds) < "2026-01-04T00:00:30"
    sold = [event for event in events if event["event"] == "purchase"]
    assert any((event["device"], event["source"]) == ("mobile", "instagram") for event in sold)
