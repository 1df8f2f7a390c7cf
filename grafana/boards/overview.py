"""Overview: every funnel on one screen, and what burns."""

from __future__ import annotations

from grafana.boards import promql, sql_totals
from grafana.boards.kinds import (
    COUNT,
    GREEN,
    GREY,
    HALF,
    LEARNING,
    MONEY,
    ORANGE,
    RED,
    SECONDS,
    SHARE,
    Column,
    Words,
    bars,
    curves,
    grid,
    joined,
    tile,
)
from grafana.boards.layout import Board, Section, link
from grafana.boards.promql import FUNNELS, RANGE, SMOOTH, THIS_SITE
from grafana.boards.sources import CLICKHOUSE, cells, lines, now, rows
from grafana.boards.uids import FUNNEL_UID, OVERVIEW_UID
from grafana.boards.variables import data_sources, funnels, site, smoothing
from schemas.metrics import (
    ATTEMPTS_OPEN,
    ATTEMPTS_STARTED,
    CONVERSION_VALUE,
    CONVERSIONS,
    DIMENSION,
    FUNNEL,
    REFUND_VALUE,
    SITE,
    STAGE,
    STAGE_CONVERSIONS,
    VALUE,
    WATERMARK,
)

#: Against an expectation or a target: the detector has a dead zone of 10 %.
AGAINST = ((None, RED), (-0.3, ORANGE), (-0.1, GREEN))
_BY_FUNNEL, _BY_MONEY = (FUNNEL,), (FUNNEL, "currency")
#: The project's alerts (the watchdog fires always): those of the chosen funnels, and those of the pipeline, which have no funnel.
_ALERTS = ('alertname=~"Funnel.+"', 'alertname!="FunnelWatchdog"', f'{SITE}=~"$site|"', f'{FUNNEL}=~"$funnels|"')
_WATCHDOG = promql.select("ALERTS", (promql.FIRING, 'alertname="FunnelWatchdog"'))
_TO_FUNNEL = link(FUNNEL_UID, funnel="${__value.raw:percentencode}")
_NO_ATTEMPTS = "no attempts in this range"

_TILES = (
    tile(
        Words("Alerts", "Alerts that fire now for these funnels. 0: nothing burns.", "no alert rules"),
        now(f"count({promql.select('ALERTS', (promql.FIRING, *_ALERTS))}) or 0 * count({_WATCHDOG})"),
        COUNT, ((None, GREEN), (1, RED)),
    ),
    tile(
        Words("Attempts", "Attempts that entered the funnels at their first stage, in the range.", _NO_ATTEMPTS),
        now(f"sum({promql.net(ATTEMPTS_STARTED, _BY_FUNNEL, RANGE, FUNNELS)})"), COUNT,
    ),
    tile(
        Words("Conversions", "Attempts that reached the last stage, in the range.", "no conversions in this range"),
        now(f"sum({promql.net(CONVERSIONS, _BY_FUNNEL, RANGE, FUNNELS)})"), COUNT,
    ),
    tile(
        Words("Open attempts", "Attempts that can still advance, now.", "no worker is scraped"),
        now(f"sum({promql.select(ATTEMPTS_OPEN.name, FUNNELS[:2])})"), COUNT,
    ),
    tile(
        Words(
            "Money at risk",
            "What the conversions that are missing in the range would have brought at the last day's average basket, by "
            "currency. Counted at the stage of each funnel that loses most.",
            LEARNING,
        ),
        now(f"sum by (currency) ({promql.at_risk(_BY_FUNNEL, RANGE, FUNNELS)})", "{{currency}}"),
        MONEY, ((None, GREEN), (1, ORANGE)), decimals=0,
    ),
    tile(
        Words(
            "Behind", "How far the event time that has been followed lies behind now. Figures are that old.",
            "no worker is scraped",
        ),
        now(f"time() - min({promql.select(WATERMARK.name, (THIS_SITE,))})"),
        SECONDS, ((None, GREEN), (300, ORANGE), (1800, RED)),
    ),
)  # fmt: skip

_FUNNELS = joined(
    grid(
        Words(
            "Funnels",
            "Conversion in the range against what the baseline leads one to expect of the same attempts. Recent attempts may still "
            "convert; the expectation knows how many should have by now. Expected: had the stage that loses most kept its rate. "
            "Click a funnel to open it.",
            _NO_ATTEMPTS,
        ),
        [
            cells(promql.net(ATTEMPTS_STARTED, _BY_FUNNEL, RANGE, FUNNELS), "A"),
            cells(promql.net(CONVERSIONS, _BY_FUNNEL, RANGE, FUNNELS), "B"),
            cells(promql.conversion(_BY_FUNNEL, RANGE, FUNNELS), "C"),
            cells(promql.expected_conversion(_BY_FUNNEL, RANGE, FUNNELS, FUNNELS), "D"),
            cells(
                f"{promql.conversion(_BY_FUNNEL, RANGE, FUNNELS)} / on ({FUNNEL}) "
                f"({promql.expected_conversion(_BY_FUNNEL, RANGE, FUNNELS, FUNNELS)}) - 1", "E",
            ),
        ],
        [
            Column("Funnel", link=_TO_FUNNEL), Column("Attempts", decimals=0), Column("Conversions", decimals=0),
            Column("Conversion", SHARE, decimals=1), Column("Expected", SHARE, decimals=1),
            Column("Against expected", SHARE, AGAINST, 0),
        ],
        order="Attempts",
    ),
    {
        FUNNEL: "Funnel", "Value #A": "Attempts", "Value #B": "Conversions", "Value #C": "Conversion",
        "Value #D": "Expected", "Value #E": "Against expected",
    },
)  # fmt: skip

_MONEY = joined(
    grid(
        Words(
            "Revenue",
            "Revenue and refunds in the range, the average basket (revenue in this currency for each conversion of the funnel), and "
            "the money at risk. An order that several units share counts for each; `funnelwatch report` counts it once.",
            "no revenue in this range",
        ),
        [
            cells(promql.net(CONVERSION_VALUE, _BY_MONEY, RANGE, FUNNELS), "A"),
            cells(promql.net(REFUND_VALUE, _BY_MONEY, RANGE, FUNNELS), "B"),
            cells(promql.basket(_BY_FUNNEL, RANGE, FUNNELS), "C"),
            cells(promql.at_risk(_BY_FUNNEL, RANGE, FUNNELS), "D"),
        ],
        [
            Column("Funnel", link=_TO_FUNNEL), Column("Revenue", MONEY, decimals=0), Column("Refunds", MONEY, decimals=0),
            Column("Average basket", MONEY, decimals=2), Column("At risk", MONEY, ((None, GREY), (1, ORANGE)), 0),
        ],
        HALF, order="Revenue",
    ),
    {
        FUNNEL: "Funnel", "currency": "Currency", "Value #A": "Revenue", "Value #B": "Refunds",
        "Value #C": "Average basket", "Value #D": "At risk",
    },
)  # fmt: skip

_TARGETS = grid(
    Words(
        "Against target",
        "Stages with a target: the share of those who reached the required stage before and went on to this one, in the range by hour "
        "of entry. Recent attempts are in it and may still go on.",
        "no stage has a target (`target = 0.3` in funnels.toml)",
    ),
    [rows(sql_totals.TARGETS)],
    [
        Column("Target", SHARE, decimals=1), Column("Floor", SHARE, decimals=1), Column("Now", SHARE, decimals=1),
        Column("Against target", SHARE, AGAINST, 0),
    ],
    HALF, CLICKHOUSE,
)  # fmt: skip

_BURNING = joined(
    grid(
        Words("What is burning", "Alerts that fire now, and since when.", "nothing burns"),
        [cells(promql.firing(_ALERTS, promql.OF_AN_ALERT))],
        [Column("Funnel", link=_TO_FUNNEL), Column("Since", "dateTimeFromNow")],
        HALF,
    ),
    {
        "alertname": "Alert",
        FUNNEL: "Funnel",
        STAGE: "Stage",
        VALUE: "Segment",
        "severity": "Severity",
        "Value": "Since",
    },
    hidden=[DIMENSION],
)

_CONVERSIONS = curves(
    Words("Conversion", "Conversions for each attempt started, over the smoothing window.", _NO_ATTEMPTS),
    [lines(promql.conversion(_BY_FUNNEL, SMOOTH, FUNNELS), "{{funnel}}")],
    SHARE,
)

_WEAKEST = bars(
    Words(
        "Observed for each expected conversion",
        "Of each stage: conversions that came for each that the baseline expected of the same attempts, in the range. Under 90 % is "
        "more than chance explains at high traffic.",
        LEARNING,
    ),
    now(
        "sort(" + promql.ratio(
            promql.net(STAGE_CONVERSIONS, (FUNNEL, STAGE), RANGE, FUNNELS), promql.expected((FUNNEL, STAGE), RANGE, FUNNELS)
        ) + ")",
        "{{funnel}}: {{funnel_stage}}",
    ),
    SHARE, steps=((None, RED), (0.7, ORANGE), (0.9, GREEN)),
)  # fmt: skip

OVERVIEW = Board(
    OVERVIEW_UID,
    "Overview",
    "All funnels: conversion against expectation and target, revenue, money at risk, and what is burning.",
    (*data_sources(), site(), funnels(), smoothing()),
    (
        Section("Now", _TILES),
        Section("Funnels", (_FUNNELS, _BURNING, _MONEY)),
        Section("Over time", (_CONVERSIONS, _WEAKEST)),
        Section("Targets", (_TARGETS,)),
    ),
    alerts=_ALERTS,
)
