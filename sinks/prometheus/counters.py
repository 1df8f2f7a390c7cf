"""What the rows of a chunk add to the counters.

    row                          counters (R = the same under `funnel_retracted_total` when the row is taken back)
    enter, level 0               started, entered, edge; recovered if the last attempt dropped off
    enter, level j > 0           entered, edge, duration; where j is required: a conversion of the required stage before
                                 it and of each optional one between that the attempt had reached
    enter with money             conversion value
    end, converted               conversions
    end, any other outcome       dropped, by the highest stage reached
    move                         edge
    refund                       refund value

Every effect depends on its row alone, so a row taken back meets exactly the series that it had counted in.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter

import msgspec
from prometheus_client.core import Metric as Family

from schemas.errors import ConfigError
from schemas.expectation.baselines import Baselines
from schemas.funnel import Funnel
from schemas.metrics import EXPECTATION_LEARNED, OF_FUNNELS, SITE, UNCOUNTED_ROWS, Metric
from schemas.rows import Row
from schemas.standing import Standing
from sinks.prometheus.collector import FamilyBuilder
from sinks.prometheus.expected import Place
from sinks.prometheus.funnel_series import Facts, FunnelSeries, Group
from sinks.prometheus.labels import EVERYTHING, LabelPolicy, Segment, clean
from sinks.prometheus.series import Clock, monotonic

#: ms of event time in one step of what is expected, where nothing else is said.
STEP = 60_000
#: Rows that may wait to be added to the series: 5 MB of usual ones, some 15 of others whose breakdowns are all distinct.
WAITING = 50_000
_FACTS = attrgetter(*Facts._fields)


class Tally:
    """Rows by what they add to the counters, until they may be counted: a chunk's rows are gathered slice by slice."""

    __slots__ = ("groups",)

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.groups: defaultdict[tuple[object, ...], Group] = defaultdict(Group)
        self.add(rows)

    def __len__(self) -> int:
        """How many rows."""
        return sum(len(group.dims) for group in self.groups.values())

    def add(self, rows: Iterable[Row], withdrawn: Iterable[Row] = ()) -> None:
        """`rows`: as they are written. `withdrawn`: former contents, no longer true; their tombstones then say nothing new."""
        withdrawn = list(withdrawn)
        if withdrawn:
            rows = [row for row in rows if not row.is_deleted]
            rows += [msgspec.structs.replace(row, is_deleted=1) for row in withdrawn]
        groups = self.groups
        for row in rows:
            group = groups[_FACTS(row)]
            group.dims.append(row.entry_dims)
            group.times.append((row.event_time, 1))
            if row.duration >= 0:
                group.durations.append(row.duration)
            if row.value:
                group.earn(row.value, row.currency, row.entry_dims)

    def add_alike(self, row: Row, dims: Iterable[tuple[str, ...]], durations: Iterable[int]) -> Group:
        """Rows that differ from this one in nothing that counts but breakdown and duration (ms), all of one minute of event time. Their
        money is to be added."""
        group = self.groups[_FACTS(row)]
        before = len(group.dims)
        group.dims.extend(dims)
        group.times.append((row.event_time, len(group.dims) - before))
        if row.duration >= 0:
            group.durations.extend(durations)
        return group

    def join(self, other: Tally) -> None:
        """All of the other's rows, too."""
        for key, group in other.groups.items():
            self.groups[key].join(group)


class Waiting:
    """What the chunks of a log partition bring that is not in the series yet. `heard`: event time (ms) that the partition has reached;
    `now`: when it was counted last, by the counters' clock."""

    __slots__ = ("heard", "now", "tally")

    def __init__(self) -> None:
        self.tally, self.now = Tally(), 0
        self.heard: int | None = None


class FunnelCounters:
    """The counters of all funnels of one worker. Their series are brought up to date when they are read, and whenever many rows wait: what
    chunks have in common is then added once.

    `funnels`: one definition per name. `site`: the label `funnel_site`. `clock`: ms, for the time that new series are
    held at 0. `baselines`: what is expected; they may learn at any time. `waiting`: rows that are not in the series yet. Not for use by
    several threads at once. Raises ConfigError for two funnels of one name.
    """

    def __init__(
        self, funnels: Sequence[Funnel], labels: LabelPolicy, site: str, clock: Clock = monotonic,
        baselines: Baselines | None = None,
    ) -> None:  # fmt: skip
        self._clock = clock
        self.baselines = baselines or Baselines(funnels, STEP)
        self._site = clean(site)
        self._funnels: dict[str, FunnelSeries] = {}
        for funnel in funnels:
            if funnel.name in self._funnels:
                raise ConfigError(f"funnel {funnel.name}", "is defined twice", "their counts would mix: rename one")
            self._funnels[funnel.name] = FunnelSeries(funnel, labels, self._site, self.baselines)
        self._uncounted = 0
        self._waiting: defaultdict[Place | None, Waiting] = defaultdict(Waiting)
        self.waiting = 0
        self._edition = self.baselines.edition

    def count(self, tally: Tally, place: Place | None = None, heard: int | None = None) -> None:
        """Count a chunk's newly written rows, after its ack. `is_deleted` = 1: this content is taken back.

        A row that replaces another of its key comes with a copy of the former one with `is_deleted` = 1. `place`: the log
        partition that they are of, `heard`: the event time that it has reached (ms; None: none yet): so much more is expected.
        """
        if self._edition != self.baselines.edition:
            self._edition = self.baselines.edition
            self.settle()  # what comes from now on is what is expected by what was learned
        waiting = self._waiting[place]
        self.waiting += len(tally)
        waiting.tally.join(tally)
        waiting.heard, waiting.now = heard, self._clock()
        if self.waiting > WAITING:
            self.settle()

    def settle(self) -> None:
        """Adds to the series whatever waits."""
        settled, self._waiting, self.waiting = self._waiting, defaultdict(Waiting), 0
        for place, waiting in settled.items():
            self._add(place, waiting)

    def _add(self, place: Place | None, waiting: Waiting) -> None:
        now = waiting.now
        for key, group in waiting.tally.groups.items():
            facts = Facts._make(key)
            series = self._funnels.get(facts.funnel)
            if series is None or series.version != facts.version or not series.count(facts, group, now, place):
                self._uncounted += len(group.dims)
        if place is not None and waiting.heard is not None:
            for series in self._funnels.values():
                series.expect(place, waiting.heard, now)

    def begin(self, place: Place, heard: int | None, standing: Mapping[Standing, int]) -> None:
        """A log partition was built from its state: who stands where, by how many there are, and its event time (ms)."""
        self.settle()
        for name, series in self._funnels.items():
            own = [(each, n) for each, n in standing.items() if each.funnel == name and each.version == series.version]
            series.expectation.begin(place, heard, own)

    def forget(self, place: Place) -> None:
        """Another worker has the log partition."""
        self.settle()
        for series in self._funnels.values():
            series.leave(place, self._clock())

    def net(self, metric: Metric, funnel: str, *labels: str, segment: Segment = EVERYTHING) -> int:
        """Counted minus retracted since the start, in the metric's integer units, held-back increments included.

        `labels`: the metric's labels besides site, funnel and segment, in their order (`"cart", "window_timeout"`).
        """
        self.settle()
        return self._funnels[funnel].net(metric, labels, segment)

    def nets(self, funnel: str, metrics: Container[str]) -> Iterator[tuple[str, tuple[str, ...], dict[Segment, int]]]:
        """Of these metrics of one funnel, all that was counted minus retracted since the start: name, labels, by segment."""
        self.settle()
        return self._funnels[funnel].nets(metrics)

    def ready(self, funnel: str) -> dict[str, int | None]:
        """Of which stages of one funnel conversions are expected (FunnelSeries.ready)."""
        return self._funnels[funnel].ready()

    def families(self) -> Iterator[Family]:
        """All families, for one scrape."""
        self.settle()
        builders = {metric.name: FamilyBuilder(metric) for metric in OF_FUNNELS if metric.exported}
        now = self._clock()
        for series in self._funnels.values():
            series.export(builders, now)
        builders[UNCOUNTED_ROWS.name].add({SITE: self._site}, self._uncounted)
        if self.baselines.learned_at is not None:
            builders[EXPECTATION_LEARNED.name].add({SITE: self._site}, self.baselines.learned_at)
        return (builder.family for builder in builders.values())
