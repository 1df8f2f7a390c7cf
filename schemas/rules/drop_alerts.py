"""Alerts on conversion rates: falls of a stage or of one segment, falls of a whole day, floors that a user sets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from schemas.durations import format_duration
from schemas.funnel import Funnel
from schemas.metrics import FUNNEL, SITE, STAGE
from schemas.rules import names as n
from schemas.rules.definition import Step, floors
from schemas.rules.model import DAY, HOUR, MINUTE, Alert, Scale
from schemas.rules.promql import lines, select
from schemas.rules.texts import Texts, literal
from schemas.rules.windows import DAILY, PARTS, WHOLE

PAGE, TICKET = "page", "ticket"
WAIT, KEEP = MINUTE, 15 * MINUTE
DAILY_FALL, DAILY_WAIT = 0.15, HOUR
DAILY_HISTORY = 20 * HOUR  # without it the first hours after an installation would pass for a day
SURE = 3  # standard deviations that a day's missing conversions must be
FLOOR_SURE = 2
FLOOR_MINIMUM = 100  # entries, where the user names no number


class Floor(msgspec.Struct, frozen=True):
    """How the floor of a step is measured: over `windows`, against entries of `delay` before (conversions take time)."""

    windows: tuple[int, ...]
    delay: int


def drops(site: str, texts: Texts, scale: Scale) -> list[Alert]:
    """The page of a stage, the page of one segment, the ticket of a day."""
    alive = select(n.LIVE, WHOLE, **{SITE: site})
    of_segment = select(n.LIVE, PARTS, **{SITE: site})
    life = {"wait": scale.duration(WAIT), "keep": scale.duration(KEEP)}
    carried = f"> on ({n.STAGES}) group_left ({n.CARRIED})"
    day = {SITE: site, n.WINDOW: DAILY.label}
    observed, expected = select(n.OBSERVED, WHOLE, **day), select(n.EXPECTED, WHOLE, **day)
    daily = lines(
        f"max by ({n.STAGES}) (",
        f"  (1 - {observed} / {expected} > {DAILY_FALL})",
        f"  and ({expected} - {observed} > {SURE} * sqrt({expected}))",
        f"  and on ({n.SEGMENT}) ({select(n.EXPECTED_STEP, WHOLE, **{SITE: site})} offset {scale.duration(DAILY_HISTORY)})",
        ")",
        f"* on ({n.STAGES}) group_left ({n.CARRIED}) ({select(n.THRESHOLD, **{SITE: site})} > bool 0)",
    )
    return [
        Alert(
            n.DROP,
            f"max by ({n.STAGES}) ({alive})\n{carried} {select(n.THRESHOLD, **{SITE: site})}",
            {"severity": PAGE}, texts.drop(n.DROP, segment=False), **life,
        ),
        Alert(
            n.SEGMENT_DROP,
            f"max by ({n.SEGMENT}) ({of_segment})\n{carried} {select(n.FAMILY_THRESHOLD, **{SITE: site})}",
            {"severity": PAGE}, texts.drop(n.SEGMENT_DROP, segment=True), **life,
        ),
        Alert(
            n.DAILY_DROP, daily, {"severity": TICKET}, _daily(texts), scale.duration(DAILY_WAIT), scale.duration(KEEP)
        ),
    ]  # fmt: skip


def _daily(texts: Texts) -> dict[str, str]:
    summary = (
        "{{ $labels.funnel }}: {{ $labels.funnel_stage }} → {{ $labels.next_stage }} is "
        "{{ $value | humanizePercentage }} below what is usual over the last day"
    )
    checks = (
        "Compare the day with the same weekday of the weeks before, on the dashboard, by segment.",
        "Prices, stock, landing pages, campaigns, consent banner: what changed a day ago?",
    )
    return texts.plain(n.DAILY_DROP, summary, *checks, funnel=True)


def floor_alerts(site: str, funnels: Sequence[Funnel], texts: Texts, scale: Scale) -> list[Alert]:
    """One alert for each floor in the definitions."""
    return [_floor(site, step, texts, scale) for funnel in funnels for step in floors(funnel)]


def _floor(site: str, step: Step, texts: Texts, scale: Scale) -> Alert:
    floor = step.floor or 0.0
    share = f"{floor * 100:g} %"
    summary = (
        "{{ $labels.funnel }}: {{ $labels.funnel_stage }} → {{ $labels.next_stage }} converts "
        f"{{{{ $value | humanizePercentage }}}}, below its floor of {share}"
    )
    checks = (
        "Walk to {{ $labels.next_stage }} yourself, on a phone and on a computer.",
        "If the number is right and the floor is not, change `floor` in the definitions.",
    )
    named = {STAGE: step.level, n.NEXT: step.following, n.TEAM: step.team, n.OWNER: step.owner}
    labels = {label: literal(value) for label, value in named.items() if value}
    return Alert(
        n.FLOOR,
        "\nor\n".join(_breaches(site, step, scale)),
        {"severity": PAGE, **labels},
        texts.plain(n.FLOOR, summary, *checks, funnel=True),
        scale.duration(WAIT),
        scale.duration(KEEP),
    )


def _breaches(site: str, step: Step, scale: Scale) -> Iterator[str]:
    """The share below the floor, by window, the shorter first; a shorter one that is well ends the longer ones."""
    floor, least = f"{step.floor:g}", step.minimum or FLOOR_MINIMUM
    how = _measured(step.funnel)
    well: list[str] = []
    for window in how.windows:
        named = {SITE: site, FUNNEL: step.funnel.name, n.WINDOW: format_duration(window)}
        reached = _whole(select(n.ENTERED, WHOLE, **named, **{STAGE: step.following}))
        entered = _whole(
            select(n.ENTERED, WHOLE, **named, **{STAGE: step.level}) + f" offset {scale.duration(how.delay)}"
        )
        sure = f"{floor} * {entered} - {reached} > {FLOOR_SURE} * sqrt({entered} * {floor} * {1 - (step.floor or 0):g})"
        breach = lines(f"{reached} / {entered} < {floor}", f" and {entered} >= {least}", f" and {sure}")
        unless = "".join(f"\n unless {shorter}" for shorter in well)
        yield f"({breach}{unless})"
        well.append(f"({reached} / {entered} >= {floor} and {entered} >= {least})")


def _measured(funnel: Funnel) -> Floor:
    quick = funnel.window <= DAY
    return Floor((HOUR, 6 * HOUR, DAY), 10 * MINUTE) if quick else Floor((DAY, 4 * DAY), 6 * HOUR)


def _whole(selector: str) -> str:
    return f"sum by ({SITE}, {FUNNEL}) ({selector})"
