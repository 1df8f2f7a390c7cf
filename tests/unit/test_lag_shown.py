"""The lag that a worker shows of a partition."""

from __future__ import annotations

from typing import Any, cast
from unittest.mock import Mock, call

import pytest
from faust.types import TP

from streams.stream import follow
from streams.stream.follow import Follower

CLICKS = TP("clicks", 0)


@pytest.mark.parametrize(
    ("applied", "committed", "shown"),
    [
        (None, None, []),  # neither is known right after a rebalance: the whole log is no lag
        (None, 90, [call("clicks", 0, 10)]),
        (95, 90, [call("clicks", 0, 5)]),
        (100, 90, [call("clicks", 0, 0)]),
        (None, 0, [call("clicks", 0, 100)]),
    ],
)
def test_the_lag_is_what_was_appended_and_not_applied(
    applied: int | None, committed: int | None, shown: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "committed", lambda _app, _tp: committed)
    health = Mock()
    follower = Follower(cast("Any", None), (), (), cast("Any", None), cast("Any", None), health)
    if applied is not None:
        follower.applied[CLICKS] = applied
    follower.show_lag(CLICKS, 100)
    assert health.set_consumer_lag.mock_calls == shown
