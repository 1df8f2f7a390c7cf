"""What the worker says about itself: the few metrics that the live view shows."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator

import msgspec
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from schemas import metrics as m
from schemas.reasons import Outcome

_WANTED = (m.CONSUMER_LAG, m.DEAD_LETTERS, m.EVENTS)
_SECONDS = 2.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never through a proxy


class WorkerFigures(msgspec.Struct, frozen=True):
    """Sums over the worker's series. `lag`: records of the source not yet applied; `read`: records of one funnel."""

    lag: int
    dead_letters: int
    read: int
    duplicates: int
    late: int


def scrape(address: str, topic: str, funnel: str) -> WorkerFigures | None:
    """The figures of the worker at `address` (host:port) for one source and funnel; None while it does not answer."""
    try:
        with _OPENER.open(f"http://{address}/metrics", timeout=_SECONDS) as answer:
            return read_figures(answer.read().decode(), topic, funnel)
    except (OSError, ValueError):
        return None


def read_figures(text: str, topic: str, funnel: str) -> WorkerFigures:
    """The figures in a metrics page. Raises ValueError for a text that is none."""
    lag = letters = 0
    outcomes: dict[str, int] = {}
    for sample in _samples(text):
        value = int(sample.value)
        if sample.name == m.CONSUMER_LAG.name and sample.labels["topic"] == topic:
            lag += value
        elif sample.name == m.DEAD_LETTERS.name:
            letters += value
        elif sample.name == m.EVENTS.name and sample.labels[m.FUNNEL] == funnel:
            outcomes[sample.labels["outcome"]] = value
    duplicates, late = outcomes.get(Outcome.DUPLICATE, 0), outcomes.get(Outcome.LATE, 0)
    return WorkerFigures(lag, letters, sum(outcomes.values()), duplicates, late)


def _samples(text: str) -> Iterator[Sample]:
    """The wanted samples: of thousands of lines only those few are parsed."""
    names = tuple(metric.name for metric in _WANTED)
    lines = [line for line in text.splitlines() if line.startswith(names)]
    for family in text_string_to_metric_families("\n".join(lines) + "\n"):
        yield from family.samples
