"""Pipeline health: whether what the other dashboards show is fresh, complete and stored."""

from __future__ import annotations

from grafana.boards import promql, sql_totals
from grafana.boards.kinds import (
    COUNT,
    FULL,
    GREEN,
    HALF,
    ORANGE,
    PER_SECOND,
    RED,
    SECONDS,
    SHARE,
    THIRD,
    Column,
    Words,
    curves,
    grid,
    joined,
    tile,
)
from grafana.boards.layout import Board, Section
from grafana.boards.promql import RANGE, THIS_SITE
from grafana.boards.sources import CLICKHOUSE, Target, cells, lines, now, rows
from grafana.boards.uids import PIPELINE_UID
from grafana.boards.variables import data_sources, site
from schemas import metrics as m
from schemas.metrics import Metric

_SITE = (THIS_SITE,)
_STEP = "$__rate_interval"
_ABSENT = "no worker is scraped"
_NO_SINK = "no sink is scraped"
_QUANTILES = ((0.5, "half within", "A"), (0.95, "95 % within", "B"), (0.99, "99 % within", "C"))


def _each_second(metric: Metric, by: str) -> str:
    return f"sum by ({by}) (rate({promql.select(metric.name, _SITE)}[{_STEP}]))"


def _read(outcome: str) -> str:
    return f"sum(increase({promql.select(m.EVENTS.name, (*_SITE, outcome))}[{RANGE}]))"


def _latency(metric: Metric) -> list[Target]:
    return [lines(promql.quantile(share, metric, (), _STEP, _SITE), legend, ref) for share, legend, ref in _QUANTILES]


def _sizes(metric: Metric) -> list[Target]:
    return [
        lines(promql.quantile(0.5, metric, (), _STEP, _SITE), "half within", "A"),
        lines(promql.quantile(0.95, metric, (), _STEP, _SITE), "95 % within", "B"),
    ]


_TILES = (
    tile(
        Words("Event time behind", "How far the slowest log partition's event time lies behind now.", _ABSENT),
        now(f"time() - min({promql.select(m.WATERMARK.name, _SITE)})"), SECONDS, ((None, GREEN), (300, ORANGE), (1800, RED)),
    ),
    tile(
        Words("Lag", "Records in Kafka that are not applied yet, over all partitions.", _ABSENT),
        now(f"sum({promql.select(m.CONSUMER_LAG.name, _SITE)})"), COUNT, ((None, GREEN), (10_000, ORANGE), (1_000_000, RED)),
    ),
    tile(
        Words("Oldest unstored row", "Age of the oldest row that is not in ClickHouse yet.", _NO_SINK),
        now(f"max({promql.select(m.SINK_QUEUE_AGE.name, _SITE)})"), SECONDS, ((None, GREEN), (60, ORANGE), (600, RED)),
    ),
    tile(
        Words("Dead letters", "Records that were refused, in the range.", _ABSENT),
        now(f"sum(increase({promql.select(m.DEAD_LETTERS.name, _SITE)}[{RANGE}]))"), COUNT, ((None, GREEN), (1, ORANGE)), decimals=0,
    ),
    tile(
        Words("Late", "Share of the records that came too late to count, in the range, of all that a funnel looks at.", _ABSENT),
        now(promql.ratio(_read('outcome="late"'), _read('outcome=~"matched|late"'))),
        SHARE, ((None, GREEN), (0.01, ORANGE), (0.05, RED)), decimals=2,
    ),
)  # fmt: skip

_EVENTS = curves(
    Words(
        "Records by outcome",
        "Records read each second by what became of them, for each funnel that looked at them. matched: a funnel uses it; ignored: no "
        "stage fits; duplicate: counted before; late: too late to count; invalid: dead letter; bot: left out.",
        _ABSENT,
    ),
    [lines(_each_second(m.EVENTS, "outcome"), "{{outcome}}")],
    PER_SECOND, stacked=True,
)  # fmt: skip

_LAG = curves(
    Words("Lag by topic", "Records appended and not applied yet.", _ABSENT),
    [lines(f"sum by (topic) ({promql.select(m.CONSUMER_LAG.name, _SITE)})", "{{topic}}")],
    COUNT,
)

_BEHIND = curves(
    Words(
        "Event time behind",
        "Of each log, its slowest and its fastest partition. A partition that stands still holds all of them back.",
        _ABSENT,
    ),
    [
        lines(f"time() - min by (log) ({promql.select(m.WATERMARK.name, _SITE)})", "{{log}}, slowest", "A"),
        lines(f"time() - max by (log) ({promql.select(m.WATERMARK.name, _SITE)})", "{{log}}, fastest", "B"),
    ],
    SECONDS,
)

_LETTERS_OVER_TIME = curves(
    Words("Dead letters by reason", "Refused in each step of time.", _ABSENT),
    [lines(f"{promql.rise(m.DEAD_LETTERS, ('source', 'reason'), _STEP, _SITE)} > 0", "{{source}}: {{reason}}")],
    COUNT, stacked=True,
)  # fmt: skip

_SINK = curves(
    Words("Rows stored", "Rows that ClickHouse acknowledged each second, by table.", _NO_SINK),
    [lines(_each_second(m.SINK_ROWS, "table"), "{{table}}")],
    PER_SECOND, THIRD,
)  # fmt: skip

_BATCHES = curves(
    Words("Rows in an insert", "Larger ones cost ClickHouse less for each row; they come with more traffic, lag or a slow ClickHouse.", _NO_SINK),
    _sizes(m.SINK_BATCH), COUNT, THIRD,
)  # fmt: skip

_SINK_FAULTS = curves(
    Words("Failed inserts", "Inserts that failed, and that were tried again, in each step of time.", _NO_SINK),
    [
        lines(promql.rise(m.SINK_ERRORS, ("table",), _STEP, _SITE), "{{table}}, failed", "A"),
        lines(promql.rise(m.SINK_RETRIES, ("table",), _STEP, _SITE), "{{table}}, tried again", "B"),
    ],
    COUNT, THIRD,
)  # fmt: skip

_LATENCIES = (
    curves(
        Words("Kafka to counters", "Time from Kafka's append to the counters.", _ABSENT),
        _latency(m.COUNTING_LATENCY), SECONDS, THIRD,
    ),
    curves(
        Words("Kafka to ClickHouse", "Time from Kafka's append to a durable row.", _NO_SINK),
        _latency(m.SINK_LATENCY), SECONDS, THIRD,
    ),
    curves(
        Words("Event to Kafka", "Age of events when Kafka appended them: slow or wrong clocks, batches, replays.", _ABSENT),
        _latency(m.EVENT_LAG), SECONDS, THIRD,
    ),
)  # fmt: skip

_STATE = curves(
    Words("Units in state", "Sessions, visitors and accounts that the workers hold.", _ABSENT),
    [lines(f"sum by ({m.SITE}) ({promql.select(m.STATE_UNITS.name, _SITE)})", "{{" + m.SITE + "}}")],
    COUNT, THIRD,
)  # fmt: skip

_CHUNKS = curves(
    Words("Records in a chunk", "Larger chunks cost less for each record and come with more traffic or lag.", _ABSENT),
    _sizes(m.CHUNK_RECORDS), COUNT, THIRD,
)  # fmt: skip

_REBALANCES = curves(
    Words("Rebalances", "Changes of the assignment of partitions, in each step of time.", _ABSENT),
    [lines(promql.rise(m.REBALANCES, (m.SITE,), _STEP, _SITE), "{{" + m.SITE + "}}")],
    COUNT, THIRD,
)  # fmt: skip

_WORKERS = joined(
    grid(
        Words("Workers", "What runs, and how long the last recovery of the state took.", _ABSENT),
        [
            cells(f"max by (instance, version, python) ({promql.select(m.BUILD_INFO.name, _SITE)})", "A"),
            cells(f"max by (instance) ({promql.select(m.RECOVERY.name, _SITE)})", "B"),
            cells(f"sum by (instance) ({promql.select(m.STATE_UNITS.name, _SITE)})", "C"),
        ],
        [Column("Recovery", SECONDS), Column("Units")],
        HALF,
    ),
    {"instance": "Worker", "version": "Version", "python": "Python", "Value #B": "Recovery", "Value #C": "Units"},
    hidden=["Value #A"],
)

_FOLLOWED = grid(
    Words("Followed to", "How far each funnel has followed each log partition, and what became of its records since the start.", _ABSENT),
    [rows(sql_totals.FOLLOWED)],
    [Column(name, decimals=0) for name in ("Read", "Matched", "Duplicate", "Late", "Invalid", "Bot")],
    HALF, CLICKHOUSE,
)  # fmt: skip

_LETTERS = grid(
    Words(
        "Newest dead letters",
        "Where they lie and why they were refused. `funnelwatch dead-letters` shows their bytes and sends back what has been mended.",
        "no dead letters in this range",
    ),
    [rows(sql_totals.LETTERS)],
    [Column("Time", "dateTimeAsLocal"), Column("Offset", "none"), Column("Partition", "none")],
    FULL, CLICKHOUSE,
)  # fmt: skip

PIPELINE = Board(
    PIPELINE_UID,
    "Pipeline health",
    "Lag, watermarks, dead letters, the sink and its latency: whether the other dashboards can be trusted.",
    (*data_sources(), site()),
    (
        Section("Now", _TILES),
        Section("Flow", (_EVENTS, _LAG, _BEHIND, _LETTERS_OVER_TIME)),
        Section("Latency", _LATENCIES),
        Section("ClickHouse", (_SINK, _BATCHES, _SINK_FAULTS)),
        Section("Workers", (_STATE, _CHUNKS, _REBALANCES, _WORKERS, _FOLLOWED)),
        Section("Dead letters", (_LETTERS,)),
    ),
    since="now-6h",
)
