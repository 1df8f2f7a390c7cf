"""What is not a fall of a rate: nobody comes (traffic outage), or one step is silent while later ones go on (tracking)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from schemas.durations import format_duration
from schemas.expectation.calendar import Calendar, Occasion
from schemas.funnel import Funnel
from schemas.metrics import ALL, ATTEMPTS_STARTED, DIMENSION, FUNNEL, SITE, STAGE, STAGE_ENTERED, TRANSITIONS
from schemas.rules import names as n
from schemas.rules.definition import OPTIONAL, REQUIRED
from schemas.rules.drop_alerts import KEEP, PAGE, WAIT
from schemas.rules.model import HOUR, MINUTE, WEEK, Alert, Record, Scale
from schemas.rules.promql import lines, net_increase, select
from schemas.rules.texts import Texts, asked, number

OUTAGE_WINDOWS = (10 * MINUTE, 30 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR)
#: The lowest of these counts: the week after a sale is no outage, nor is an hour that comes early or late because clocks have changed.
WEEKS_BACK = (WEEK, 2 * WEEK, WEEK - HOUR, WEEK + HOUR)
NOW = "now"
#: Log-likelihood ratio of "2 % of a week ago" against "half of a week ago": 21 entries must be missing at the least.
GONE, LESS = 0.02, 0.50
OUTAGE_THRESHOLD = 10

SILENT_WINDOWS = (30 * MINUTE, 6 * HOUR)
USUAL = 20  # entries a week ago, from which on none at all is silence
GOING_ON = 5  # entries of, or skips to, a later stage

_OF_FUNNEL = f"{SITE}, {FUNNEL}"


def arrivals(site: str, scale: Scale, *, declared: bool) -> list[Record]:
    """Attempts started in each window: now, and at each time that it is compared with. And the score of an outage.

    `declared`: a calendar has something to say of traffic.
    """
    records = []
    whole = {SITE: site, DIMENSION: ALL}
    for window in OUTAGE_WINDOWS:
        over = f"[{scale.duration(window)}]"
        for back in (0, *WEEKS_BACK):
            ago = f" offset {scale.duration(back)}" if back else ""
            records.append(
                Record(
                    n.STARTED,
                    net_increase(ATTEMPTS_STARTED, _OF_FUNNEL, over + ago, **whole),
                    {n.WINDOW: format_duration(window), n.BACK: format_duration(back) if back else NOW},
                )
            )
    each = f"{_OF_FUNNEL}, {n.WINDOW}"
    before = f'{n.BACK}!="{NOW}"'
    past = select(n.STARTED, before, **{SITE: site})
    if declared:
        share = select(n.CALENDAR, **{SITE: site})
        past = f"{past} * on ({each}, {n.BACK}) group_left () {share}\nor {past}"
    past = f"min by ({each}) ({past})"
    now = f"sum by ({each}) ({select(n.STARTED, **{SITE: site, n.BACK: NOW})})"
    score = f"{LESS - GONE:.2f} * {past}\n- {math.log(LESS / GONE):.6f} * ({now} or 0 * {past})"
    return [*records, Record(n.OUTAGE, score)]


def calendar_shares(site: str, funnels: Sequence[Funnel], calendar: Calendar, scale: Scale) -> list[Record]:
    """Of the entries of a week ago, which share the calendar leads one to expect now; of funnels that it names.

    A sale then was no usual week, so its entries are divided by its factor; a holiday now explains fewer. What is declared
    of more traffic now, or of less then, is a hope, not a measure: nobody is paged for it.
    """
    return [
        Record(
            n.CALENDAR,
            f"vector(\n{share}\n)",
            {SITE: site, FUNNEL: funnel.name, n.WINDOW: format_duration(window), n.BACK: format_duration(back)},
        )
        for funnel in funnels
        for window in OUTAGE_WINDOWS
        for back in WEEKS_BACK
        if (share := "\n* ".join(_shares(calendar.traffic(funnel.name), window, back, scale)))
    ]


def _shares(occasions: Sequence[Occasion], window: int, back: int, scale: Scale) -> Iterator[str]:
    for one in occasions:
        earlier = back if one.traffic > 1 else 0
        share = 1 / one.traffic if one.traffic > 1 else one.traffic
        ends, begins = scale.seconds(earlier), scale.seconds(earlier + window)
        begun = (
            f"(time() - {ends} > bool {one.start / 1000:.3f})" if earlier else f"(time() > bool {one.start / 1000:.3f})"
        )
        yield f"(1 - {1 - share:.6g} * {begun} * (time() - {begins} < bool {one.end / 1000:.3f}))"


def outage(site: str, texts: Texts, scale: Scale) -> Alert:
    """The page: entries are gone that came one and two weeks ago."""
    labels = f"{SITE}=%q,{FUNNEL}=%q"
    hour = format_duration(HOUR)

    def entries(back: str) -> str:
        query = f'{n.STARTED}{{{labels},{n.WINDOW}="{hour}",{n.BACK}="{back}"}}'
        return asked(query, number("%.0f"), SITE, FUNNEL, otherwise="0")

    week = format_duration(WEEKS_BACK[0])
    summary = f"{{{{ $labels.funnel }}}}: hardly anybody enters. Last hour: {entries(NOW)}, the same hour a week ago: {entries(week)}"
    checks = (
        "Open the site: does it answer? Does its first page load the tracking script (consent banner, tag manager)?",
        "Did a campaign, a newsletter or a partner's link end? Look at visits by channel.",
    )
    return Alert(
        n.TRAFFIC_OUTAGE,
        f"max by ({_OF_FUNNEL}) ({select(n.OUTAGE, **{SITE: site})}) > {OUTAGE_THRESHOLD}",
        {"severity": PAGE},
        texts.plain(n.TRAFFIC_OUTAGE, summary, *checks, funnel=True),
        scale.duration(WAIT),
        scale.duration(KEEP),
    )


def silence(site: str, scale: Scale) -> list[Record]:
    """Stages that nobody entered in a window although later stages go on; 1 where that is so.

    A required stage can't be passed, so that what goes on behind it are skips; behind an optional one it is entries.
    """
    return [
        Record(
            n.SILENT,
            "\nor\n".join(_silent(site, scale, window, need) for need in (REQUIRED, OPTIONAL)),
            {n.WINDOW: format_duration(window)},
        )
        for window in SILENT_WINDOWS
    ]


def _silent(site: str, scale: Scale, window: int, need: str) -> str:
    over, whole = f"[{scale.duration(window)}]", {SITE: site, DIMENSION: ALL}
    order = select(n.ORDER, **{SITE: site})
    entered = net_increase(STAGE_ENTERED, n.STAGES, over, **whole)
    usual = net_increase(STAGE_ENTERED, n.STAGES, f"{over} offset {scale.duration(WEEK)}", **whole)
    going_on = entered
    if need == REQUIRED:
        skips = f"increase({select(TRANSITIONS, **whole, direction='skip')}{over})"
        going_on = f'sum by ({n.STAGES}) (label_replace({skips}, "{STAGE}", "$1", "to_stage", "(.+)"))'
    return lines(
        f"{select(n.ORDER, **{SITE: site, n.NEED: need})} < bool on ({_OF_FUNNEL}) group_left () max by ({_OF_FUNNEL}) (",
        f"  {order} and on ({n.STAGES}) ({going_on} >= {GOING_ON})",
        ") == 1",
        f"and on ({n.STAGES}) ({entered} < 0.5)",
        f"and on ({n.STAGES}) ({usual} >= {USUAL})",
    )


def tracking(site: str, texts: Texts, scale: Scale) -> Alert:
    """The page: a step's events are missing, not its visitors."""
    summary = (
        "{{ $labels.funnel }}: no event of {{ $labels.funnel_stage }} comes in any more, while later steps go on: "
        "its tracking is broken, not the step"
    )
    checks = (
        "Walk through {{ $labels.funnel_stage }} with the browser's network view open: is its event sent, under its old name?",
        "Was the page, the tag manager or the consent banner changed? Tell who did that.",
        "Until it is mended, rates of this funnel are not to be trusted.",
    )
    return Alert(
        n.TRACKING_BROKEN,
        f"max by ({n.STAGES}, {n.TEAM}, {n.OWNER}) ({select(n.SILENT, **{SITE: site})}) > 0",
        {"severity": PAGE},
        texts.plain(n.TRACKING_BROKEN, summary, *checks, funnel=True),
        scale.duration(WAIT),
        scale.duration(KEEP),
    )
