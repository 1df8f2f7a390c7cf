"""The panels of the funnel's dashboard that look at rates, expectations and times."""

from __future__ import annotations

from grafana.boards import promql, sql
from grafana.boards.kinds import (
    COUNT,
    GREEN,
    HALF,
    LEARNING,
    ORANGE,
    RED,
    SECONDS,
    SHARE,
    Column,
    Size,
    Words,
    bars,
    curves,
    grid,
    joined,
)
from grafana.boards.promql import RANGE, SEGMENT, SMOOTH, THESE_STAGES, WHOLE
from grafana.boards.sources import CLICKHOUSE, cells, lines, now, sql_lines
from schemas.metrics import (
    ATTEMPTS_OPEN,
    ATTEMPTS_STARTED,
    DIMENSION,
    FUNNEL,
    STAGE,
    STAGE_CONVERSIONS,
    STAGE_DURATION,
    STAGE_ENTERED,
    VALUE,
)

_BY, _BY_STAGE = (FUNNEL,), (FUNNEL, STAGE)
_ALERTS = promql.ALERTS_OF_FUNNEL
_EMPTY = "no attempts of this segment in this range"
_ONE_STAGE = (*SEGMENT, THESE_STAGES)

FROM_START = curves(
    Words(
        "Rate from start",
        "Attempts that reached each stage for each attempt started, over the smoothing window. Both are counted when they happen.",
        _EMPTY,
    ),
    [
        lines(
            promql.ratio(
                promql.net(STAGE_ENTERED, _BY_STAGE, SMOOTH, SEGMENT), promql.net(ATTEMPTS_STARTED, _BY, SMOOTH, SEGMENT),
                f"on ({FUNNEL}) group_left ()",
            ),
            "{{funnel_stage}}",
        )
    ],
    SHARE,
)  # fmt: skip

FROM_PREVIOUS = curves(
    Words("Rate onward", "Share of each stage's attempts that went on, over the smoothing window.", _EMPTY),
    [lines(promql.onward(_BY_STAGE, SMOOTH, _ONE_STAGE), "{{funnel_stage}}")],
    SHARE,
)


def _band(sign: str) -> str:
    """Two standard deviations of chance above or below the expectation."""
    wanted = f"({promql.expected(_BY_STAGE, SMOOTH, _ONE_STAGE)})"
    bound = f"({wanted} {sign} 2 * sqrt({wanted}))"
    return promql.ratio(
        f"clamp_min({bound}, 0)" if sign == "-" else bound, promql.net(STAGE_ENTERED, _BY_STAGE, SMOOTH, _ONE_STAGE)
    )


AGAINST_EXPECTED = (
    curves(
        Words(
            "Onward from $stage: observed and expected",
            "Share of the stage's attempts that went on, over the smoothing window, and the band in which chance alone would leave it "
            "(expected ± 2 standard deviations). The expectation takes the age of the attempts into account.",
            LEARNING,
        ),
        [
            lines(promql.onward(_BY_STAGE, SMOOTH, _ONE_STAGE), "observed", "A"),
            lines(
                promql.ratio(
                    promql.expected(_BY_STAGE, SMOOTH, _ONE_STAGE), promql.net(STAGE_ENTERED, _BY_STAGE, SMOOTH, _ONE_STAGE)
                ),
                "expected", "B",
            ),
            lines(_band("+"), "highest by chance", "C"),
            lines(_band("-"), "lowest by chance", "D"),
        ],
        SHARE,
    )
    .repeat("stage").repeat_direction("h").max_per_row(2)
)  # fmt: skip

STAGE_TIMES = curves(
    Words(
        "Time to each stage, 90 % within",
        "Nine of ten attempts that reached the stage took at most this long from the stage before, all traffic, over the smoothing window. "
        "Between the bounds of a bucket it is a guess.",
        "nobody reached a second stage in this range",
    ),
    [lines(promql.quantile(0.9, STAGE_DURATION, (STAGE,), SMOOTH, WHOLE), "{{funnel_stage}}")],
    SECONDS,
)

TIMES = joined(
    grid(
        Words(
            "Time to each stage",
            "Seconds from the stage before, all traffic, in the range: half, 90 % and 99 % of the attempts took at most this long.",
            "nobody reached a second stage in this range",
        ),
        [
            cells(promql.quantile(share, STAGE_DURATION, (STAGE,), RANGE, WHOLE), ref)
            for share, ref in ((0.5, "A"), (0.9, "B"), (0.99, "C"))
        ],
        [Column("Half", SECONDS), Column("90 %", SECONDS), Column("99 %", SECONDS)],
        HALF,
    ),
    {STAGE: "Stage", "Value #A": "Half", "Value #B": "90 %", "Value #C": "99 %"},
)

TIME_TO_CONVERT = curves(
    Words(
        "Time to convert", "From the entry to the conversion, all traffic, by the hour in which attempts entered.",
        "no conversions in this range",
    ),
    [sql_lines(sql.TIME_TO_CONVERT)],
    SECONDS, source=CLICKHOUSE,
)  # fmt: skip

OPEN = curves(
    Words("Open attempts", "Attempts of the whole funnel that can still advance.", "no worker is scraped"),
    [lines(f"sum by ({FUNNEL}) ({promql.select(ATTEMPTS_OPEN.name, WHOLE[:2])})", "{{funnel}}")],
    COUNT,
)

ALERT_TABLE = joined(
    grid(
        Words("Alerts of this funnel", "Those that fire now, and since when.", "nothing burns"),
        [cells(promql.firing(_ALERTS, promql.OF_AN_ALERT))],
        [Column("Since", "dateTimeFromNow")],
        HALF,
    ),
    {"alertname": "Alert", STAGE: "Stage", VALUE: "Segment", "severity": "Severity", "Value": "Since"},
    hidden=[FUNNEL, DIMENSION],
)

WEAKEST = bars(
    Words(
        "Observed for each expected conversion", "Of each stage of the segment, in the range. 100 %: as expected.", LEARNING
    ),
    now(
        promql.ratio(
            promql.net(STAGE_CONVERSIONS, _BY_STAGE, RANGE, SEGMENT), promql.expected(_BY_STAGE, RANGE, SEGMENT)
        ),
        "{{funnel_stage}}",
    ),
    SHARE, Size(12, 9), steps=((None, RED), (0.7, ORANGE), (0.9, GREEN)),
)  # fmt: skip
