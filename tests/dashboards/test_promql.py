"""Every PromQL of every panel, on a real Prometheus: it answers, has the labels that the panel shows, and the right figures."""

from __future__ import annotations

import math
import re
from collections import Counter
from typing import Any

import pytest

from grafana.boards.kinds import LEARNING
from schemas.event import MONEY_SCALE
from schemas.metrics import STAGE_EXPECTED_CONVERSIONS
from tests.dashboards import story
from tests.dashboards.conftest import Prometheus
from tests.dashboards.interpolate import SINCE, STEP, UNTIL, Query, fill, queries

ALL_TRAFFIC = {
    "site": story.SITE, "funnels": ".+", "funnel": "purchase", "dimension": "all", "value": "all", "stage": ".+",
}  # fmt: skip
PAID = {**ALL_TRAFFIC, "dimension": "channel", "value": "paid"}
HOSTILE = {**ALL_TRAFFIC, "funnel": story.SIGNUP.name, "dimension": "channel", "value": story.HOSTILE}

QUERIES = list(queries("prometheus"))
EACH = pytest.mark.parametrize("query", QUERIES, ids=[query.name for query in QUERIES])
#: Counters begin at their first scrape and `increase` extrapolates to the bounds of its range.
CLOSE = 0.03


def ask(prometheus: Prometheus, query: Query, variables: dict[str, str]) -> list[dict[str, Any]]:
    """The panel's series over the whole story."""
    text = fill(query.text, variables)
    if query.target.get("instant"):
        return prometheus.at(text, UNTIL)
    return prometheus.between(text, SINCE, UNTIL, STEP)


def numbers(series: dict[str, Any]) -> list[float]:
    points = [series["value"]] if "value" in series else series["values"]
    return [float(text) for _, text in points]


def figure(prometheus: Prometheus, name: str, variables: dict[str, str], **labels: str) -> float:
    """The one number of the panel `board: title ref` for these labels."""
    (query,) = (query for query in QUERIES if query.name == name)
    found = [one for one in ask(prometheus, query, variables) if labels.items() <= one["metric"].items()]
    assert len(found) == 1, (name, found)
    return numbers(found[0])[-1]


@EACH
def test_it_answers_with_what_the_panel_shows(prometheus: Prometheus, query: Query) -> None:
    variables = {**ALL_TRAFFIC, "dimension": "channel", "value": "paid"} if "value" in query.text else ALL_TRAFFIC
    found = ask(prometheus, query, variables)
    assert found, fill(query.text, variables)
    shown = set(re.findall(r"\{\{(\w+)\}\}", query.target.get("legendFormat") or ""))
    for series in found:
        assert shown <= series["metric"].keys()
        assert any(math.isfinite(number) for number in numbers(series)), series


@EACH
def test_a_segment_with_a_hostile_name_is_a_segment_like_any_other(prometheus: Prometheus, query: Query) -> None:
    ask(prometheus, query, HOSTILE)  # no error: the name ended no text


@pytest.mark.parametrize(
    "query",
    [query for query in QUERIES if STAGE_EXPECTED_CONVERSIONS.name in query.text],
    ids=lambda query: str(query.name),
)
def test_without_a_baseline_it_is_learning(prometheus: Prometheus, query: Query) -> None:
    text = fill(query.text, ALL_TRAFFIC).replace(STAGE_EXPECTED_CONVERSIONS.name, "funnel_not_exported_total")
    assert prometheus.at(text, UNTIL) == []
    alone = all(STAGE_EXPECTED_CONVERSIONS.name in target["expr"] for target in query.panel["targets"])
    assert not alone or query.panel["fieldConfig"]["defaults"]["noValue"] == LEARNING


@pytest.mark.parametrize(
    "name",
    [f"overview.json: {panel}" for panel in ("Funnels D", "Funnels E", "Observed for each expected conversion A")],
)
def test_what_was_learned_within_the_range_is_not_yet_compared(prometheus: Prometheus, name: str) -> None:
    (query,) = (query for query in QUERIES if query.name == name)
    since_learned = f"{(UNTIL - story.LEARNED) // 1000}s"
    asked = {
        window: fill(query.text.replace("$__range", window), ALL_TRAFFIC)
        for window in (since_learned, f"{(UNTIL - SINCE) // 1000}s")
    }
    shown = {window: {one["metric"]["funnel"] for one in prometheus.at(text, UNTIL)} for window, text in asked.items()}
    assert list(shown.values()) == [{"purchase", story.SIGNUP.name}, {"purchase"}]


def test_no_alert_is_another_thing_than_no_rules(prometheus: Prometheus) -> None:
    (query,) = (query for query in QUERIES if query.name == "overview.json: Alerts A")
    text = fill(query.text, ALL_TRAFFIC)
    (quiet,) = prometheus.at(text, story.END - 20 * 60_000 - 60_000)
    assert numbers(quiet) == [0]
    assert prometheus.at(text, story.RULES - 60_000) == []


def counted(**wanted: object) -> Counter[str]:
    """Rows of the purchase funnel by stage, that have these fields' values."""
    found = Counter[str]()
    for row in story.rows():
        if row.funnel == "purchase" and all(getattr(row, name) == value for name, value in wanted.items()):
            found[row.to_stage] += 1
    return found


def test_tiles_show_the_rows_counts(prometheus: Prometheus) -> None:
    entered = counted(kind="enter")
    assert entered["visit"] == 628
    assert figure(prometheus, "funnel.json: Attempts A", ALL_TRAFFIC) == pytest.approx(628, rel=CLOSE)
    assert figure(prometheus, "funnel.json: Conversions A", ALL_TRAFFIC) == pytest.approx(208, rel=CLOSE)
    assert figure(prometheus, "funnel.json: Conversion A", ALL_TRAFFIC) == pytest.approx(208 / 628, rel=CLOSE)
    paid = sum(
        row.kind == "enter" and row.stage == 0 and row.entry_dims[0] == "paid" and row.funnel == "purchase"
        for row in story.rows()
    )
    assert figure(prometheus, "funnel.json: Attempts A", PAID) == pytest.approx(paid, rel=CLOSE)
    assert figure(prometheus, "overview.json: Open attempts A", ALL_TRAFFIC) == 21
    assert figure(prometheus, "overview.json: Alerts A", ALL_TRAFFIC) == 1
    assert figure(prometheus, "pipeline.json: Lag A", ALL_TRAFFIC) == 42


def test_the_overview_table_has_one_row_for_each_funnel(prometheus: Prometheus) -> None:
    for ref, value in {"A": 628, "B": 208, "C": 208 / 628}.items():
        found = figure(prometheus, f"overview.json: Funnels {ref}", ALL_TRAFFIC, funnel="purchase")
        assert found == pytest.approx(value, rel=CLOSE)
    for query in QUERIES:
        if query.name.startswith("overview.json: Funnels "):
            funnels = [one["metric"]["funnel"] for one in ask(prometheus, query, ALL_TRAFFIC)]
            learned = query.target["refId"] not in "DE"
            assert sorted(funnels) == (["purchase", story.SIGNUP.name] if learned else ["purchase"])


def test_money_at_risk_is_the_worst_stages_loss_at_the_average_basket(prometheus: Prometheus) -> None:
    earned = sum(row.value for row in story.rows() if row.kind == "enter" and row.value) / MONEY_SCALE
    basket = earned / 208
    # 1.25 conversions were expected for each that came, at every stage: a quarter of the funnel's own is missing at each.
    lost = 0.25 * 208
    revenue = figure(prometheus, "overview.json: Revenue A", ALL_TRAFFIC, funnel="purchase")
    assert revenue == pytest.approx(earned, rel=CLOSE)
    assert figure(prometheus, "overview.json: Revenue C", ALL_TRAFFIC, funnel="purchase") == pytest.approx(
        basket, rel=CLOSE
    )
    assert figure(prometheus, "overview.json: Revenue D", ALL_TRAFFIC, funnel="purchase") == pytest.approx(
        lost * basket, rel=2 * CLOSE
    )
    against = figure(prometheus, "overview.json: Funnels E", ALL_TRAFFIC, funnel="purchase")
    assert against == pytest.approx(1 / 1.25 - 1, abs=0.02)


def test_lines_and_bars_have_the_stages_figures(prometheus: Prometheus) -> None:
    bar = "funnel.json: Observed for each expected conversion A"
    for stage in ("visit", "cart", "coupon"):
        assert figure(prometheus, bar, ALL_TRAFFIC, funnel_stage=stage) == pytest.approx(0.8, rel=CLOSE)
    everything = {**ALL_TRAFFIC, "smooth": BUILT_IN_RANGE}
    start = figure(prometheus, "funnel.json: Rate from start A", everything, funnel_stage="cart")
    assert start == pytest.approx(344 / 628, rel=CLOSE)
    onward = figure(prometheus, "funnel.json: Rate onward A", everything, funnel_stage="visit")
    assert onward == pytest.approx(344 / 628, rel=CLOSE)


BUILT_IN_RANGE = f"{(UNTIL - SINCE) // 1000}s"


def test_the_band_lies_around_the_expectation(prometheus: Prometheus) -> None:
    name = "funnel.json: Onward from $stage: observed and expected"
    one = {**ALL_TRAFFIC, "stage": "cart", "smooth": BUILT_IN_RANGE}
    observed, expected, high, low = (figure(prometheus, f"{name} {ref}", one) for ref in "ABCD")
    attempts, wanted = 344, expected * 344
    assert expected == pytest.approx(1.25 * observed, rel=CLOSE)
    assert high - expected == pytest.approx(2 * math.sqrt(wanted) / attempts, rel=2 * CLOSE)
    assert expected - low == pytest.approx(high - expected, rel=CLOSE)


def test_percentiles_lie_in_the_buckets_of_the_rows(prometheus: Prometheus) -> None:
    waits = sorted(row.duration for row in story.rows() if row.to_stage == "cart" and row.kind == "enter")
    half = waits[len(waits) // 2] / 1000
    assert 60 < half < 120
    found = figure(prometheus, "funnel.json: Time to each stage A", ALL_TRAFFIC, funnel_stage="cart")
    assert 60 < found <= 120


def test_what_burns_says_since_when(prometheus: Prometheus) -> None:
    since = figure(prometheus, "overview.json: What is burning A", ALL_TRAFFIC)
    assert since == story.END - 20 * 60_000
