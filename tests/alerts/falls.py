"""Falls of rates: what the drop rules must page, must not, and when they must stop. The day and the floor, too."""

from __future__ import annotations

from schemas import metrics as m
from schemas.rules import names as n
from tests.alerts.promtool import Labels, Moment, Phase, Scenario
from tests.alerts.shop import (
    CHECKOUT,
    CHECKOUT_DROP,
    OTHER_TARGET,
    WHOLE,
    alert,
    background,
    checkout,
    phases,
    series,
    steady,
)

FALLS = ("definitions", "steps", "drops")
DROP = alert(n.DROP, *CHECKOUT_DROP)
CHANNEL = ("channel", "instagram")
MAIL = ("channel", "email")


def _segment(channel: str) -> Labels:
    return alert(n.SEGMENT_DROP, *CHECKOUT_DROP, ("dimension", "channel"), ("value", channel))


def _total_fall() -> Scenario:
    """5 a minute are expected; nothing converts from minute 120 to 180; then all is well."""
    observed, expected = {WHOLE: phases(120, 60, 5, 0, 120)}, {WHOLE: steady(300, 5)}
    moments = (
        Moment(119, ()), Moment(120, ()), Moment(131, (DROP,)), Moment(180, (DROP,)), Moment(190, (DROP,)),
        Moment(204, ()), Moment(300, ()),
    )  # fmt: skip
    return Scenario("total-fall", (*background(300), *checkout(observed, expected)), moments)


def _moderate_fall() -> Scenario:
    """30 % less from minute 60 on: seen within two hours, not within minutes."""
    observed, expected = {WHOLE: phases(60, 240, 10, 7)}, {WHOLE: steady(300, 10)}
    moments = (Moment(100, ()), Moment(180, (DROP,)), Moment(300, (DROP,)))
    return Scenario("moderate-fall", (*background(300), *checkout(observed, expected)), moments, groups=FALLS)


def _dead_zone() -> Scenario:
    """8 % less for good: noise that busy series always have."""
    observed, expected = {WHOLE: steady(300, 46)}, {WHOLE: steady(300, 50)}
    return Scenario(
        "dead-zone", (*background(300), *checkout(observed, expected)), (Moment(150, ()), Moment(300, ())), groups=FALLS
    )


def _mild_fall() -> Scenario:
    """22 % less: between the dead zone and what pages; the day's ticket will tell."""
    observed, expected = {WHOLE: steady(200, 39)}, {WHOLE: steady(200, 50)}
    scraped = (*background(200), *checkout(observed, expected))
    return Scenario("mild-fall", scraped, (Moment(100, ()), Moment(200, ())), groups=FALLS, silent=n.DROP)


def _fall_across_restart() -> Scenario:
    """30 % less from minute 60 on; at minute 100 the counters begin anew, and what was seen before still counts."""
    observed = {WHOLE: (Phase(60, 10), Phase(40, 7), Phase(60, 7, reset=True))}
    expected = {WHOLE: (Phase(60, 10), Phase(40, 10), Phase(60, 10, reset=True))}
    scraped = (*background(160), *checkout(observed, expected))
    looks = (Moment(102, ()), Moment(125, (DROP,)), Moment(150, (DROP,)))
    return Scenario("fall-across-restart", scraped, looks, groups=FALLS)


def _twelve_visitors() -> Scenario:
    """At night eight conversions are missing, all of them: too few to say anything."""
    observed, expected = {WHOLE: steady(240, 0)}, {WHOLE: steady(240, 0.033)}
    return Scenario(
        "twelve-visitors",
        (*background(240), *checkout(observed, expected)),
        (Moment(240, ()),),
        groups=FALLS,
        silent=n.DROP,
    )


def _ramp() -> Scenario:
    """Eight times the traffic: observed and expected rise together."""
    both = (Phase(100, 5), Phase(60, 40), Phase(60, 5))
    return Scenario(
        "ramp",
        (*background(220), *checkout({WHOLE: both}, {WHOLE: both})),
        (Moment(105, ()), Moment(165, ()), Moment(220, ())),
        groups=FALLS,
    )


def _two_workers() -> Scenario:
    """Half of the traffic on each worker; on one nothing converts: the whole fell by half."""
    one = checkout({WHOLE: steady(240, 5)}, {WHOLE: steady(240, 5)})
    other = checkout({WHOLE: phases(120, 120, 5, 0)}, {WHOLE: steady(240, 5)}, target=OTHER_TARGET)
    moments = (Moment(120, ()), Moment(150, (DROP,)))
    return Scenario("two-workers", (*background(240), *one, *other), moments, groups=FALLS)


def _restart() -> Scenario:
    """Both counters begin anew at 0; later both are gone for a while, and come back higher."""
    phases = (Phase(60, 5), Phase(60, 5, reset=True), Phase(12, 0, absent=True), Phase(60, 5), Phase(60, 5, reset=True))
    quiet = tuple(Moment(minute, ()) for minute in (61, 63, 75, 121, 134, 150, 194, 196, 240))
    return Scenario("restart", (*background(252), *checkout({WHOLE: phases}, {WHOLE: phases})), quiet, groups=FALLS)


def _young() -> Scenario:
    """Observed was counted for an hour before the first expectation: 300 at once are no rise, nothing is a fall."""
    expected = (Phase(60, 0, absent=True), Phase(120, 5))
    observed = steady(180, 5)
    quiet = tuple(Moment(minute, ()) for minute in (61, 70, 100, 180))
    return Scenario("young", (*background(180), *checkout({WHOLE: observed}, {WHOLE: expected})), quiet, groups=FALLS)


def _retracted() -> Scenario:
    """All that is counted from minute 120 on is taken back again: nothing converts."""
    labels = (("funnel", "purchase"), ("funnel_stage", CHECKOUT), ("dimension", m.ALL), ("value", m.ALL))
    scraped = [
        one for one in checkout({WHOLE: steady(200, 5)}, {WHOLE: steady(200, 5)}) if one.metric != m.RETRACTED.name
    ]
    back = series(m.RETRACTED, phases(120, 80, 0, 5), *labels, ("counter", m.STAGE_CONVERSIONS.name))
    moments = (Moment(120, ()), Moment(140, (DROP,)))
    return Scenario("retracted", (*background(200), *scraped, back), moments, groups=FALLS)


def _one_channel() -> Scenario:
    """One of ten falls entirely: too little for the stage's own page, enough for the channel's."""
    expected = {WHOLE: steady(240, 20), CHANNEL: steady(240, 1), MAIL: steady(240, 19)}
    observed = {WHOLE: phases(120, 120, 20, 19), CHANNEL: phases(120, 120, 1, 0), MAIL: steady(240, 19)}
    moments = (Moment(120, ()), Moment(160, (_segment("instagram"),)))
    return Scenario("one-channel", (*background(240), *checkout(observed, expected)), moments, groups=FALLS)


def _second_fall() -> Scenario:
    """After a fall and its end, a second one is seen as fast: the recovery of the first doesn't hide it."""
    observed = {WHOLE: (Phase(60, 5), Phase(60, 0), Phase(120, 5), Phase(30, 0))}
    moments = (Moment(100, (DROP,)), Moment(150, ()), Moment(240, ()), Moment(250, (DROP,)))
    return Scenario(
        "second-fall", (*background(270), *checkout(observed, {WHOLE: steady(270, 5)})), moments, groups=FALLS
    )


#: What a day-long scenario does without: the windows below a day and all that reads them.
_SHORT = r"\"record\": \"funnel:(drop:(?!threshold)|recovery|missing|blame|cell)|\"window\": \"(?!1d\")|FunnelConversionDrop\""


def _daily(name: str, share: float, standing: tuple[Labels, ...]) -> Scenario:
    """After 21 hours a day's conversions are `share` of what they should be."""
    minutes = 22 * 60
    observed, expected = {WHOLE: steady(minutes, 2 * share)}, {WHOLE: steady(minutes, 2)}
    groups = ("definitions", "steps", "long windows", "drops")
    moments = (Moment(19 * 60, ()), Moment(minutes - 1, standing))
    scraped = (*background(2), *checkout(observed, expected))
    return Scenario(name, scraped, moments, groups=groups, without=_SHORT)


def _floor(name: str, entries: float, before: float, after: float, moments: tuple[Moment, ...]) -> Scenario:
    """The share of checkouts that end in a purchase is `before`, from minute 120 to 240 `after`; the floor is a quarter."""
    whole = (("funnel", "purchase"), ("dimension", m.ALL), ("value", m.ALL))
    scraped = (
        *background(2),
        series(m.STAGE_ENTERED, steady(420, entries), *whole, ("funnel_stage", CHECKOUT)),
        series(
            m.STAGE_ENTERED,
            phases(120, 120, before * entries, after * entries, 180),
            *whole,
            ("funnel_stage", "purchase"),
        ),
    )
    return Scenario(name, scraped, moments, groups=FALLS, silent=n.FLOOR)


_FLOOR = alert(
    n.FLOOR, *(pair for pair in CHECKOUT_DROP if pair[0] != "team"), ("team", "shop"), ("owner", "ann {{ .x }}")
)
_DAILY = alert(n.DAILY_DROP, *(pair for pair in CHECKOUT_DROP if pair[0] != "severity"), ("severity", "ticket"))

#: With a floor for purchases in the definitions.
WITH_FLOOR: tuple[Scenario, ...] = (
    _floor(
        "below-floor",
        10,
        0.5,
        0.1,
        (Moment(130, ()), Moment(200, (_FLOOR,)), Moment(255, (_FLOOR,)), Moment(300, ()), Moment(400, ())),
    ),
    _floor("above-floor", 10, 0.5, 0.3, (Moment(200, ()), Moment(400, ()))),
    _floor("floor-few-entries", 0.4, 0.1, 0.1, (Moment(300, ()), Moment(400, ()))),
)

#: Looked at with all rules.
TOTAL_FALL = _total_fall()

OF_FALLS: tuple[Scenario, ...] = (
    _moderate_fall(),
    _dead_zone(),
    _mild_fall(),
    _fall_across_restart(),
    _twelve_visitors(),
    _ramp(),
    _two_workers(),
    _restart(),
    _young(),
    _retracted(),
    _one_channel(),
    _second_fall(),
)

OF_DAYS: tuple[Scenario, ...] = (_daily("daily-fall", 0.8, (_DAILY,)), _daily("daily-noise", 0.9, ()))
