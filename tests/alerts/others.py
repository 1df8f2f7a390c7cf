"""Everything that is no fall of a rate: traffic, tracking, and the pipeline that feeds the figures."""

from __future__ import annotations

from schemas import metrics as m
from schemas.rules import names as n
from tests.alerts.promtool import Moment, Phase, Scenario
from tests.alerts.shop import (
    CHECKOUT,
    SITE,
    WHOLE,
    alert,
    background,
    checkout,
    learning,
    phases,
    series,
    started,
    steady,
)

#: A week's scenarios; those of the pipeline last for hours, in which the rules of traffic have no week before to compare with.
WEEKS = ("definitions", "traffic", "pipeline")
PIPELINE = ("definitions", "pipeline")
THRESHOLDS = f'"record": "{n.THRESHOLD}"'  # constants that only falls of rates are compared with
OPERATED: tuple[tuple[str, str], ...] = (("funnel_site", SITE), ("team", "operations"))


def _outage() -> Scenario:
    """Nobody enters any more for two hours; a week ago there were 30 a minute. Steps of 10 minutes."""
    week, minutes = 1008, 1008 + 60
    scraped = [one for one in background(minutes) if one.metric not in (m.ATTEMPTS_STARTED.name, m.WATERMARK.name)]
    scraped.append(series(m.WATERMARK, steady(minutes, 600), ("log", "clickstream"), ("partition", "0")))
    phases = (Phase(week + 12, 300), Phase(12, 0), Phase(36, 300))
    scraped += [
        started("purchase", phases),
        *(started(one, steady(minutes, 300)) for one in ("newsletter", "lead-form")),
    ]
    fired = alert(n.TRAFFIC_OUTAGE, ("severity", "page"), ("funnel_site", SITE), ("funnel", "purchase"))
    moments = (Moment(10 * (week + 12), ()), Moment(10 * (week + 22), (fired,)), Moment(10 * (week + 48), ()))
    return Scenario("outage", tuple(scraped), moments, interval=10, groups=WEEKS, without=THRESHOLDS)


def _quiet_night() -> Scenario:
    """Nobody enters, as a week ago: no outage."""
    minutes = 1008 + 60
    scraped = [one for one in background(minutes) if one.metric not in (m.ATTEMPTS_STARTED.name, m.WATERMARK.name)]
    scraped.append(series(m.WATERMARK, steady(minutes, 600), ("log", "clickstream"), ("partition", "0")))
    night = (Phase(12, 300), Phase(36, 0), Phase(972, 300), Phase(36, 0), Phase(12, 300))
    scraped += [started(one, night) for one in ("purchase", "newsletter", "lead-form")]
    return Scenario(
        "quiet-night",
        tuple(scraped),
        tuple(Moment(10 * k, ()) for k in (1025, 1040, 1055)),
        interval=10,
        groups=WEEKS,
        without=THRESHOLDS,
        silent=n.TRAFFIC_OUTAGE,
    )


def _stall() -> Scenario:
    """Records wait and nothing is worked on for 40 minutes: expectation and conversions stand still with it."""
    stopped = phases(120, 40, 5, 0, 60)
    own = (m.WATERMARK.name, m.CONSUMER_LAG.name, f"{m.CHUNK_RECORDS.name}_count", m.EVENTS.name)
    scraped = background(220, without=frozenset(own))
    scraped += [
        series(m.WATERMARK, (Phase(120, 60), Phase(40, 0), Phase(1, 2460), Phase(59, 60)), ("log", "clickstream"), ("partition", "0")),
        series(m.CONSUMER_LAG, (Phase(120, 0), Phase(40, 9), Phase(1, -360), Phase(59, 0)), ("topic", "clickstream"), ("partition", "0")),
        series(f"{m.CHUNK_RECORDS.name}_count", phases(120, 40, 12, 0, 60)),
        *(series(m.EVENTS, phases(120, 40, 200, 0, 60), ("funnel", one), ("outcome", "matched"))
          for one in ("purchase", "newsletter", "lead-form")),
    ]  # fmt: skip
    fired = alert(n.INGEST_STALLED, ("severity", "page"), *OPERATED)
    moments = (Moment(120, ()), Moment(126, ()), Moment(140, (fired,)), Moment(170, (fired,)), Moment(190, ()))
    return Scenario("stall", (*scraped, *checkout({WHOLE: stopped}, {WHOLE: stopped})), moments)


def _silence_upstream() -> Scenario:
    """Nothing waits, and no record comes in any more: the collector is down."""
    scraped = background(200, without=frozenset((m.EVENTS.name, f"{m.CHUNK_RECORDS.name}_count")))
    scraped += [
        series(m.EVENTS, phases(120, 80, 200, 0), ("funnel", one), ("outcome", "matched"))
        for one in ("purchase", "newsletter", "lead-form")
    ]
    fired = alert(n.INGEST_STALLED, ("severity", "page"), *OPERATED)
    return Scenario(
        "silence-upstream", tuple(scraped), (Moment(120, ()), Moment(127, ()), Moment(134, (fired,))), groups=PIPELINE
    )


def _idle_partition() -> Scenario:
    """A partition without visitors keeps an old watermark; nothing waits there."""
    scraped = [*background(120), series(m.WATERMARK, steady(120, 0), ("log", "clickstream"), ("partition", "1"))]
    scraped.append(series(m.CONSUMER_LAG, steady(120, 0), ("topic", "clickstream"), ("partition", "1")))
    return Scenario(
        "idle-partition", tuple(scraped), (Moment(60, ()), Moment(120, ())), groups=PIPELINE,
        silent=n.INGEST_STALLED,
    )  # fmt: skip


def _late_work() -> Scenario:
    """Records are worked on, but half of them more than ten minutes after Kafka got them."""
    buckets = {"60.0": 1.0, "300.0": 2.0, "1800.0": 10.0, "+Inf": 10.0}
    scraped = [
        series(f"{m.COUNTING_LATENCY.name}_bucket", phases(60, 60, 0, rate), ("le", le)) for le, rate in buckets.items()
    ]
    fired = alert(n.INGEST_STALLED, ("severity", "page"), *OPERATED)
    return Scenario("late-work", (*background(120), *scraped), (Moment(60, ()), Moment(75, (fired,))), groups=PIPELINE)


def _gone() -> Scenario:
    """The worker is gone for 20 minutes."""
    phases = (Phase(60, 0), Phase(20, 0, absent=True), Phase(40, 0))
    rest = background(120, without=frozenset((m.BUILD_INFO.name,)))
    info = series(m.BUILD_INFO, phases, ("version", "1"), ("python", "3.11"), start=1)
    fired = alert(n.METRICS_ABSENT, ("severity", "page"), *OPERATED)
    moments = (Moment(60, ()), Moment(64, ()), Moment(70, (fired,)), Moment(94, (fired,)), Moment(98, ()))
    return Scenario("gone", (*rest, info), moments, groups=PIPELINE)


def _other_definitions() -> Scenario:
    """One funnel has no metrics."""
    rest = [one for one in background(30) if ("funnel", "newsletter") not in one.labels]
    fired = alert(n.METRICS_ABSENT, ("severity", "page"), *OPERATED, ("funnel", "newsletter"))
    return Scenario("other-definitions", tuple(rest), (Moment(20, (fired,)),), groups=PIPELINE)


def _refused() -> Scenario:
    """Every fifth record is refused for half an hour; a few always were."""
    rest = background(240, without=frozenset((m.DEAD_LETTERS.name,)))
    letters = series(m.DEAD_LETTERS, phases(120, 30, 0.2, 40, 90), ("source", "clickstream"), ("reason", "not_json"))
    fired = alert(n.DEAD_LETTERS_RISING, ("severity", "page"), *OPERATED, ("source", "clickstream"))
    moments = (Moment(120, ()), Moment(130, (fired,)), Moment(160, (fired,)), Moment(200, ()))
    return Scenario("refused", (*rest, letters), moments, groups=PIPELINE)


def _few_refused() -> Scenario:
    """30 of 3,000 records in 15 minutes: one in a hundred, a jump, and no reason to wake anybody."""
    rest = background(180, without=frozenset((m.DEAD_LETTERS.name,)))
    letters = series(m.DEAD_LETTERS, phases(120, 60, 0.02, 1.9), ("source", "clickstream"), ("reason", "not_json"))
    return Scenario(
        "few-refused", (*rest, letters), (Moment(140, ()), Moment(180, ())), groups=PIPELINE,
        silent=n.DEAD_LETTERS_RISING,
    )  # fmt: skip


def _nothing_learned() -> Scenario:
    """Nothing is expected of two funnels: of one nothing is known, the other should have been ready long ago. A third still learns."""
    minutes = 240
    rest = background(minutes, without=frozenset((m.EXPECTATION_READY.name,)))
    rest += [learning("newsletter", minutes, until=600), learning("lead-form", minutes, until=1_000_000_000)]
    fired = [
        alert(n.EXPECTATION_ABSENT, ("severity", "ticket"), *OPERATED, ("funnel", funnel))
        for funnel in ("newsletter", "purchase")
    ]
    return Scenario("nothing-learned", tuple(rest), (Moment(50, ()), Moment(90, tuple(fired))), groups=PIPELINE)


def _sink() -> Scenario:
    """ClickHouse refuses for 20 minutes."""
    rest = background(120, without=frozenset((m.SINK_ROWS.name, m.SINK_ERRORS.name)))
    scraped = [
        series(m.SINK_ROWS, phases(60, 20, 100, 0, 40), ("table", "transitions")),
        series(m.SINK_ERRORS, phases(60, 20, 0, 3, 40), ("table", "transitions")),
    ]
    scraped[1] = series(m.SINK_ERRORS, (Phase(60, 0), Phase(20, 3), Phase(40, 0)), ("table", "transitions"))
    fired = alert(n.SINK_FAILING, ("severity", "ticket"), *OPERATED)
    moments = (Moment(60, ()), Moment(65, ()), Moment(74, (fired,)), Moment(80, (fired,)), Moment(100, ()))
    return Scenario("sink", (*rest, *scraped), moments, groups=PIPELINE)


def _old_queue() -> Scenario:
    """No insert fails, but the oldest row waits for twenty minutes."""
    rest = background(60, without=frozenset((m.SINK_QUEUE_AGE.name,)))
    age = series(m.SINK_QUEUE_AGE, (Phase(20, 0), Phase(1, 1199), Phase(39, 0)), start=1)
    fired = alert(n.SINK_FAILING, ("severity", "ticket"), *OPERATED)
    return Scenario("old-queue", (*rest, age), (Moment(20, ()), Moment(25, (fired,))), groups=PIPELINE)


def _tracking(name: str, silent: str, *, required: bool, later: float) -> Scenario:
    """`silent` is entered no more for three hours; later stages are entered (or skipped to) `later` times a step."""
    week, steps = 1008, 1008 + 60
    scraped = [one for one in background(steps) if one.metric not in (m.WATERMARK.name, m.ATTEMPTS_STARTED.name)]
    scraped.append(series(m.WATERMARK, steady(steps, 600), ("log", "clickstream"), ("partition", "0")))
    scraped += [started(one, steady(steps, 300)) for one in ("purchase", "newsletter", "lead-form")]
    whole = (("funnel", "purchase"), ("dimension", m.ALL), ("value", m.ALL))
    scraped.append(
        series(m.STAGE_ENTERED, (Phase(week + 12, 50), Phase(18, 0), Phase(30, 50)), ("funnel_stage", silent), *whole)
    )
    on = (Phase(week + 12, 0 if required else 20), Phase(18, later), Phase(30, 0 if required else 20))
    if required:
        edge = (("from_stage", "add_to_cart"), ("to_stage", "purchase"), ("direction", "skip"))
        scraped.append(series(m.TRANSITIONS, on, *whole, *edge))
    else:
        scraped.append(series(m.STAGE_ENTERED, on, ("funnel_stage", "purchase"), *whole))
    fired = alert(
        n.TRACKING_BROKEN, ("severity", "page"), ("funnel_site", SITE), ("funnel", "purchase"), ("funnel_stage", silent),
        ("team", "shop"),
    )  # fmt: skip
    standing = (fired,) if later else ()
    moments = (Moment(10 * (week + 12), ()), Moment(10 * (week + 25), standing), Moment(10 * (week + 55), ()))
    return Scenario(
        name, tuple(scraped), moments, interval=10, groups=WEEKS, without=THRESHOLDS, silent=n.TRACKING_BROKEN
    )


#: Looked at with all rules.
STALL = _stall()

OF_WEEKS: tuple[Scenario, ...] = (
    _outage(),
    _quiet_night(),
    _tracking("required-step-silent", CHECKOUT, required=True, later=20),
    _tracking("optional-step-silent", "add_payment_info", required=False, later=20),
    _tracking("step-without-visitors", CHECKOUT, required=True, later=0),
)

OF_PIPELINES: tuple[Scenario, ...] = (
    _silence_upstream(),
    _idle_partition(),
    _late_work(),
    _gone(),
    _other_definitions(),
    _refused(),
    _few_refused(),
    _nothing_learned(),
    _sink(),
    _old_queue(),
)
