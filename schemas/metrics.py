"""Every metric that a worker exports: name, type, help, labels. Rules, dashboards and docs take the names from here.

How to read the labels. `funnel_site` is the site of the settings. `funnel_stage` is a level of the funnel (plain
`stage` and `site` are often target labels, and ours would silently become `exported_stage`). `dimension` and `value`
name a segment: `all`/`all`, `channel`/`paid`, or a cell of a listed cross, both names and both values joined by CROSS.
Segments overlap: always select one `dimension` before a sum. Values that are not allowed are `other`, missing ones
`(none)`.

Counters never fall. What is taken back adds to RETRACTED under the same labels, with the counter's name in `counter`.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.event import MONEY_SCALE

ALL = "all"  # dimension and value of all traffic
OTHER = "other"  # a value that is not on the allow-list
CROSS = "\u00d7"  # the multiplication sign, between the two dimensions, and the two values, of a cross


class Type(StrEnum):
    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(msgspec.Struct, frozen=True):
    """One metric family.

    `name`: as queried (counters end in `_total`). `scale`: integer units, as they are summed, per exported unit.
    `buckets`: upper bounds (inclusive) in those integer units, ascending, without +Inf. `exported`: False = the name is
    taken, but nothing is exported yet.
    """

    name: str
    type: Type
    help: str
    labels: tuple[str, ...] = ()
    scale: int = 1
    buckets: tuple[int, ...] = ()
    exported: bool = True


_COUNTER, _GAUGE, _HISTOGRAM = Type.COUNTER, Type.GAUGE, Type.HISTOGRAM
_SECOND, _MINUTE, _HOUR, _DAY = 1_000, 60_000, 3_600_000, 86_400_000  # durations and lags are summed in milliseconds

SITE, FUNNEL, STAGE, DIMENSION, VALUE = "funnel_site", "funnel", "funnel_stage", "dimension", "value"
COUNTER = "counter"  # label of RETRACTED: the name of the counter that the amount belongs to

_FUNNEL = (SITE, FUNNEL)
_SEGMENT = (DIMENSION, VALUE)
_OF_FUNNEL = (*_FUNNEL, *_SEGMENT)
_OF_STAGE = (*_FUNNEL, STAGE, *_SEGMENT)

# --- What visitors do: per funnel and segment -----------------------------------------------------------------------

ATTEMPTS_STARTED = Metric(
    "funnel_attempts_started_total", _COUNTER, "Attempts that entered the funnel at its first level.", _OF_FUNNEL
)
STAGE_ENTERED = Metric(
    "funnel_stage_entered_total", _COUNTER, "Attempts that reached this stage for the first time.", _OF_STAGE
)
STAGE_CONVERSIONS = Metric(
    "funnel_stage_conversions_total", _COUNTER,
    "Attempts that had reached this stage and then reached the next required stage.", _OF_STAGE,
)  # fmt: skip
STAGE_EXPECTED_CONVERSIONS = Metric(
    "funnel_stage_expected_conversions_total", _COUNTER,
    "Conversions from this stage that its baseline leads one to expect by now, by event time.", _OF_STAGE,
    scale=1_000_000,
)  # fmt: skip
EXPECTATION_LEARNING = Metric(
    "funnel_expectation_learning", _GAUGE,
    "1 while a stage has too little history to expect conversions of it, 0 from then on.", (*_FUNNEL, STAGE),
)  # fmt: skip
EXPECTATION_READY = Metric(
    "funnel_expectation_ready_timestamp_seconds", _GAUGE,
    "When the stage has, or had, enough history to expect conversions of it: falls of its rate page from then on. Absent "
    "as long as nothing is known of its history.", (*_FUNNEL, STAGE), scale=_SECOND,
)  # fmt: skip
EXPECTATION_LEARNED = Metric(
    "funnel_expectation_learned_timestamp_seconds", _GAUGE, "When what is expected was last learned anew.", (SITE,),
    scale=_SECOND,
)  # fmt: skip
STAGE_DROPPED = Metric(
    "funnel_stage_dropped_total", _COUNTER,
    "Attempts that ended without conversion, by the highest stage reached and by reason.", (*_OF_STAGE, "reason"),
)  # fmt: skip
TRANSITIONS = Metric(
    "funnel_transitions_total", _COUNTER,
    "Edges walked between stages, all traffic only. From nowhere, from_stage is (none).",
    (*_OF_FUNNEL, "from_stage", "to_stage", "direction"),
)  # fmt: skip
CONVERSIONS = Metric("funnel_conversions_total", _COUNTER, "Attempts that reached the last stage.", _OF_FUNNEL)
CONVERSION_VALUE = Metric(
    "funnel_conversion_value_total", _COUNTER, "Revenue, in units of the currency.", (*_OF_FUNNEL, "currency"),
    scale=MONEY_SCALE,
)  # fmt: skip
REFUND_VALUE = Metric(
    "funnel_refund_value_total", _COUNTER, "Revenue given back, in units of the currency.", (*_OF_FUNNEL, "currency"),
    scale=MONEY_SCALE,
)  # fmt: skip
RECOVERED = Metric("funnel_recovered_total", _COUNTER, "Attempts that follow a drop-off of the same unit.", _OF_FUNNEL)
STAGE_DURATION = Metric(
    "funnel_stage_duration_seconds", _HISTOGRAM,
    "Time from the previous stage of the chain to this one, all traffic only.", _OF_STAGE, scale=_SECOND,
    buckets=(
        _SECOND, 5 * _SECOND, 15 * _SECOND, 30 * _SECOND, _MINUTE, 2 * _MINUTE, 5 * _MINUTE, 10 * _MINUTE,
        30 * _MINUTE, _HOUR, 3 * _HOUR, 12 * _HOUR, _DAY, 3 * _DAY, 7 * _DAY,
    ),
)  # fmt: skip
RETRACTED = Metric(
    "funnel_retracted_total", _COUNTER,
    "What a late event took back, by the counter that had counted it and under that counter's labels: counter minus "
    "retracted equals the rows.",
    (*_OF_STAGE, COUNTER, "reason", "from_stage", "to_stage", "direction"),
)  # fmt: skip
RETRACTED_VALUE = Metric(
    "funnel_retracted_value_total", _COUNTER,
    "Revenue or refunds taken back by a late event, in units of the currency, by the counter that had counted them.",
    (*_OF_FUNNEL, COUNTER, "currency"), scale=MONEY_SCALE,
)  # fmt: skip
UNCOUNTED_ROWS = Metric(
    "funnel_uncounted_rows_total", _COUNTER,
    "Rows of a funnel, version, stage or kind that this worker does not know: in no other counter.", (SITE,),
)  # fmt: skip

# --- What becomes of the events -------------------------------------------------------------------------------------

EVENTS = Metric(
    "funnel_events_total", _COUNTER, "Records read, by what became of them for this funnel.", (*_FUNNEL, "outcome")
)
DEAD_LETTERS = Metric(
    "funnel_dead_letters_total", _COUNTER, "Records that went to the dead letters.", (SITE, "source", "reason")
)
ATTEMPTS_OPEN = Metric("funnel_attempts_open", _GAUGE, "Attempts that can still advance.", _FUNNEL)
WATERMARK = Metric(
    "funnel_watermark_timestamp_seconds", _GAUGE, "Event time that this log partition has reached.",
    (SITE, "log", "partition"), scale=_SECOND,
)  # fmt: skip

_LAGS = (
    100, 250, 500, _SECOND, 2_500, 5 * _SECOND, 10 * _SECOND, 30 * _SECOND, _MINUTE, 5 * _MINUTE, 30 * _MINUTE,
    3 * _HOUR, _DAY,
)  # fmt: skip
EVENT_LAG = Metric(
    "funnel_event_lag_seconds", _HISTOGRAM, "Age of events when Kafka appended them (append time minus event time).",
    (SITE, "source"), scale=_SECOND, buckets=_LAGS,
)  # fmt: skip
COUNTING_LATENCY = Metric(
    "funnel_counting_latency_seconds", _HISTOGRAM, "Time from Kafka's append to the counters.", (SITE,),
    scale=_SECOND, buckets=_LAGS,
)  # fmt: skip
SINK_LATENCY = Metric(
    "funnel_sink_latency_seconds", _HISTOGRAM, "Time from Kafka's append to a durable row in ClickHouse.",
    (SITE, "table"), scale=_SECOND, buckets=_LAGS,
)  # fmt: skip

# --- How the worker is ----------------------------------------------------------------------------------------------

CONSUMER_LAG = Metric(
    "funnel_consumer_lag_records", _GAUGE, "Records appended and not yet applied.", (SITE, "topic", "partition")
)
CHUNK_RECORDS = Metric(
    "funnel_chunk_records", _HISTOGRAM, "Records in one chunk.", (SITE,),
    buckets=(1, 10, 100, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000),
)  # fmt: skip
SINK_ROWS = Metric("funnel_sink_rows_total", _COUNTER, "Rows that ClickHouse acknowledged.", (SITE, "table"))
SINK_BATCH = Metric(
    "funnel_sink_batch_rows", _HISTOGRAM, "Rows that ClickHouse acknowledged together.", (SITE, "table"),
    buckets=(1, 10, 100, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000),
)  # fmt: skip
SINK_ERRORS = Metric("funnel_sink_errors_total", _COUNTER, "Inserts that failed.", (SITE, "table"))
SINK_RETRIES = Metric("funnel_sink_retries_total", _COUNTER, "Inserts that were tried again.", (SITE, "table"))
SINK_QUEUE_AGE = Metric(
    "funnel_sink_queue_age_seconds", _GAUGE, "Age of the oldest row not yet in ClickHouse.", (SITE,), scale=_SECOND
)
REGISTRY_ERRORS = Metric(
    "funnel_registry_errors_total",
    _COUNTER,
    "Requests to the schema registry that failed; each is tried again.",
    (SITE,),
)
REGISTRY_WAITING = Metric(
    "funnel_registry_waiting_seconds", _GAUGE, "How long records have been waiting for the schema registry; 0 while none wait.",
    (SITE,), scale=_SECOND,
)  # fmt: skip
STATE_UNITS = Metric("funnel_state_units", _GAUGE, "Units held in this worker's state.", (SITE,))
REBALANCES = Metric("funnel_rebalances_total", _COUNTER, "Changes of the assignment of partitions.", (SITE,))
RECOVERY = Metric(
    "funnel_recovery_seconds", _GAUGE, "How long the last recovery of the state took.", (SITE,), scale=_SECOND
)
ANNOTATION = Metric(
    "funnel_annotation_timestamp_seconds", _GAUGE,
    "When what people announced by `funnelwatch annotate` happened; the newest ten, the same on every worker.",
    (SITE, "name", "kind"), scale=_SECOND,
)  # fmt: skip
BUILD_INFO = Metric("funnel_build_info", _GAUGE, "Always 1; the labels say what runs.", (SITE, "version", "python"))

OF_FUNNELS = (
    ATTEMPTS_STARTED, STAGE_ENTERED, STAGE_CONVERSIONS, STAGE_EXPECTED_CONVERSIONS, STAGE_DROPPED, TRANSITIONS,
    CONVERSIONS, CONVERSION_VALUE, REFUND_VALUE, RECOVERED, STAGE_DURATION, RETRACTED, RETRACTED_VALUE, UNCOUNTED_ROWS,
    EXPECTATION_LEARNING, EXPECTATION_READY, EXPECTATION_LEARNED,
)  # fmt: skip
OF_EVENTS = (EVENTS, DEAD_LETTERS, ATTEMPTS_OPEN, WATERMARK, EVENT_LAG, COUNTING_LATENCY, SINK_LATENCY)
OF_WORKERS = (
    CONSUMER_LAG, CHUNK_RECORDS, SINK_ROWS, SINK_BATCH, SINK_ERRORS, SINK_RETRIES, SINK_QUEUE_AGE, REGISTRY_ERRORS,
    REGISTRY_WAITING, STATE_UNITS, REBALANCES,
    RECOVERY, ANNOTATION, BUILD_INFO,
)  # fmt: skip
METRICS = (*OF_FUNNELS, *OF_EVENTS, *OF_WORKERS)
