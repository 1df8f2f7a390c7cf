"""Noise and thresholds over five weeks of hours: the evaluator says what Prometheus says, and an incident hardly counts."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from schemas.metrics import ALL
from schemas.rules import Links, Scale, render, rule_file
from schemas.rules import names as n
from schemas.rules.drop import HEALTHY, THRESHOLD
from streams.backtest.calibration import fitted, noise, tolerated
from streams.backtest.drops import Steps
from tests.alerts.promtool import need_promtool, only
from tests.alerts.shipped import FUNNELS, SETTINGS

HOURS = 35 * 24
LOOKS = (0, 100, 167, 168, 169, 400, 671, 672, 673, HOURS - 1)
Floats = npt.NDArray[np.float64]


class Site(msgspec.Struct, frozen=True):
    """What Prometheus has of one segment at each hour: sums over the window of the noise, and the best score."""

    stage: str
    steps: Steps
    observed: Floats
    expected: Floats
    score: Floats


def _site(stage: str, rate: float, swing: float, seed: int) -> Site:
    """`rate` expected conversions a minute; the true rate swings by `swing` from hour to hour."""
    rng = np.random.default_rng(seed)
    expected = np.full(HOURS * 60, rate) * (1 + 0.5 * np.sin(np.arange(HOURS * 60) / 720 * np.pi))
    wander = np.repeat(1 + swing * rng.standard_normal(HOURS), 60)
    observed = rng.poisson(expected * np.maximum(wander, 0)).astype(float)
    score = np.round(rng.exponential(2, HOURS), 3)
    return Site(stage, Steps(observed, expected), _windows(observed), _windows(expected), score)


def _windows(step: Floats) -> Floats:
    total = np.concatenate([[0.0], np.cumsum(step)])
    ends = np.arange(0, len(step), 60) + 1
    return np.asarray(total[ends] - total[np.maximum(ends - 150, 0)])


SITES = (
    _site("visit", 0.02, 0.1, 1), _site("view_item", 2, 0.05, 2), _site("add_to_cart", 50, 0.2, 3),
    _site("begin_checkout", 20, 0.5, 4),
)  # fmt: skip


def test_prometheus_says_the_same(tmp_path: Path) -> None:
    rules, file = tmp_path / "rules.yml", tmp_path / "test.yml"
    shipped = render(rule_file(FUNNELS, SETTINGS.site, Links(), Scale()))
    rules.write_text(only(("calibration", "definitions"), shipped))
    series = [
        {"series": name + _labels(site, extra), "values": " ".join(repr(float(value)) for value in values)}
        for site in SITES
        for name, extra, values in (
            (n.OBSERVED, 'window="2h30m"', site.observed),
            (n.EXPECTED, 'window="2h30m"', site.expected),
            (n.SCORE, 'window="1h",slope="severe"', site.score),
        )
    ]
    looks = [look for hour in LOOKS for look in _looks(hour)]
    order = [group["name"] for group in json.loads(rules.read_text())["groups"]][::-1]
    test = {"interval": "1h", "input_series": series, "promql_expr_test": looks}
    file.write_text(
        json.dumps(
            {"rule_files": [str(rules)], "group_eval_order": order, "evaluation_interval": "1h", "tests": [test]}
        )
    )
    command = ["nice", "-n", "15", need_promtool(), "test", "rules", str(file)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[:4000]


def _looks(hour: int) -> list[dict[str, object]]:
    noises = [(site, noise(site.steps)[hour]) for site in SITES]
    fits = [(site, fitted(site.score)[hour]) for site in SITES]
    standing = [(site, THRESHOLD if np.isnan(value) else value) for site, value in fits]
    of_purchase = f'{{funnel="purchase", funnel_stage=~"{"|".join(site.stage for site in SITES)}"}}'
    return [
        _look(f"round(max by (funnel_stage) ({n.NOISE}), 0.0001)", hour, noises),
        _look(f"round(max by (funnel_stage) ({n.FITTED}), 0.0001)", hour, fits),
        _look(f"round(max by (funnel_stage) ({n.THRESHOLD}{of_purchase}), 0.0001)", hour, standing),
    ]


def _look(expression: str, hour: int, samples: list[tuple[Site, float]]) -> dict[str, object]:
    expected = [
        {"labels": f'{{funnel_stage="{site.stage}"}}', "value": float(np.floor(value * 1e4 + 0.5) / 1e4)}
        for site, value in samples
        if not np.isnan(value)
    ]
    return {"expr": expression, "eval_time": f"{hour}h", "exp_samples": expected}


def _labels(site: Site, extra: str) -> str:
    named = f'funnel_site="{SETTINGS.site.name}",funnel="purchase",funnel_stage="{site.stage}"'
    return f'{{{named},dimension="{ALL}",value="{ALL}",{extra}}}'


@pytest.mark.parametrize(("number", "swing"), [(1, 0.05), (2, 0.2)])
def test_noise_is_what_chance_does_not_explain(number: int, swing: float) -> None:
    """The mean of 2 h 30 min swings by 0.6 of what single hours swing by: √(60² + 60² + 29² + 1) / 150."""
    assert noise(SITES[number].steps)[-1] == pytest.approx(0.6 * swing, rel=0.2)


def test_little_traffic_has_no_noise_of_its_own() -> None:
    assert np.all(tolerated(SITES[0].steps)[-60:] == HEALTHY)


def test_a_day_without_conversions_moves_what_is_tolerated_by_little() -> None:
    steps = SITES[1].steps
    fallen = steps.observed.copy()
    fallen[30 * 1440 : 31 * 1440] = 0
    before, after = (tolerated(Steps(each, steps.expected))[-1] for each in (steps.observed, fallen))
    assert before == HEALTHY
    assert after == pytest.approx(0.9, abs=0.02)
