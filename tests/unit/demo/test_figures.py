"""What the demo's screen asks of the parts that have other work."""

from __future__ import annotations

import pytest

from schemas.definitions import load_funnels
from schemas.settings import Settings
from streams.demo import figures
from streams.demo.figures import LAG_SECONDS, Reader
from tests.live.story import FUNNELS


def test_the_worker_is_not_asked_for_all_its_series_at_each_reading(monkeypatch: pytest.MonkeyPatch) -> None:
    answers, now = iter([None, 40, 7]), 1_000.0
    monkeypatch.setattr(figures, "worker_lag", lambda *_: next(answers))
    monkeypatch.setattr("streams.demo.figures.time.monotonic", lambda: now)
    reader = Reader(Settings(), load_funnels(FUNNELS), lambda: None)
    assert [reader._waiting(), reader._waiting()] == [None, 40]  # it is asked again until it answers
    now += LAG_SECONDS - 0.1
    assert [reader._waiting(), reader._waiting()] == [40, 40]
    now += 0.2
    assert reader._waiting() == 7
