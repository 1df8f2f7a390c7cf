"""All series of one funnel: which exist from the start, and what a group of like rows adds to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from typing import NamedTuple

from schemas.expectation.baselines import Baselines
from schemas.funnel import Funnel
from schemas.metrics import (
    ATTEMPTS_STARTED,
    CONVERSION_VALUE,
    CONVERSIONS,
    DIMENSION,
    EXPECTATION_LEARNING,
    EXPECTATION_READY,
    FUNNEL,
    RECOVERED,
    REFUND_VALUE,
    SITE,
    STAGE_CONVERSIONS,
    STAGE_DROPPED,
    STAGE_ENTERED,
    STAGE_EXPECTED_CONVERSIONS,
    TRANSITIONS,
    VALUE,
    Metric,
)
from schemas.metrics import STAGE as STAGE_LABEL
from schemas.rows import Direction, End, Kind
from sinks.prometheus.accounts import Account, Builders, Durations
from sinks.prometheus.definition import plain_edges, possible_reasons, required_levels
from sinks.prometheus.expected import Effect, FunnelExpectation, Place, Run
from sinks.prometheus.labels import EVERYTHING, AllowList, LabelPolicy, Segment, clean
from sinks.prometheus.segments import Segments
from sinks.prometheus.strata import Strata

#: Currencies that may be learned; ISO 4217 has about 180 in use.
MAX_CURRENCIES = 200


class Facts(NamedTuple):
    """What rows must share to have the same effects on all traffic; few distinct ones occur in a chunk."""

    funnel: str
    version: str
    kind: str
    stage: int
    is_deleted: int
    reached: int
    recovered: bool
    from_stage: str
    to_stage: str
    direction: str
    outcome: str


class Group:
    """What rows of the same facts bring: their `entry_dims` and, in the same order, `times`, durations (ms), and money by
    (earned, currency, `entry_dims`)."""

    __slots__ = ("dims", "durations", "money", "times")

    def __init__(self) -> None:
        self.dims: list[tuple[str, ...]] = []
        self.times: list[Run] = []
        self.durations: list[int] = []
        self.money: Counter[tuple[bool, str, tuple[str, ...]]] = Counter()

    def earn(self, value: int, currency: str, dims: tuple[str, ...]) -> None:
        """Adds a row's money, in exact integers. Counters can't fall, so what is negative is a refund."""
        if value:
            self.money[value > 0, currency, dims] += abs(value)

    def join(self, other: Group) -> None:
        """The other's rows, too."""
        self.dims += other.dims
        self.times += other.times
        self.durations += other.durations
        self.money.update(other.money)


class FunnelSeries:
    """The accounts and histograms of one funnel."""

    def __init__(self, funnel: Funnel, policy: LabelPolicy, site: str, baselines: Baselines) -> None:
        self.version = funnel.version
        self._levels = tuple(clean(level) for level in funnel.levels)
        self._required = required_levels(funnel)
        self._labels = {SITE: site, FUNNEL: clean(funnel.name)}
        self._segments = Segments(funnel, policy)
        self._open = self._segments.known()
        self.expectation = FunnelExpectation(funnel, Strata(self._segments), baselines)
        self._effects: dict[tuple[int, int, int], Effect] = {}
        self._owed: dict[tuple[int, Segment], float] = {}
        self._currencies = AllowList("currency", policy.currencies, MAX_CURRENCIES)
        self._durations = [Durations({**self._labels, STAGE_LABEL: level}) for level in self._levels]
        self._accounts: dict[tuple[str, tuple[str, ...]], Account] = {}
        for metric, labels in self._from_the_start(funnel, policy):
            self._create(metric, labels, at_once=True)

    def count(self, facts: Facts, rows: Group, now: int, place: Place | None) -> bool:
        """Add the effects of rows that share `facts`. False: not a row of this funnel's definition, nothing counted.

        `place`: the log partition that they are of; None: nothing is expected of them.
        """
        kind = facts.kind
        if kind == Kind.MOVE:
            self._edge(facts, facts.direction, len(rows.dims), now)
        elif kind == Kind.REFUND:
            self._money(facts, rows, now)
        elif kind in (Kind.ENTER, Kind.END) and 0 <= facts.stage < len(self._levels):
            tally = self._segments.tally(rows.dims)
            self._learn(tally, now)
            effects = self._entered(facts) if kind == Kind.ENTER else self._ended(facts)
            for metric, labels in effects:
                self._account(metric, labels, now).add(tally, now, taken_back=facts.is_deleted == 1)
            if kind == Kind.ENTER:
                self._edge(facts, Direction.FORWARD.value, len(rows.dims), now)
                self._lasted(facts, rows)
                self._money(facts, rows, now)
                if place is not None:
                    self.expectation.take(place, self._effect(facts), rows.dims, rows.times)
        else:
            return False
        return True

    def expect(self, place: Place, heard: int, now: int) -> None:
        """Adds what is expected of a log partition whose event time has come to `heard` (ms)."""
        self._expect(self.expectation.advance(place, heard), now)

    def leave(self, place: Place, now: int) -> None:
        """Another worker has the log partition."""
        self._expect(self.expectation.forget(place), now)

    def _expect(self, found: Iterable[tuple[int, Segment, float]], now: int) -> None:
        owed = self._owed
        amounts: dict[int, dict[Segment, int]] = {}
        for level, segment, amount in found:
            due = owed.get((level, segment), 0.0) + amount * STAGE_EXPECTED_CONVERSIONS.scale
            whole = max(0, int(due))  # what was expected too much is made up by what comes next: counters don't fall
            owed[level, segment] = due - whole
            of_level = amounts.setdefault(level, {})
            of_level[segment] = of_level.get(segment, 0) + whole
        for level, segments in amounts.items():
            self._learn(segments, now)
            account = self._account(STAGE_EXPECTED_CONVERSIONS, (self._levels[level],), now)
            account.add(segments, now, taken_back=False)

    def net(self, metric: Metric, labels: tuple[str, ...], segment: Segment) -> int:
        """Counted minus retracted."""
        account = self._accounts.get((metric.name, labels))
        return 0 if account is None else account.counted.total(segment) - account.retracted.total(segment)

    def nets(self, metrics: Container[str]) -> Iterator[tuple[str, tuple[str, ...], dict[Segment, int]]]:
        """Of these metrics: name, labels, and counted minus retracted by segment."""
        for (name, labels), account in self._accounts.items():
            if name in metrics:
                yield name, labels, account.net()

    def ready(self) -> dict[str, int | None]:
        """Stages whose conversions are expected → 0; of those that are still learned, when (ms) they will be, None if unknown."""
        found: dict[str, int | None] = {}
        for level, baseline in self.expectation.levels.items():
            known = None if baseline.learned is None else baseline.learned.ready_at
            found[self._levels[level]] = 0 if baseline.ready else known
        return found

    def export(self, builders: Builders, now: int) -> None:
        """Write all series into the families, as one scrape reads them."""
        for level, baseline in self.expectation.levels.items():
            labels = {**self._labels, STAGE_LABEL: self._levels[level]}
            builders[EXPECTATION_LEARNING.name].add(labels, int(not baseline.ready))
            if baseline.ready:  # its series stand at 0 from now on; while it learns it has none
                self._account(STAGE_EXPECTED_CONVERSIONS, (self._levels[level],), now)
            if baseline.learned is not None:
                builders[EXPECTATION_READY.name].add(dict(labels), baseline.learned.ready_at)
        for account in self._accounts.values():
            account.export(builders, now)
        for durations in self._durations[1:]:  # nothing lies before the first level
            durations.export(builders)

    # -- effects

    def _entered(self, facts: Facts) -> Iterator[tuple[Metric, tuple[str, ...]]]:
        level = facts.stage
        yield STAGE_ENTERED, (self._levels[level],)
        if level == 0:
            yield ATTEMPTS_STARTED, ()
            if facts.recovered:
                yield RECOVERED, ()
        for before in self._converted(facts):
            yield STAGE_CONVERSIONS, (self._levels[before],)

    def _effect(self, facts: Facts) -> Effect:
        """What the entry means to who is expected to convert."""
        key = (facts.stage, facts.reached, facts.is_deleted)
        known = self._effects.get(key)
        if known is None:
            known = (facts.stage, tuple(self._converted(facts)), facts.is_deleted == 1)
            self._effects[key] = known
        return known

    def _converted(self, facts: Facts) -> Iterator[int]:
        """The levels whose conversion this entry is."""
        if facts.stage == 0 or not self._required[facts.stage]:
            return
        for before in range(facts.stage - 1, -1, -1):
            if self._required[before]:
                yield before
                return
            if facts.reached >> before & 1:
                yield before

    def _ended(self, facts: Facts) -> Iterator[tuple[Metric, tuple[str, ...]]]:
        if facts.outcome == End.CONVERTED:
            yield CONVERSIONS, ()
        else:
            yield STAGE_DROPPED, (self._levels[facts.stage], clean(facts.outcome))

    def _edge(self, facts: Facts, direction: str, n: int, now: int) -> None:
        labels = (clean(facts.from_stage), clean(facts.to_stage), clean(direction))
        self._account(TRANSITIONS, labels, now).add({EVERYTHING: n}, now, taken_back=facts.is_deleted == 1)

    def _lasted(self, facts: Facts, rows: Group) -> None:
        if facts.stage == 0:
            return
        durations = self._durations[facts.stage]
        into = durations.retracted if facts.is_deleted == 1 else durations.counted
        into.observe(rows.durations)

    def _money(self, facts: Facts, rows: Group, now: int) -> None:
        for (earned, currency, dims), amount in rows.money.items():
            metric = CONVERSION_VALUE if earned else REFUND_VALUE
            segments = dict.fromkeys(self._segments.of(dims), amount)
            self._learn(segments, now)
            account = self._account(metric, (self._currencies.segment(currency).value,), now)
            account.add(segments, now, taken_back=facts.is_deleted == 1)

    # -- which series exist

    def _from_the_start(self, funnel: Funnel, policy: LabelPolicy) -> Iterator[tuple[Metric, tuple[str, ...]]]:
        """Every counter whose labels are known: it stands at 0 before it first counts."""
        last = len(self._levels) - 1
        for metric in (ATTEMPTS_STARTED, CONVERSIONS, RECOVERED):
            yield metric, ()
        for index, level in enumerate(self._levels):
            yield STAGE_ENTERED, (level,)
            if index < last:
                yield STAGE_CONVERSIONS, (level,)
                for reason in possible_reasons(funnel):
                    yield STAGE_DROPPED, (level, reason.value)
        for before, after in plain_edges(funnel):
            yield TRANSITIONS, (clean(before), clean(after), Direction.FORWARD.value)
        for currency in policy.currencies:
            yield CONVERSION_VALUE, (clean(currency),)
            yield REFUND_VALUE, (clean(currency),)

    def _account(self, metric: Metric, labels: tuple[str, ...], now: int) -> Account:
        account = self._accounts.get((metric.name, labels))
        if account is None:
            account = self._create(metric, labels)
            for segment in self._open if account.segmented else (EVERYTHING,):
                account.open(segment, now)
        return account

    def _create(self, metric: Metric, labels: tuple[str, ...], *, at_once: bool = False) -> Account:
        own = [label for label in metric.labels if label not in (SITE, FUNNEL, DIMENSION, VALUE)]
        segmented = metric is not TRANSITIONS
        segments = (self._open if segmented else (EVERYTHING,)) if at_once else ()
        account = Account(
            metric, {**self._labels, **dict(zip(own, labels, strict=True))}, segments, segmented=segmented
        )
        self._accounts[metric.name, labels] = account
        return account

    def _learn(self, tally: Mapping[Segment, int], now: int) -> None:
        """A value seen for the first time stands at 0 in every series of the funnel, before any of them counts it."""
        for segment in tally.keys() - self._open:
            self._open.add(segment)
            for account in self._accounts.values():
                if account.segmented:
                    account.open(segment, now)
