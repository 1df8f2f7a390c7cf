"""A small share of the long run (`make faults`), seeded: everything that is cheap, once."""

from __future__ import annotations

from pathlib import Path

import pytest

from sinks.embedded.clickhouse import EmbeddedClickHouse
from tests.faults import acts
from tests.faults.broker import ProxiedKafka
from tests.faults.crash import Point
from tests.faults.flow import Flow
from tests.faults.rounds import Theme, play

CRASHES = Theme("crashes", mines=2, sink_mines=1, pause=(0.1, 0.3))
DISTURBANCES = Theme(
    "disturbances", (acts.a_request, acts.a_request, acts.cut, acts.cut_inserts, acts.refuse, acts.join), 0.8, pause=(0.1, 0.5)
)  # fmt: skip


@pytest.mark.parametrize("theme", [CRASHES, DISTURBANCES], ids=["crashes", "disturbances"])
def test_nothing_is_lost_and_nothing_doubled(
    theme: Theme, tmp_path: Path, kafka: ProxiedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    outcome = play(theme, Flow(3, count=3_000, parts=10), tmp_path, kafka, clickhouse, database)
    print(outcome)
    assert outcome.right, outcome.problem
    assert sum(outcome.faults.values()) >= 3  # on a fast machine all has been read before the rest would happen
    assert outcome.counted_beyond == 0
    if not outcome.kills:
        assert outcome.counted_short == 0


@pytest.mark.parametrize("point", [Point.LOSE_ROWS, Point.DOUBLE_ROWS])
def test_a_worker_that_loses_or_doubles_rows_is_found_out(
    point: Point, tmp_path: Path, kafka: ProxiedKafka, clickhouse: EmbeddedClickHouse, database: str
) -> None:
    theme = Theme("control", mines=1, points=(point,), pause=(0, 0))
    outcome = play(theme, Flow(3, count=500, parts=1), tmp_path, kafka, clickhouse, database)
    assert not outcome.right
    assert outcome.kills == 0
    assert (outcome.lost > 0, outcome.doubled > 0) == (point is Point.LOSE_ROWS, point is Point.DOUBLE_ROWS)
