"""Every SQL of every panel and variable, on ClickHouse's engine: it answers, has the panel's columns, and the right figures."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from grafana.boards.__main__ import BOARDS, FOLDER
from grafana.boards.sql import ENTRY, EXIT, RETURN
from schemas.event import MONEY_SCALE
from schemas.report import Report
from schemas.rows import Kind
from schemas.tally import report_from_rows
from sinks.clickhouse.client import Client
from tests.dashboards import story
from tests.dashboards.interpolate import Query, fill, queries

ALL_TRAFFIC = {"funnel": "purchase", "version": story.SHOP.version, "dimension": "all", "value": "all"}
PAID = {**ALL_TRAFFIC, "dimension": "channel", "value": "paid"}
HOSTILE = {**ALL_TRAFFIC, "dimension": "channel", "value": story.HOSTILE}
SIGNUP = {**HOSTILE, "funnel": story.SIGNUP.name, "version": story.SIGNUP.version}

QUERIES = list(queries("grafana-clickhouse-datasource"))
EACH = pytest.mark.parametrize("query", QUERIES, ids=[query.name for query in QUERIES])
Rows = list[dict[str, Any]]


def answer(client: Client, text: str, variables: dict[str, str]) -> Rows:
    """The rows of a query by column, in order."""
    return list(client.query(fill(text, variables)).named_results())


def panel(client: Client, name: str, variables: dict[str, str]) -> Rows:
    """The rows of the panel `board: title ref`."""
    (query,) = (query for query in QUERIES if query.name == name)
    return answer(client, query.text, variables)


def told(variables: dict[str, str]) -> Report:
    """What the same rows say without ClickHouse."""
    rows = [
        row for row in story.rows()
        if variables["dimension"] == "all" or row.entry_dims[story.SHOP.dimensions.index(variables["dimension"])] == variables["value"]
    ]  # fmt: skip
    return report_from_rows(story.SHOP, rows, {}, None)


@EACH
def test_it_answers_with_the_columns_of_the_panel(shop: Client, query: Query) -> None:
    by_dimension = (
        PAID if "dimension = decode" in query.text and "dimension_value = decode" not in query.text else ALL_TRAFFIC
    )
    found = answer(shop, query.text, by_dimension)
    assert found, fill(query.text, by_dimension)
    columns = found[0].keys()
    for override in query.panel["fieldConfig"]["overrides"]:
        assert override["matcher"]["options"] in columns
    if query.target["format"] == 0:
        assert next(iter(columns)) == "time"
        times = [row["time"] for row in found]
        assert times == sorted(times)


@EACH
def test_hostile_names_are_texts_like_any_other(shop: Client, query: Query) -> None:
    for variables in (HOSTILE, SIGNUP, {**HOSTILE, "funnel": "') UNION ALL SELECT 1 --"}):
        answer(shop, query.text, variables)  # no error: they ended no text


@pytest.mark.parametrize("variables", [ALL_TRAFFIC, PAID, HOSTILE], ids=["all", "paid", "hostile"])
def test_stages_are_those_of_the_report(shop: Client, variables: dict[str, str]) -> None:
    found, report = panel(shop, "funnel.json: Stages A", variables), told(variables)
    assert report.attempts > 20
    assert [row["Stage"] for row in found] == [stage.stage for stage in report.stages]
    for row, stage in zip(found, report.stages, strict=True):
        assert (row["Attempts"], row["Dropped off"], row["Open"]) == (stage.attempts, stage.dropped, stage.open)
        assert row["From start"] == pytest.approx(stage.attempts / report.attempts)
    by_name = {row["Stage"]: row for row in found}
    cart, buy = by_name["cart"], by_name["buy"]
    assert by_name["coupon"]["From previous"] == pytest.approx(by_name["coupon"]["Attempts"] / cart["Attempts"])
    assert buy["From previous"] == pytest.approx(buy["Attempts"] / cart["Attempts"])  # the coupon is optional


def test_drop_offs_are_those_of_the_report(shop: Client) -> None:
    found = {row.pop("Stage"): row for row in panel(shop, "funnel.json: Drop-off by stage and reason A", ALL_TRAFFIC)}
    for stage in told(ALL_TRAFFIC).stages[:-1]:
        named = {reason.replace("_", " ").capitalize(): count for reason, count in stage.dropped_by.items()}
        assert {reason: count for reason, count in found[stage.stage].items() if count} == named
    assert found["cart"]["Excluded"] == 18


def test_time_to_convert_is_that_of_the_rows(shop: Client) -> None:
    (query,) = (query for query in QUERIES if query.name == "funnel.json: Time to convert A")
    text = query.text.replace("$__interval_ms", "86400000")
    (row,) = answer(shop, text, ALL_TRAFFIC)
    waits = sorted(row.duration for row in story.rows() if row.outcome == "converted" and row.funnel == "purchase")
    assert row["half within"] == pytest.approx(waits[len(waits) // 2] / 1000, rel=0.03)
    assert row["90 % within"] == pytest.approx(waits[len(waits) * 9 // 10] / 1000, rel=0.03)


def test_edges_are_those_of_the_rows(shop: Client) -> None:
    wanted = Counter[tuple[str, str, str]]()
    for row in story.rows():
        if row.funnel != "purchase" or row.outcome == "converted" or row.kind == Kind.REFUND:
            continue
        if row.kind == Kind.END:
            wanted[row.from_stage, EXIT, "exit"] += 1
        elif row.kind == Kind.MOVE:
            wanted[row.from_stage or ENTRY, row.to_stage, row.direction] += 1
        elif row.from_stage:
            wanted[row.from_stage, row.to_stage, "forward"] += 1
        else:
            wanted[(RETURN, row.to_stage, "return") if row.recovered else (ENTRY, row.to_stage, "forward")] += 1
    found = panel(shop, "journeys.json: Edges A", ALL_TRAFFIC)
    assert {(row["From"], row["To"], row["Way"]): row["Walked"] for row in found} == wanted
    assert {way for _, _, way in wanted} == {"forward", "skip", "back", "exit", "return"}
    edges = panel(shop, "journeys.json: Ways between stages edges", ALL_TRAFFIC)
    assert {(row["source"], row["target"], row["secondarystat"]): row["mainstat"] for row in edges} == wanted
    nodes = {row["id"]: row["mainstat"] for row in panel(shop, "journeys.json: Ways between stages nodes", ALL_TRAFFIC)}
    assert nodes.keys() == {place for origin, target, _ in wanted for place in (origin, target)}
    assert nodes["cart"] == sum(n for (_, target, _), n in wanted.items() if target == "cart")
    assert (nodes[ENTRY], nodes[EXIT]) == (0, 420)


def test_segments_are_ranked_by_what_they_cost(shop: Client) -> None:
    found = panel(shop, "segments.json: Worse than the others A", ALL_TRAFFIC)
    assert {row["Dimension"] for row in found} == {"channel", "device"}
    assert [row["Lost revenue"] for row in found] == sorted((row["Lost revenue"] for row in found), reverse=True)
    by_value = {row["Value"]: row for row in found}
    paid, whole = told(PAID), told(ALL_TRAFFIC)
    others = (whole.converted - paid.converted) / (whole.attempts - paid.attempts)
    assert by_value["paid"]["The others"] == pytest.approx(others)
    assert by_value["paid"]["Conversions missing"] == pytest.approx(others * paid.attempts - paid.converted)
    net = sum(row.value or 0 for row in story.rows() if row.funnel == "purchase") / MONEY_SCALE
    lost = by_value["paid"]["Conversions missing"] * net / whole.converted
    assert by_value["paid"]["Lost revenue"] == pytest.approx(lost)
    assert "mail" not in by_value  # better than the others


def test_revenue_is_that_of_the_rows(shop: Client) -> None:
    money = Counter[str]()
    for row in story.rows():
        if row.value and row.entry_dims[0] == "paid":
            money[row.kind] += row.value
    (found,) = (row for row in panel(shop, "revenue.json: Revenue by value A", PAID) if row["Value"] == "paid")
    assert (found["Revenue"], found["Refunds"]) == (money["enter"] / MONEY_SCALE, money["refund"] / MONEY_SCALE)
    assert (found["Currency"], found["Sales"]) == ("EUR", told(PAID).converted)
    over_time = panel(shop, "revenue.json: Revenue over time A", PAID)
    assert sum(row["earned"] for row in over_time) == pytest.approx(sum(money.values()) / MONEY_SCALE)
    goals = {row["Funnel"]: row for row in panel(shop, "revenue.json: Goals A", ALL_TRAFFIC)}
    assert (goals["purchase"]["Conversions"], goals[story.SIGNUP.name]["Conversions"]) == (208, 179)


def test_targets_are_compared_with_the_share_of_those_who_could_go_on(shop: Client) -> None:
    found = panel(shop, "overview.json: Against target A", ALL_TRAFFIC)
    assert [(row["Stage"], row["Target"], row["Floor"]) for row in found] == [("buy", 0.9, None), ("cart", 0.7, 0.2)]
    assert [row["Now"] for row in found] == [pytest.approx(208 / 344), pytest.approx(344 / 628)]
    assert found[0]["Against target"] == pytest.approx(208 / 344 / 0.9 - 1)


def test_the_pipeline_tables_have_the_newest_letters_and_the_progress(shop: Client) -> None:
    letters = panel(shop, "pipeline.json: Newest dead letters A", ALL_TRAFFIC)
    assert [row["Offset"] for row in letters] == list(range(11, -1, -1))
    followed = panel(shop, "pipeline.json: Followed to A", ALL_TRAFFIC)
    assert [(row["Funnel"], row["Read"], row["Late"]) for row in followed] == [
        ("purchase", 4000, 20),
        (story.SIGNUP.name, 4000, 20),
    ]


def test_variables_offer_what_is_there(shop: Client) -> None:
    offered = {}
    for board in BOARDS:
        for variable in msgspec.json.decode((FOLDER / board).read_bytes())["templating"]["list"]:
            if variable["type"] == "query" and variable["datasource"]["type"] == "grafana-clickhouse-datasource":
                found = [next(iter(row.values())) for row in answer(shop, variable["query"], PAID)]
                offered[variable["name"]] = found
    assert offered == {
        "funnel": ["purchase", story.SIGNUP.name], "version": [story.SHOP.version], "dimension": ["all", "channel", "device"],
        "value": ["paid", "mail", "(none)", story.HOSTILE],
    }  # fmt: skip


def test_the_hours_of_past_days_say_the_same_once_they_are_computed(shop: Client) -> None:
    shop.command("SYSTEM STOP VIEW hours_mv")  # it may have been computed meanwhile
    shop.command("TRUNCATE TABLE hours")
    before = {query.name: answer(shop, query.text, PAID) for query in QUERIES}
    assert shop.query("SELECT count() FROM hours").result_rows[0][0] == 0
    shop.command("SYSTEM START VIEW hours_mv")
    shop.command("SYSTEM REFRESH VIEW hours_mv")
    shop.command("SYSTEM WAIT VIEW hours_mv")
    assert shop.query("SELECT count() FROM hours").result_rows[0][0] > 100
    for query in QUERIES:
        now = answer(shop, query.text, PAID)
        assert [rounded(row) for row in now] == [rounded(row) for row in before[query.name]], query.name


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    """A row whose numbers don't depend on the order of summing."""
    return {name: float(f"{value:.6g}") if isinstance(value, float) else value for name, value in row.items()}
