"""Metrics pages and probes, and the histograms on them."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping

import msgspec

_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never through a proxy
_LINE = re.compile(r"^(\w+)(?:\{(.*)\})? (\S+)", re.MULTILINE)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
SECONDS = 10.0


class Sample(msgspec.Struct, frozen=True):
    """One line of a page."""

    name: str
    labels: Mapping[str, str]
    value: float


def status(port: int, probe: str) -> str:
    """What a probe (`readyz`, `healthz`) says; empty while nobody listens."""
    try:
        with _OPENER.open(f"http://127.0.0.1:{port}/{probe}", timeout=SECONDS) as answer:
            return str(answer.read().decode().strip())
    except urllib.error.HTTPError as error:
        return error.read().decode().strip()
    except OSError:
        return ""


def page(port: int) -> str:
    """The metrics page; empty while nobody listens."""
    try:
        with _OPENER.open(f"http://127.0.0.1:{port}/metrics", timeout=SECONDS) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


def samples(text: str, name: str, **labels: str) -> Iterator[Sample]:
    """The samples of one name that have these labels."""
    for line in text.split("\n"):
        if line.startswith(name) and (found := _LINE.match(line)) and found[1] == name:
            sample = Sample(name, dict(_LABEL.findall(found[2] or "")), float(found[3]))
            if labels.items() <= sample.labels.items():
                yield sample


def total(text: str, name: str, **labels: str) -> float:
    """Their sum; 0 for none."""
    return sum(sample.value for sample in samples(text, name, **labels))


def buckets(text: str, name: str, **labels: str) -> dict[float, float]:
    """A histogram's cumulative counts by upper bound."""
    return {float(sample.labels["le"]): sample.value for sample in samples(text, f"{name}_bucket", **labels)}


def rise(before: Mapping[float, float], after: Mapping[float, float]) -> dict[float, float]:
    """What a histogram took between two scrapes."""
    return {bound: count - before.get(bound, 0.0) for bound, count in after.items()}


def histogram_quantile(counts: Mapping[float, float], share: float) -> float:
    """As Prometheus' histogram_quantile: evenly spread within a bucket; of the last, its lower bound. Raises ValueError if empty."""
    bounds = sorted(counts)
    if not bounds or counts[bounds[-1]] <= 0:
        raise ValueError("the histogram is empty")
    rank, below, lower = share * counts[bounds[-1]], 0.0, 0.0
    for bound in bounds:
        if counts[bound] >= rank and counts[bound] > below:
            return (
                lower if bound == float("inf") else lower + (bound - lower) * (rank - below) / (counts[bound] - below)
            )
        below, lower = counts[bound], bound
    return lower
