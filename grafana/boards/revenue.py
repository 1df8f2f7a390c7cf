"""Goals and revenue: conversions of any kind, with and without money."""

from __future__ import annotations

from grafana.boards import promql, sql_totals
from grafana.boards.kinds import COUNT, FULL, HALF, MONEY, SHARE, Column, Size, Words, curves, grid, tile
from grafana.boards.layout import Board, Section, link
from grafana.boards.promql import RANGE, SEGMENT
from grafana.boards.sources import CLICKHOUSE, lines, now, rows, sql_lines
from grafana.boards.uids import FUNNEL_UID, REVENUE_UID
from grafana.boards.variables import data_sources, of_prometheus, site, smoothing, version
from schemas.metrics import CONVERSION_VALUE, CONVERSIONS, FUNNEL, REFUND_VALUE

_MONEY = ("currency",)
_EMPTY, _NO_MONEY = "no conversions in this range", "no revenue in this range"
_WIDE = Size(6, 4)

_TILES = (
    tile(
        Words("Conversions", "Attempts of the segment that reached the last stage, in the range.", _EMPTY),
        now(promql.net(CONVERSIONS, (FUNNEL,), RANGE, SEGMENT)), COUNT, size=_WIDE, decimals=0,
    ),
    tile(
        Words("Revenue", "Of the segment in the range, by currency, refunds not taken off.", _NO_MONEY),
        now(promql.net(CONVERSION_VALUE, _MONEY, RANGE, SEGMENT), "{{currency}}"), MONEY, size=_WIDE, decimals=0,
    ),
    tile(
        Words("Refunds", "Money given back in the range, by currency, whenever it had been earned.", "no refunds in this range"),
        now(promql.net(REFUND_VALUE, _MONEY, RANGE, SEGMENT), "{{currency}}"), MONEY, size=_WIDE, decimals=0,
    ),
    tile(
        Words("Average basket", "Revenue in this currency for each conversion, in the range.", _NO_MONEY),
        now(promql.basket((FUNNEL,), RANGE, SEGMENT), "{{currency}}"), MONEY, size=_WIDE, decimals=2,
    ),
)  # fmt: skip

_GOALS = grid(
    Words(
        "Goals", "All funnels and goals: attempts, conversions and returns after a drop-off, in the range by hour of entry.", _EMPTY
    ),
    [rows(sql_totals.GOALS)],
    [
        Column("Funnel", link=link(FUNNEL_UID, funnel="${__value.raw:percentencode}")), Column("Attempts", decimals=0),
        Column("Conversions", decimals=0), Column("Conversion", SHARE, decimals=1), Column("Returns", decimals=0),
    ],
    HALF, CLICKHOUSE,
)  # fmt: skip

_CONVERSIONS = curves(
    Words(
        "Conversions over time", "Attempts of the segment that reached the last stage, in each step of time.", _EMPTY
    ),
    [lines(promql.net(CONVERSIONS, (FUNNEL,), "$__rate_interval", SEGMENT), "{{funnel}}")],
    COUNT,
)

_REVENUE = curves(
    Words("Revenue over time", "Net of refunds, by the hour in which the attempts entered.", _NO_MONEY),
    [sql_lines(sql_totals.REVENUE_OVER_TIME)],
    MONEY, source=CLICKHOUSE, lowest=None,
)  # fmt: skip

_BASKET = curves(
    Words(
        "Average basket over time",
        "Revenue in each currency for each conversion, over the smoothing window.",
        _NO_MONEY,
    ),
    [lines(promql.basket((FUNNEL,), promql.SMOOTH, SEGMENT), "{{currency}}")],
    MONEY,
)

_BY_VALUE = grid(
    Words(
        "Revenue by value",
        "Of the chosen dimension, in the range by hour of entry. An order that several units share counts for each; "
        "`funnelwatch report` counts it once.",
        _NO_MONEY,
    ),
    [rows(sql_totals.REVENUE_BY_VALUE)],
    [
        Column("Revenue", MONEY, decimals=2), Column("Refunds", MONEY, decimals=2), Column("Net", MONEY, decimals=2),
        Column("Sales", decimals=0), Column("Average basket", MONEY, decimals=2),
    ],
    FULL, CLICKHOUSE,
)  # fmt: skip

REVENUE = Board(
    REVENUE_UID,
    "Goals and revenue",
    "Conversions of any kind, and the money that they bring.",
    (*data_sources(), site(), *of_prometheus(), version(), smoothing()),
    (
        Section("In this range", _TILES),
        Section("Goals", (_GOALS, _CONVERSIONS)),
        Section("Revenue", (_REVENUE, _BASKET, _BY_VALUE)),
    ),
)
