"""Who is responsible: the worker's own counters of a small shop, and what Prometheus makes of them by the shipped rules.

In each case something happens after two hours: one channel, one device, one cell or all of them sell less, or only the mix of channels
shifts, which lowers the stage's rate as much and is nobody's fault.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from schemas import metrics as m
from schemas.event import Event
from schemas.funnel import Funnel
from schemas.rules import Links, Scale, render, rule_file
from schemas.rules import names as n
from schemas.settings.sections import Site
from sinks.prometheus.labels import EVERYTHING, Segment
from streams.backtest.drops import steps_of
from streams.backtest.responsible import posteriors
from tests.alerts.promtool import LATER, needed, only, verdict
from tests.unit.expectation import shop
from tests.unit.expectation.shop import LEVELS, MINUTE, START, Visit, Worker, visits

BEFORE, AFTER, PER_MINUTE = 120, 40, 60
LOOK = BEFORE + 30  # minutes: when it is looked at
STEP = "cart"
#: Most of the visitors come by mail, then most by ads.
MIX = (0.2, 0.8)
SEGMENTS = (
    EVERYTHING,
    *(Segment("channel", channel) for channel in shop.RATES),
    *(Segment("device", device) for device in shop.DEVICES),
    *(Segment("channel×device", f"{channel}×{device}") for channel in shop.RATES for device in shop.DEVICES),
)
Counter = npt.NDArray[np.float64]


class Case(msgspec.Struct, frozen=True):
    """What fails, of those for whom `hit` holds, in `share` of the cases; and who is to be named (nobody: no page). `shifts`: the mix does."""

    name: str
    responsible: tuple[str, str] | None
    hit: Callable[[Event], bool] = lambda _: False
    share: float = 0.0
    shifts: bool = False


CASES = (
    Case("everywhere", ("all", "all"), lambda _: True, 0.4),
    Case("one-channel", ("channel", "email"), lambda event: event.channel == "email", 0.6),
    Case("one-device", ("device", "mobile"), lambda event: event.device == "mobile", 0.6),
    Case(
        "one-cell", ("channel×device", "email×mobile"), lambda event: (event.channel, event.device) == ("email", "mobile"), 0.9
    ),
    Case("mix-shift", None, shifts=True),
)  # fmt: skip


class Counted(msgspec.Struct, frozen=True):
    """Counters of the step by segment, at the end of each minute."""

    observed: dict[Segment, Counter]
    expected: dict[Segment, Counter]


def counted(case: Case) -> Counted:
    """The worker's counters."""
    rng = random.Random(case.name)
    usual = visits(rng, BEFORE, PER_MINUTE, MIX[0])
    later = visits(rng, AFTER, PER_MINUTE, MIX[1] if case.shifts else MIX[0])
    later = [Visit(one.at + BEFORE * MINUTE, f"later-{one.session}", one.channel, one.device) for one in later]
    seen = [event for event in shop.events(rng, [*usual, *later]) if not _lost(case, event, rng)]
    worker = Worker(shop.funnel(), {})
    found = Counted(*({segment: np.zeros(BEFORE + AFTER) for segment in SEGMENTS} for _ in range(2)))
    for minute in range(BEFORE + AFTER):
        begins = START + minute * MINUTE
        worker.follow(0, [(at, each) for at, each in enumerate(seen) if begins <= each.ts < begins + MINUTE])
        for segment in SEGMENTS:
            found.observed[segment][minute] = worker.observed(STEP, segment)
            found.expected[segment][minute] = worker.expected(STEP, segment)
    return found


def _lost(case: Case, event: Event, rng: random.Random) -> bool:
    after = event.event == LEVELS[-1] and event.ts >= START + BEFORE * MINUTE
    return after and case.hit(event) and rng.random() < case.share


@pytest.fixture(scope="module")
def cases() -> dict[str, Counted]:
    return {case.name: counted(case) for case in CASES}


def test_prometheus_names_who_is_responsible(cases: dict[str, Counted], tmp_path: Path) -> None:
    rules, file = tmp_path / "rules.yml", tmp_path / "test.yml"
    funnels = [msgspec.structs.replace(shop.funnel(), name=name) for name in cases]
    shipped = only(("definitions", "steps", "drops"), _rules(funnels))
    rules.write_text(needed((n.DROP, n.SEGMENT_DROP, n.POSTERIOR), shipped))
    named = [(case.name, case.responsible) for case in CASES if case.responsible is not None]
    looks = [
        _look(f"count by (funnel, dimension, value) (topk by (funnel) (1, {n.POSTERIOR} > 0.9))",
              {f'{{funnel="{name}",dimension="{dimension}",value="{value}"}}': 1 for name, (dimension, value) in named}),
        _look(f"round(max by (funnel) ({n.POSTERIOR}), 0.001)",
              {f'{{funnel="{name}"}}': round(max(_evaluated(cases[name]).values()), 3) for name, _ in named}),
        _look(f'count by (funnel) (ALERTS{{alertname=~"{n.DROP}|{n.SEGMENT_DROP}",alertstate="firing"}}) >= bool 1',
              {f'{{funnel="{name}"}}': 1 for name, _ in named}),
    ]  # fmt: skip
    series = [
        {"series": f"{metric.name}{{{_labels(name, segment)}}}", "values": " ".join(map(repr, counter.tolist()))}
        for name, found in cases.items()
        for metric, counters in (
            (m.STAGE_CONVERSIONS, found.observed),
            (m.STAGE_EXPECTED_CONVERSIONS, found.expected),
        )
        for segment, counter in counters.items()
    ]
    order = [group["name"] for group in json.loads(rules.read_text())["groups"]]
    test = {"interval": "1m", "input_series": series, "promql_expr_test": looks}
    whole = {"rule_files": [str(rules)], "group_eval_order": order, "evaluation_interval": "1m", "tests": [test]}
    file.write_text(json.dumps(whole))
    ran = verdict(file)
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[:4000]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case.name))
def test_the_backtest_names_the_same(cases: dict[str, Counted], case: Case) -> None:
    found = _evaluated(cases[case.name])
    named = max(found.items(), key=lambda item: item[1], default=None)
    if case.responsible is None:
        assert named is None
    else:
        assert named is not None
        assert (named[0].dimension, named[0].value) == case.responsible
        assert named[1] > 0.9


def test_the_mix_lowers_the_rate_as_much_as_a_fall_does(cases: dict[str, Counted]) -> None:
    """The case of a shift is no easy one: by the rate of all traffic alone it would be a fall of a sixth."""
    by_mix = [
        sum(share * shop.RATES[one][0] for one, share in zip(("paid", "email"), (mix, 1 - mix), strict=True))
        for mix in MIX
    ]
    sold = [
        sum(
            share * shop.RATES[one][0] * shop.RATES[one][1]
            for one, share in zip(("paid", "email"), (mix, 1 - mix), strict=True)
        )
        for mix in MIX
    ]
    assert sold[1] / by_mix[1] < 0.87 * sold[0] / by_mix[0]
    found = cases["mix-shift"]
    late = slice(BEFORE, None)
    came, due = (np.diff(each[EVERYTHING])[late].sum() for each in (found.observed, found.expected))
    assert came == pytest.approx(due, rel=0.06)


def _evaluated(found: Counted) -> dict[Segment, float]:
    steps = {each: steps_of(found.observed[each], found.expected[each]) for each in SEGMENTS}
    parts = {each: steps[each] for each in SEGMENTS if each.dimension in ("channel", "device")}
    cells = {each: steps[each] for each in SEGMENTS if "×" in each.dimension}
    return posteriors({EVERYTHING: steps[EVERYTHING]}, parts, cells, LOOK, {})


def _rules(funnels: list[Funnel]) -> str:
    return render(rule_file(funnels, Site(name="shop.example"), Links(), Scale()))


def _labels(funnel: str, segment: Segment) -> str:
    named = f'funnel_site="shop.example",funnel="{funnel}",funnel_stage="{STEP}"'
    return f'{named},dimension="{segment.dimension}",value="{segment.value}"'


def _look(expression: str, samples: dict[str, float]) -> dict[str, object]:
    expected = [{"labels": labels, "value": value} for labels, value in samples.items()]
    return {"expr": expression, "eval_time": f"{LOOK + LATER}m", "exp_samples": expected}
