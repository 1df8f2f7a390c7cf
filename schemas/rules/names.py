"""Names of what the rules record and of the alerts, and the sets of labels by which expressions match."""

from __future__ import annotations

from schemas.metrics import DIMENSION, FUNNEL, SITE, STAGE, VALUE

#: By Prometheus' convention level:metric:operation. "Segment" series have the labels SEGMENT, "stage" ones STAGES.
ENTERED_STEP = "funnel:stage_entered:step"  # what one step (a minute) added; retractions taken off
OBSERVED_STEP = "funnel:stage_conversions:step"
EXPECTED_STEP = "funnel:stage_expected_conversions:step"
ENTERED = "funnel:stage_entered:window"  # sums of steps, by segment and window
OBSERVED = "funnel:stage_conversions:window"
EXPECTED = "funnel:stage_expected_conversions:window"
CELL_OBSERVED = "funnel:cell_conversions:window"  # the same of crosses, where a stage is suspect
CELL_EXPECTED = "funnel:cell_expected_conversions:window"
WINDOW_SECONDS = "funnel:window:seconds"  # length of each window
THRESHOLD = "funnel:drop:threshold"  # of each watched stage; carries next_stage, team and owner
FAMILY_THRESHOLD = "funnel:drop:family_threshold"  # the same for one segment among all of its stage
WEIGHT = "funnel:noise:weight"  # of an hour: squared expectation
EXCESS = "funnel:noise:excess"  # squared deviation of an hour beyond chance, times its weight
NOISE = "funnel:noise:ratio"  # standard deviation of observed / expected beyond chance
TOLERATED = "funnel:drop:tolerated"  # share of what is expected that passes for health
PEAK = "funnel:drop:peak"  # highest score of an hour
FITTED = "funnel:drop:fitted"  # the threshold that a stage's own peaks ask for
SCORE = "funnel:drop:score"  # log-likelihood ratio by segment, window and slope
DEPTH = "funnel:drop:depth"  # observed / expected where the score is highest
RECOVERY = "funnel:recovery:score"  # log-likelihood ratio of health against that depth
RECOVERED = "funnel:recovery:seconds"  # shortest window that shows health again
STANDING = "funnel:drop:standing"  # scores worth a look, in windows that no recovery has ended
LIVE = "funnel:drop:live"  # the highest of them; names window and slope
START = "funnel:drop:start_timestamp_seconds"  # where that window began
LOCAL_START = "funnel:drop:start_local_seconds"  # the same on the site's wall clock
SINCE_OBSERVED = "funnel:drop:observed"  # conversions since then
SINCE_EXPECTED = "funnel:drop:expected"  # … that those at risk should have brought; who does not convert stays at risk
SINCE_ENTERED = "funnel:drop:entered"  # entries since then
USUAL = "funnel:drop:usual"  # conversions since then, had the rate stayed as it was
RATIO = "funnel:drop:ratio"  # observed / usual
MISSING = "funnel:missing:conversions"  # usual minus observed
MISSING_VALUE = "funnel:missing:value"  # revenue at risk: the same in the reporting currency
RATE_EXPECTED = "funnel:drop:rate_expected"  # conversions per entry since then: as they should be
RATE_OBSERVED = "funnel:drop:rate_observed"  # … and as they are
BLAME = "funnel:blame:score"  # log-likelihood ratio of "this segment alone fell", with its prior
POSTERIOR = "funnel:blame:posterior"
UTC_OFFSET = "funnel:site:utc_offset_seconds"
CURRENCY_RATE = "funnel:currency:rate"
ENTRY_VALUE = "funnel:stage_entry:value"  # revenue per entry of a stage, last week, reporting currency
STEP_VALUE = "funnel:stage_conversion:value"  # what one conversion of a stage is worth, the same
CONVERSION_RATIO = "funnel:stage_conversion:ratio"
DROPOFF_RATIO = "funnel:stage_dropoff:ratio"
OVERALL_RATIO = "funnel:conversion:ratio"
ORDER = "funnel:stage:order"  # number of each stage; label `need`: required or optional
STARTED = "funnel:attempts_started:window"  # label `back`: now, or how long ago
CALENDAR = "funnel:calendar:share"  # of the entries of then, what a calendar leads one to expect now; label `back`
OUTAGE = "funnel:traffic_outage:score"
SILENT = "funnel:stage:silent"

WINDOW, SLOPE, NEXT, NEED, TEAM, OWNER, BACK = "window", "slope", "next_stage", "need", "team", "owner", "back"
STAGES = f"{SITE}, {FUNNEL}, {STAGE}"
SEGMENT = f"{STAGES}, {DIMENSION}, {VALUE}"
CARRIED = f"{NEXT}, {TEAM}, {OWNER}"  # what an alert takes over from THRESHOLD

DROP = "FunnelConversionDrop"
SEGMENT_DROP = "FunnelSegmentConversionDrop"
DAILY_DROP = "FunnelConversionDropDaily"
FLOOR = "FunnelBelowFloor"
TRAFFIC_OUTAGE = "FunnelTrafficOutage"
TRACKING_BROKEN = "FunnelTrackingBroken"
INGEST_STALLED = "FunnelIngestStalled"
METRICS_ABSENT = "FunnelMetricsAbsent"
EXPECTATION_ABSENT = "FunnelExpectationAbsent"
DEAD_LETTERS_RISING = "FunnelDeadLettersRising"
SINK_FAILING = "FunnelSinkFailing"
WATCHDOG = "FunnelWatchdog"
ALERTS = (
    DROP, SEGMENT_DROP, DAILY_DROP, FLOOR, TRAFFIC_OUTAGE, TRACKING_BROKEN, INGEST_STALLED, METRICS_ABSENT,
    EXPECTATION_ABSENT, DEAD_LETTERS_RISING, SINK_FAILING, WATCHDOG,
)  # fmt: skip
