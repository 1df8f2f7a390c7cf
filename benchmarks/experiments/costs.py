"""What an event costs the engine in process, without Kafka: by funnels, stages, open attempts, label values and share of noise.

Measured: reading, the engine, packing of the rows and states, counters, slice by slice as the worker does it with a source that is keyed
by the session. Median over the chunks.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from itertools import islice, repeat
from pathlib import Path
from statistics import median
from time import process_time_ns
from typing import Any

from benchmarks.definitions import Walk
from benchmarks.engine import Fetched
from benchmarks.experiments.outcome import Chart, Figure, Line, Table, cells
from benchmarks.experiments.place import definition, loaded
from benchmarks.experiments.plan import Plan
from schemas.decode import DecodeOptions, Format, decoder
from schemas.funnel import Unit
from schemas.settings import Kafka
from sinks.prometheus.counters import FunnelCounters
from sinks.prometheus.labels import LabelPolicy
from streams.engine.match import CompiledFunnel
from streams.engine.partition import Partition
from streams.engine.usual import Readable, gathered
from streams.stream.effects import Effects
from streams.stream.unit_log import slice_size

CHUNK = Kafka().chunk_records
WARM = 2  # chunks that are not counted
START = 1_748_822_400_000
STEP = 1  # ms of event time between two events
#: Session, event and further members of one event's JSON.
Made = tuple[int, str, str]


class Drive:
    """One partition, driven chunk by chunk as the worker drives it; its state is kept in a dict."""

    def __init__(self, funnels: str, folder: Path, policy: LabelPolicy | None = None) -> None:
        definitions = loaded(funnels, folder)
        self._dimensions = {made.version: made.dimensions for made in definitions}
        compiled = [CompiledFunnel(funnel) for funnel in definitions]
        options = DecodeOptions(format=Format.AUTO)
        self._partition = Partition("log", 0, Unit.SESSION, compiled, {}, Readable(options))
        self._decode = decoder(options)
        self.counters = FunnelCounters(definitions, policy or LabelPolicy(), "site")
        self._offset = 0

    def run(self, events: Iterator[Made], chunks: int, size: int = CHUNK) -> float:
        """Microseconds of CPU per event: the median of the chunks."""
        return median(self._chunk(list(islice(events, size))) for _ in range(chunks))

    def _chunk(self, made: list[Made]) -> float:
        partition, now = self._partition, START + 86_400_000
        values = [
            Fetched(offset, now, session_id(each[0]).encode(), encoded(offset, *each))
            for offset, each in enumerate(made, self._offset)
        ]
        records: Any = values if partition.reading is None else gathered(values)
        size = slice_size(partition)
        began = process_time_ns()
        effects = Effects(partition, self._dimensions)
        for start in range(0, len(records), size):
            for record in partition.unusual(records[start : start + size]):
                partition.event(record.offset, self._decode(record.value, record.timestamp), record.timestamp)
            effects.add(partition.rows())
        result = partition.finish()
        effects.end(result)
        effects.records(result.progress)
        partition.keep(result)
        self.counters.count(effects.tally)
        self.counters.settle()
        spent = process_time_ns() - began
        self._offset += len(made)
        return spent / len(made) / 1000

    def scrape(self) -> float:
        """Milliseconds of CPU that one scrape of the counters takes."""
        began = process_time_ns()
        for family in self.counters.families():
            list(family.samples)
        return (process_time_ns() - began) / 1e6


def session_id(session: int) -> str:
    return f"s{session:012x}"


def encoded(number: int, session: int, event: str, more: str) -> bytes:
    """The event as it comes from Kafka."""
    ts = START + number * STEP
    return f'{{"event_id":"e{number:012x}","event":"{event}","timestamp":{ts},"session_id":"{session_id(session)}"{more}}}'.encode()


def walks(sessions: int, stages: Sequence[Sequence[str]], seed: int = 1) -> Iterator[Made]:
    """Sessions side by side that each walk one of the lists of stages to its end, then begin anew."""
    rng = random.Random(seed)
    number, ids = 0, [0] * sessions
    names: list[Iterator[str]] = [iter(()) for _ in range(sessions)]
    while True:
        for slot in range(sessions):
            name = next(names[slot], None)
            if name is None:
                number += 1
                ids[slot] = number
                chosen = rng.choice(stages)
                names[slot] = iter(chosen[: rng.randint(1, len(chosen))] if number <= sessions else chosen)
                name = next(names[slot])
            yield ids[slot], name, ""


def stages_of(prefix: str, count: int) -> tuple[str, ...]:
    return tuple(f"{prefix}-{level}" for level in range(count))


def funnel(name: str, stages: Sequence[str], dimensions: Sequence[str] = ()) -> str:
    """A funnel whose attempts stay open for a minute of event time."""
    return definition(Walk(name, tuple(stages), 1.0, 1.0), window="60s", lateness="5s", dimensions=dimensions)


def by_funnels(plan: Plan, folder: Path) -> list[Line]:
    """1, 10, 50 funnels of five stages: all on the same events, or each on its own."""
    same, own = [], []
    for count in (1, 10, 50):
        stages = stages_of("event", 5)
        size = max(200, CHUNK // count)  # an event moves all funnels
        text = "".join(funnel(f"f{place}", stages) for place in range(count))
        same.append((float(count), warm(Drive(text, folder), walks(1_000, [stages]), plan, size)))
        lists = [stages_of(f"f{place}", 5) for place in range(count)]
        text = "".join(funnel(f"f{place}", each) for place, each in enumerate(lists))
        own.append((float(count), warm(Drive(text, folder), walks(1_000, lists), plan)))
    return [Line("every funnel looks at every event", tuple(same)), Line("one funnel looks at each event", tuple(own))]


def by_stages(plan: Plan, folder: Path) -> list[Line]:
    """3, 10, 20 stages, walked to the end."""
    points = []
    for count in (3, 10, 20):
        stages = stages_of("event", count)
        points.append((float(count), warm(Drive(funnel("f", stages), folder), walks(1_000, [stages]), plan)))
    return [Line("one funnel", tuple(points))]


def by_open_attempts(plan: Plan, folder: Path) -> list[Line]:
    """Sessions that are open meanwhile; those that move on are chosen at random."""
    points = []
    for count in plan.open_attempts:
        text = definition(Walk("f", stages_of("event", 5), 1.0, 1.0), window="24h", lateness="5s")
        drive = Drive(text, folder)
        drive.run(((session, "event-0", "") for session in range(count)), -(-count // CHUNK))
        rng = random.Random(1)
        moving = ((rng.randrange(count), f"event-{rng.randint(1, 3)}", "") for _ in repeat(None))
        points.append((float(count), warm(drive, moving, plan)))
    return [Line("one funnel", tuple(points))]


def by_label_values(plan: Plan, folder: Path) -> tuple[list[Line], list[tuple[str, ...]]]:
    """Distinct values of one dimension: 20 of them labels (the default), or all. Also what a scrape then costs."""
    lines, rows = [], []
    for name, most in (("at most 20 label values (default)", 20), ("all are label values", 1_000_000)):
        points = []
        for count in (10, 100, 1_000, 10_000):
            stages = stages_of("event", 5)
            drive = Drive(funnel("f", stages, ["campaign"]), folder, LabelPolicy(max_values=most))
            events = ((s, e, f',"campaign":"c{s % count}"') for s, e, _ in walks(1_000, [stages]))
            points.append((float(count), warm(drive, events, plan, more=-(-count * 5 // CHUNK))))
            rows.append(cells(name, float(count), points[-1][1], drive.scrape()))
        lines.append(Line(name, tuple(points)))
    return lines, rows


def by_noise(plan: Plan, folder: Path) -> list[Line]:
    """50 funnels of five stages with events of their own; this share of the events (%) fits none."""
    lists = [stages_of(f"f{place}", 5) for place in range(50)]
    text = "".join(funnel(f"f{place}", each) for place, each in enumerate(lists))
    points = []
    for percent in (0, 25, 50, 75, 90, 100):
        rng = random.Random(1)
        noise: Iterator[Made] = ((rng.randrange(1_000), "page_view", "") for _ in repeat(None))
        source = walks(1_000, lists)
        mixed = (next(noise if rng.random() * 100 < percent else source) for _ in repeat(None))
        points.append((float(percent), warm(Drive(text, folder), mixed, plan)))
    return [Line("50 funnels", tuple(points))]


def warm(drive: Drive, events: Iterator[Made], plan: Plan, size: int = CHUNK, more: int = 0) -> float:
    """The cost once it has run for a while."""
    drive.run(events, WARM + more, size)
    return drive.run(events, plan.chunks, size)


def run(plan: Plan, folder: Path) -> tuple[list[Figure], list[Table], list[Chart]]:
    """All of them: a table and a picture each."""
    from streams.memory import spare_the_collector

    spare_the_collector()
    label_lines, label_rows = by_label_values(plan, folder)
    asked: list[tuple[str, str, list[Line], bool]] = [
        ("funnels", "number of funnels", by_funnels(plan, folder), False),
        ("stages", "stages of the funnel", by_stages(plan, folder), False),
        ("open", "open attempts", by_open_attempts(plan, folder), True),
        ("labels", "distinct values of one dimension", label_lines, True),
        ("noise", "% of the events that fit no funnel", by_noise(plan, folder), False),
    ]
    tables, charts, figures = [], [], []
    for name, x, lines, log in asked:
        title = f"CPU per event by {x} (in process)"
        rows = tuple(cells(line.name, *point) for line in lines for point in line.points)
        tables.append(Table(title, ("", x, "µs per event"), rows))
        charts.append(Chart(f"scale-{name}", title, x, "µs per event", tuple(lines), log_x=log))
        for place, line in enumerate(lines):
            least, most = line.points[0], line.points[-1]
            figures.append(Figure(f"scale_{name}{place or ''}_cost_ratio", most[1] / least[1], "times"))
    columns = ("labels", "distinct values", "µs per event", "one scrape, ms")
    tables[3] = Table(tables[3].title, columns, tuple(label_rows))
    return figures, tables, charts
