"""Segments: who converts worse than expected, or than the others, ranked by what it costs."""

from __future__ import annotations

from grafana.boards import promql, sql_totals
from grafana.boards.kinds import (
    COUNT,
    FULL,
    GREEN,
    GREY,
    HALF,
    LEARNING,
    MONEY,
    ORANGE,
    RED,
    SHARE,
    Column,
    Words,
    bars,
    curves,
    grid,
    joined,
)
from grafana.boards.layout import Board, Section, link
from grafana.boards.promql import RANGE, SMOOTH, THIS_SITE
from grafana.boards.sources import CLICKHOUSE, cells, lines, rows, sql_lines
from grafana.boards.uids import FUNNEL_UID, SEGMENTS_UID
from grafana.boards.variables import data_sources, of_prometheus, site, smoothing, version
from schemas.metrics import ALL, ATTEMPTS_STARTED, CONVERSIONS, DIMENSION, FUNNEL, VALUE

#: Every segment but all traffic: a sum over several dimensions would count attempts several times, a ranking does not.
_EACH = (THIS_SITE, f'{FUNNEL}="$funnel"', f'{DIMENSION}!="{ALL}"')
_BY, _BY_VALUE = (FUNNEL, DIMENSION, VALUE), (FUNNEL, VALUE)
_EMPTY = "no attempts in this range"
_TO_SEGMENT = link(
    FUNNEL_UID, funnel="${funnel:percentencode}", dimension="${__data.fields.Dimension:percentencode}",
    value="${__value.raw:percentencode}",
)  # fmt: skip
_WORSE = ((None, RED), (-0.3, ORANGE), (-0.1, GREEN))

_AGAINST_EXPECTED = joined(
    grid(
        Words(
            "Worse than expected",
            "Segments by the conversions that their own baseline expected and that did not come, in the range, at the stage that loses most. "
            "A change of the mix of traffic is no loss here. Click a value to open the funnel for it.",
            LEARNING,
        ),
        [
            cells(f"topk(20, clamp_min({promql.worst_loss(_BY, RANGE, _EACH, promql.WHOLE)}, 0) > 0)", "A"),
            cells(promql.net(ATTEMPTS_STARTED, _BY, RANGE, _EACH), "B"),
            cells(promql.conversion(_BY, RANGE, _EACH), "C"),
            cells(promql.net(CONVERSIONS, _BY, RANGE, _EACH), "D"),
        ],
        [
            Column("Value", link=_TO_SEGMENT), Column("Conversions missing", steps=((None, GREY), (1, ORANGE)), decimals=1),
            Column("Attempts", decimals=0), Column("Conversion", SHARE, decimals=1), Column("Conversions", decimals=0),
        ],
        order="Conversions missing",
    ),
    {
        DIMENSION: "Dimension", VALUE: "Value", "Value #B": "Attempts", "Value #C": "Conversion", "Value #D": "Conversions",
        "Value #A": "Conversions missing",
    },
    hidden=[FUNNEL],
)  # fmt: skip

_AGAINST_OTHERS = grid(
    Words(
        "Worse than the others",
        "Every value of every dimension that converts worse than the rest of the traffic, by the revenue that this costs. Not every gap is "
        "a fault: some segments are like that. Certainty: the gap in standard deviations of chance; below 2 it may be nothing.",
        "no segment converts worse than the others",
    ),
    [rows(sql_totals.SEGMENTS_AGAINST_REST)],
    [
        Column("Value", link=_TO_SEGMENT), Column("Attempts", decimals=0), Column("Conversion", SHARE, decimals=1),
        Column("The others", SHARE, decimals=1), Column("Against them", SHARE, _WORSE, 0),
        Column("Conversions missing", decimals=1), Column("Lost revenue", MONEY, decimals=0),
        Column("Certainty", "none", ((None, GREY), (2, ORANGE), (4, RED)), 1),
    ],
    FULL, CLICKHOUSE,
)  # fmt: skip

_RATES = bars(
    Words(
        "Conversion by value", "Of the chosen dimension, in the range by hour of entry; the values with most attempts.", _EMPTY
    ),
    rows(sql_totals.RATES_BY_VALUE), SHARE, HALF, CLICKHOUSE, each_row=True, field="Conversion",
)  # fmt: skip

_TABLE = grid(
    Words("Values", "Of the chosen dimension, in the range by hour of entry.", _EMPTY),
    [rows(sql_totals.RATES_BY_VALUE)],
    [Column("Attempts", decimals=0), Column("Conversions", decimals=0), Column("Conversion", SHARE, decimals=1)],
    HALF, CLICKHOUSE,
)  # fmt: skip

_OVER_TIME = curves(
    Words("Conversion over time", "Of the eight values with most attempts, by hour of entry.", _EMPTY),
    [sql_lines(sql_totals.RATES_OVER_TIME)],
    SHARE, source=CLICKHOUSE,
)  # fmt: skip

_LIVE = curves(
    Words(
        "Conversion now", "Of the values that Prometheus counts, over the smoothing window: conversions for each attempt started.", _EMPTY
    ),
    [lines(promql.conversion(_BY_VALUE, SMOOTH, promql.VALUES), "{{value}}")],
    SHARE,
)  # fmt: skip

_ATTEMPTS = curves(
    Words("Attempts by value", "Started in each step of time, by the values that Prometheus counts.", _EMPTY),
    [lines(promql.net(ATTEMPTS_STARTED, _BY_VALUE, "$__rate_interval", promql.VALUES), "{{value}}")],
    COUNT, stacked=True,
)  # fmt: skip

_CONVERSIONS = curves(
    Words("Conversions by value", "In each step of time, by the values that Prometheus counts.", _EMPTY),
    [lines(promql.net(CONVERSIONS, _BY_VALUE, "$__rate_interval", promql.VALUES), "{{value}}")],
    COUNT, stacked=True,
)  # fmt: skip

SEGMENTS = Board(
    SEGMENTS_UID,
    "Segments",
    "Who converts worse than expected, and than the others, ranked by what it costs.",
    (*data_sources(), site(), *of_prometheus(value=False), version(), smoothing()),
    (
        Section("Ranked by loss", (_AGAINST_EXPECTED, _AGAINST_OTHERS)),
        Section("By $dimension", (_RATES, _TABLE, _OVER_TIME, _LIVE, _ATTEMPTS, _CONVERSIONS)),
    ),
    alerts=promql.ALERTS_OF_FUNNEL,
)
