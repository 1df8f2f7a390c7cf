"""The evaluator says what Prometheus says: the same scores, the same windows, pages at the same minutes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from schemas.funnel import Funnel, Stage, Unit
from schemas.metrics import ALL, STAGE_CONVERSIONS, STAGE_EXPECTED_CONVERSIONS
from schemas.rules import Links, Scale, render, rule_file
from schemas.rules import names as n
from schemas.rules.drop import THRESHOLD
from schemas.rules.model import SECOND
from schemas.rules.windows import SETTLED
from schemas.settings.sections import Site
from streams.backtest.drops import Drops, drops, pages, steps_of
from tests.alerts.histories import MINUTES, History, histories
from tests.alerts.promtool import LATER, need_promtool, only

STAGES = 16
EVERY = 7  # minutes between looks at scores; pages are looked at every minute
#: Left out of the rule file: what the score doesn't read, and windows longer than the one that already spans all.
WITHOUT = (
    r"\"record\": \"funnel:(cell|blame|missing|drop:ra|drop:local|site|stage_entered|stage_entry|currency)|Daily|BelowFloor"
    r"|\"window\": \"(8h|12h|16h|20h|.d)"
)


@pytest.fixture(scope="module")
def cases() -> list[tuple[History, Drops]]:
    """Prometheus evaluates every group each minute here, long windows too."""
    return [
        (each, drops(steps_of(each.observed, each.expected), whole=each.dimension == ALL, slow=60_000))
        for each in histories(1, STAGES)
    ]


def test_prometheus_says_the_same(cases: list[tuple[History, Drops]], tmp_path: Path) -> None:
    rules, file = tmp_path / "rules.yml", tmp_path / "test.yml"
    stages = tuple(Stage(f"s{number:02}", (f"e{number}",)) for number in range(STAGES + 1))
    site = Site(name="shop.example")
    shipped = render(rule_file([Funnel("cases", "000000000000", Unit.SESSION, stages)], site, Links(), Scale()))
    rules.write_text(only(("definitions", "steps", "long windows", "drops"), shipped, WITHOUT))
    file.write_text(_document(cases, rules))
    command = ["nice", "-n", "15", need_promtool(), "test", "rules", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[:4000]


def test_the_histories_have_pages_that_begin_and_end(cases: list[tuple[History, Drops]]) -> None:
    firing = [pages(found.live > THRESHOLD) for each, found in cases if each.dimension == ALL]
    assert sum(int(np.sum(each[1:] > each[:-1])) for each in firing) >= STAGES // 3
    assert sum(int(np.sum(each[1:] < each[:-1])) for each in firing) >= STAGES // 3


def _document(cases: list[tuple[History, Drops]], rules: Path) -> str:
    order = [group["name"] for group in json.loads(rules.read_text())["groups"]]
    series = [
        {"series": f"{metric.name}{{{_labels(each)}}}", "values": _values(counter)}
        for each, _ in cases
        for metric, counter in ((STAGE_CONVERSIONS, each.observed), (STAGE_EXPECTED_CONVERSIONS, each.expected))
    ]
    firing = [(each, pages(found.live > THRESHOLD)) for each, found in cases if each.dimension == ALL]
    looks = [
        _look(
            f'max by (funnel_stage) (ALERTS{{alertname="{n.DROP}", alertstate="firing"}})',
            minute,
            [(f'{{funnel_stage="{each.stage}"}}', 1.0) for each, fired in firing if fired[minute]],
        )
        for minute in range(MINUTES)
    ]
    by_segment = "max by (funnel_stage, dimension)"
    for minute in range(0, MINUTES, EVERY):
        live = [(each, found) for each, found in cases if found.live[minute] > 0]
        scores = [(_shown(each), float(np.floor(found.live[minute] * 1e4 + 0.5) / 1e4)) for each, found in live]
        lengths = [
            (_shown(each), 60.0 * found.window[minute]) for each, found in live if found.window[minute] < MINUTES
        ]
        looks.append(_look(f"round({by_segment} ({n.LIVE}), 0.0001)", minute, scores))
        looks.append(
            _look(f"time() - {SETTLED / SECOND:g} - {by_segment} ({n.START}) < {60 * MINUTES}", minute, lengths)
        )
    test = {"interval": "1m", "input_series": series, "promql_expr_test": looks}
    whole = {"rule_files": [str(rules)], "group_eval_order": order, "evaluation_interval": "1m", "tests": [test]}
    return json.dumps(whole)


def _labels(each: History) -> str:
    value = ALL if each.dimension == ALL else "paid"
    return f'funnel_site="shop.example",funnel="cases",funnel_stage="{each.stage}",dimension="{each.dimension}",value="{value}"'


def _shown(each: History) -> str:
    return f'{{funnel_stage="{each.stage}", dimension="{each.dimension}"}}'


def _values(counter: np.ndarray[tuple[int], np.dtype[np.float64]]) -> str:
    return " ".join("_" if np.isnan(value) else repr(float(value)) for value in counter)


def _look(expression: str, minute: int, samples: list[tuple[str, float]]) -> dict[str, object]:
    expected = [{"labels": labels, "value": value} for labels, value in samples]
    return {"expr": expression, "eval_time": f"{minute + LATER}m", "exp_samples": expected}
