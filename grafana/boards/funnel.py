"""Funnel: one funnel, and one segment of it, stage by stage."""

from __future__ import annotations

from grafana.boards import promql, sql
from grafana.boards.funnel_rates import (
    AGAINST_EXPECTED,
    ALERT_TABLE,
    FROM_PREVIOUS,
    FROM_START,
    OPEN,
    STAGE_TIMES,
    TIME_TO_CONVERT,
    TIMES,
    WEAKEST,
)
from grafana.boards.kinds import (
    COUNT,
    HALF,
    LEARNING,
    SHARE,
    Column,
    Words,
    bars,
    curves,
    grid,
    stack,
    tile,
)
from grafana.boards.layout import Board, Section
from grafana.boards.promql import RANGE, SEGMENT, THESE_STAGES, WHOLE
from grafana.boards.sources import CLICKHOUSE, lines, now, rows
from grafana.boards.uids import FUNNEL_UID
from grafana.boards.variables import data_sources, of_prometheus, site, smoothing, stage, version
from schemas.metrics import (
    ATTEMPTS_OPEN,
    ATTEMPTS_STARTED,
    CONVERSIONS,
    FUNNEL,
    RECOVERED,
    STAGE,
    STAGE_DROPPED,
)

_BY, _BY_STAGE = (FUNNEL,), (FUNNEL, STAGE)
_ALERTS = promql.ALERTS_OF_FUNNEL
_EMPTY = "no attempts of this segment in this range"
_NO_ROWS = "no rows of this segment in this range (crosses of two dimensions are in Prometheus only)"
_ONE_STAGE = (*SEGMENT, THESE_STAGES)

_TILES = (
    tile(
        Words("Attempts", "Attempts of the segment that entered at the first stage, in the range.", _EMPTY),
        now(promql.net(ATTEMPTS_STARTED, _BY, RANGE, SEGMENT)), COUNT, decimals=0,
    ),
    tile(
        Words("Conversions", "Attempts of the segment that reached the last stage, in the range.", _EMPTY),
        now(promql.net(CONVERSIONS, _BY, RANGE, SEGMENT)), COUNT, decimals=0,
    ),
    tile(
        Words("Conversion", "Conversions for each attempt started, in the range.", _EMPTY),
        now(promql.conversion(_BY, RANGE, SEGMENT)), SHARE, decimals=1,
    ),
    tile(
        Words(
            "Expected conversion",
            "What the conversion would be, had the stage that loses most kept the rate that its baseline leads one to expect.",
            LEARNING,
        ),
        now(promql.expected_conversion(_BY, RANGE, SEGMENT, WHOLE)), SHARE, decimals=1,
    ),
    tile(
        Words("Open attempts", "Attempts of the whole funnel that can still advance, now.", "no worker is scraped"),
        now(f"sum({promql.select(ATTEMPTS_OPEN.name, WHOLE[:2])})"), COUNT,
    ),
    tile(
        Words("Came back", "Share of the attempts that follow a drop-off of the same unit.", _EMPTY),
        now(promql.ratio(promql.net(RECOVERED, _BY, RANGE, SEGMENT), promql.net(ATTEMPTS_STARTED, _BY, RANGE, SEGMENT))),
        SHARE, decimals=1,
    ),
)  # fmt: skip

_SHAPE = bars(
    Words(
        "Funnel", "Attempts that reached each stage, in the range by hour of entry; in the funnel's order.", _NO_ROWS
    ),
    rows(sql.STAGES), COUNT, HALF, CLICKHOUSE, each_row=True, field="Attempts",
)  # fmt: skip

_STAGES = grid(
    Words(
        "Stages",
        "From start: share of all attempts. From previous: share of those who reached the required stage before. Dropped off: ended "
        "here. Open: can still advance from here. Recent attempts are in it; `funnelwatch report` has rates of matured ones.",
        _NO_ROWS,
    ),
    [rows(sql.STAGES)],
    [
        Column("Attempts", decimals=0), Column("From start", SHARE, decimals=1), Column("From previous", SHARE, decimals=1),
        Column("Dropped off", decimals=0), Column("Drop-off", SHARE, decimals=1), Column("Open", decimals=0),
    ],
    HALF, CLICKHOUSE,
)  # fmt: skip

_DROPS = stack(
    Words(
        "Drop-off by stage and reason",
        "Attempts that ended without conversion, by the highest stage reached. Window or step timeout: the time ran out. Session end: the "
        "visit ended. Excluded: an event ended it. Broken: another event came between, in a strict funnel.",
        "no drop-off of this segment in this range",
    ),
    rows(sql.DROPS), "Stage", source=CLICKHOUSE,
)  # fmt: skip

_DROPS_OVER_TIME = curves(
    Words("Drop-off over time", "Attempts that ended without conversion in each step of time, by reason.", _EMPTY),
    [lines(promql.net(STAGE_DROPPED, ("reason",), "$__rate_interval", _ONE_STAGE), "{{reason}}")],
    COUNT, stacked=True,
)  # fmt: skip

FUNNEL_BOARD = Board(
    FUNNEL_UID,
    "Funnel",
    "One funnel and one segment of it: stages, drop-off with its reasons, rates with the expected band, and times.",
    (*data_sources(), site(), *of_prometheus(), stage(), version(), smoothing()),
    (
        Section("In this range", _TILES),
        Section("Stages", (_SHAPE, _STAGES, _DROPS, _DROPS_OVER_TIME)),
        Section("Rates", (FROM_START, FROM_PREVIOUS, WEAKEST, ALERT_TABLE)),
        Section("Against what was expected", (AGAINST_EXPECTED,)),
        Section("Times", (TIMES, STAGE_TIMES, TIME_TO_CONVERT, OPEN)),
    ),
    alerts=_ALERTS,
)
