"""From sums to the picture. Pure: the time is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

from schemas import metrics as m
from schemas.funnel import Funnel
from schemas.live import Published
from schemas.metrics import ALL, CROSS, Metric
from schemas.money import format_money
from sinks.prometheus.definition import required_levels
from sinks.prometheus.labels import IDENTIFYING, clean
from streams.live.history import Amounts, History, Place, Series
from streams.live.judge import Change, against_expected, compared
from streams.live.periods import Period, Times, times
from streams.live.picture import Alerts, Choice, Money, Picture, Seen, Segment, Stage

#: A worker that was not heard for so long (ms) is silent, and after the second no longer spoken of.
SILENT, FORGOTTEN = 15_000, 600_000


class Figures:
    """The sums of one segment in one time, by name. `value`: of the place's dimension."""

    def __init__(self, amounts: Amounts, value: str) -> None:
        self._amounts, self._value = amounts, value

    def of(self, metric: Metric, *labels: str) -> int:
        return self._amounts.get(Series(metric.name, labels, self._value), 0)

    def by_last_label(self, metric: Metric, *labels: str) -> dict[str, int]:
        """Last label → amount, of those series that begin with `labels`; the largest first."""
        found = {
            series.labels[-1]: amount
            for series, amount in self._amounts.items()
            if series.metric == metric.name and series.value == self._value and series.labels[:-1] == labels and amount
        }
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


class Steps:
    """A funnel's levels, and for each of them the required one before it (None: the first)."""

    def __init__(self, funnel: Funnel) -> None:
        self.levels = [clean(level) for level in funnel.levels]
        self.required = required_levels(funnel)
        self.previous: list[int | None] = [
            next((before for before in range(level - 1, -1, -1) if self.required[before]), None)
            for level in range(len(self.levels))
        ]

    def reached(self, figures: Figures) -> list[int]:
        return [figures.of(m.STAGE_ENTERED, level) for level in self.levels]

    def shares(self, reached: Sequence[int]) -> list[float | None]:
        """Of those who reached the required stage before, the share that reached each; None for the first."""
        return [
            None if before is None else share(reached[level], reached[before])
            for level, before in enumerate(self.previous)
        ]

    def change(self, level: int, now: Figures, before: Figures) -> Change:
        """Whether the step to this level changed: beside its expectation where there is one, else beside the time before."""
        previous = self.previous[level]
        if previous is None:
            return Change.NONE
        start, end = self.levels[previous], self.levels[level]
        expected = now.of(m.STAGE_EXPECTED_CONVERSIONS, start) / m.STAGE_EXPECTED_CONVERSIONS.scale
        if expected > 0 and self.required[level]:
            return against_expected(now.of(m.STAGE_CONVERSIONS, start), expected)
        return compared(
            now.of(m.STAGE_ENTERED, end), now.of(m.STAGE_ENTERED, start),
            before.of(m.STAGE_ENTERED, end), before.of(m.STAGE_ENTERED, start),
        )  # fmt: skip


def share(part: int, whole: int) -> float | None:
    return part / whole if whole > 0 else None


def dimensions_of(funnel: Funnel, crosses: Sequence[tuple[str, str]]) -> list[str]:
    """What a funnel can be broken down by: its dimensions, and the crosses of them that are counted."""
    plain = [name for name in funnel.dimensions if name not in IDENTIFYING]
    return plain + [f"{a}{CROSS}{b}" for a, b in crosses if a in plain and b in plain]


class Artist:
    """Draws pictures of these funnels. `crosses`: pairs of dimensions that are counted together."""

    def __init__(self, site: str, zone: str, funnels: Sequence[Funnel], crosses: Sequence[tuple[str, str]]) -> None:
        self._site, self._zone = site, ZoneInfo(zone)
        self._funnels = {funnel.name: funnel for funnel in funnels}
        self._dimensions = {funnel.name: dimensions_of(funnel, crosses) for funnel in funnels}

    def chosen(self, asked: Mapping[str, str]) -> tuple[Choice, str]:
        """The nearest choice to what an address asks for, and what of it can't be had ("" if all can)."""
        notes = []
        name = asked.get("funnel") or next(iter(self._funnels))
        if name not in self._funnels:
            notes.append(f"There is no funnel “{clean(name)}”.")
            name = next(iter(self._funnels))
        dimensions = self._dimensions[name]
        by = asked.get("by", dimensions[0] if dimensions else "")
        if by and by not in dimensions:
            notes.append(f"{name} is not counted by “{clean(by)}”.")
            by = dimensions[0] if dimensions else ""
        period = asked.get("period") or Period.HOUR.value
        if period not in list(Period):
            notes.append(f"There is no period “{clean(period)}”.")
            period = Period.HOUR.value
        return Choice(name, by, Period(period)), " ".join(notes)

    def draw(self, choice: Choice, note: str, history: History, alerts: Alerts, problem: str, now: int) -> Picture:
        """The picture at `now` (ms UTC). `problem`: why the history is not up to date, "" if it is."""
        funnel, when = self._funnels[choice.funnel], times(choice.period, now, self._zone)
        place, steps = Place(funnel.name, funnel.version, ALL), Steps(funnel)
        shown, before = history.sums(place, when.shown), history.sums(place, when.before)
        figures, earlier = Figures(shown, ALL), Figures(before, ALL)
        workers = [record for record in history.workers() if not record.ended and now - record.at < FORGOTTEN]
        heard = [record for record in workers if now - record.at < SILENT]
        ready = readiness(funnel, heard)
        stages = self._stages(funnel, steps, history, figures, earlier, when, ready)
        converted, started = figures.of(m.CONVERSIONS), figures.of(m.STAGE_ENTERED, steps.levels[0])
        converted_before, started_before = earlier.of(m.CONVERSIONS), earlier.of(m.STAGE_ENTERED, steps.levels[0])
        watermarks = [record.watermark for record in heard if record.watermark is not None]
        lags = [record.lag for record in heard if record.lag is not None]
        return Picture(
            site=clean(self._site), zone=self._zone.key, choice=choice, note=note, funnels=list(self._funnels),
            dimensions=self._dimensions[funnel.name], unit=funnel.unit.value, since=when.shown.since,
            compared=started_before > 0, stages=stages,
            segments=self._segments(place._replace(dimension=choice.by), steps, history, when) if choice.by else [],
            converted=converted, converted_before=converted_before, rate=share(converted, started),
            rate_before=share(converted_before, started_before),
            change=compared(converted, started, converted_before, started_before),
            recovered=figures.of(m.RECOVERED),
            open=sum(record.open.get(funnel.name, 0) for record in heard) if heard else None,
            money=money(figures), events=figures.by_last_label(m.EVENTS),
            expectation=expectation(ready), ready_at=min((at for at in ready.values() if at), default=None),
            workers=[seen(record, funnel, now) for record in workers],
            as_of=min((record.at for record in heard), default=max((record.at for record in workers), default=None)),
            lag=sum(lags) if lags else None,
            watermark=min(watermarks, default=None), alerts=alerts, problem=problem,
        )  # fmt: skip

    @staticmethod
    def _stages(
        funnel: Funnel, steps: Steps, history: History, now: Figures, before: Figures, when: Times,
        ready: Mapping[str, int | None],
    ) -> list[Stage]:  # fmt: skip
        place = Place(funnel.name, funnel.version, ALL)
        wanted = [Series(m.STAGE_ENTERED.name, (level,), ALL) for level in steps.levels]
        course = [
            [None if step is None else round(step, 3) for step in steps.shares(row)]
            for row in history.course(place, wanted, when.course, when.step)
        ]
        reached, reached_before = steps.reached(now), steps.reached(before)
        shares, shares_before = steps.shares(reached), steps.shares(reached_before)
        found = []
        for level, stage in enumerate(funnel.stages):
            previous = steps.previous[level]
            start = "" if previous is None or not steps.required[level] else steps.levels[previous]
            expected = now.of(m.STAGE_EXPECTED_CONVERSIONS, start) / m.STAGE_EXPECTED_CONVERSIONS.scale
            named = steps.levels[level] == clean(stage.name)  # unordered levels are no single stages
            found.append(
                Stage(
                    name=steps.levels[level], indicator=stage.indicator if named else "",
                    optional=not steps.required[level], target=stage.target if named else None, reached=reached[level],
                    reached_before=reached_before[level],
                    of_start=share(reached[level], reached[0]), step=shares[level], step_before=shares_before[level],
                    change=steps.change(level, now, before), converted=now.of(m.STAGE_CONVERSIONS, start),
                    expected=expected if expected > 0 or ready.get(start) == 0 else None,
                    learning=bool(start) and ready.get(start, 0) != 0,
                    lost=now.by_last_label(m.STAGE_DROPPED, steps.levels[level]), course=[row[level] for row in course],
                )
            )  # fmt: skip
        return found

    @staticmethod
    def _segments(place: Place, steps: Steps, history: History, when: Times) -> list[Segment]:
        shown, before = history.sums(place, when.shown), history.sums(place, when.before)
        values = {series.value for series in shown if series.metric == m.STAGE_ENTERED.name}
        found = []
        for value in values:
            now, earlier = Figures(shown, value), Figures(before, value)
            reached, reached_before = steps.reached(now), steps.reached(earlier)
            found.append(
                Segment(
                    value, reached, share(reached[-1], reached[0]), share(reached_before[-1], reached_before[0]),
                    steps.shares(reached), steps.shares(reached_before),
                    [steps.change(level, now, earlier) for level in range(len(steps.levels))],
                )
            )  # fmt: skip
        return sorted(found, key=lambda segment: (-segment.reached[0], segment.value))


def money(figures: Figures) -> list[Money]:
    """Earned and refunded by currency, most first."""
    earned, refunded = figures.by_last_label(m.CONVERSION_VALUE), figures.by_last_label(m.REFUND_VALUE)
    return [
        Money(currency, format_money(earned.get(currency, 0)), format_money(refunded.get(currency, 0)))
        for currency in dict.fromkeys([*earned, *refunded])
    ]


def readiness(funnel: Funnel, heard: Sequence[Published]) -> dict[str, int | None]:
    """Stage → 0 if some worker expects its conversions, else when the first will (ms), None if nobody knows."""
    found: dict[str, int | None] = {}
    for record in heard:
        for of in record.counts:
            if (of.funnel, of.version) == (funnel.name, funnel.version):
                for stage, at in of.ready.items():
                    known = found.get(stage)
                    found[stage] = at if known is None else known if at is None else min(at, known)
    return found


def expectation(ready: Mapping[str, int | None]) -> str:
    """Whether there is an expectation to compare with."""
    if not ready:
        return "absent"
    return "known" if 0 in ready.values() else "learning"


def seen(record: Published, funnel: Funnel, now: int) -> Seen:
    """A worker as the page speaks of it."""
    state = "live" if now - record.at < SILENT else "silent"
    if state == "live" and not any(of.funnel == funnel.name and of.version == funnel.version for of in record.counts):
        state = "differs"
    return Seen(clean(record.worker), state, record.at)
