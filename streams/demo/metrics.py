"""What only the worker knows: how far it is behind, from its metrics page."""

from __future__ import annotations

import urllib.request

from prometheus_client.parser import text_string_to_metric_families

from schemas.metrics import CONSUMER_LAG

_SECONDS = 2.0
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # loopback: never through a proxy


def worker_lag(address: str, topic: str) -> int | None:
    """Records of `topic` that the worker at `address` (host:port) has not applied yet; None while it does not answer."""
    try:
        with _OPENER.open(f"http://{address}/metrics", timeout=_SECONDS) as answer:
            return read_lag(answer.read().decode(), topic)
    except (OSError, ValueError):
        return None


def read_lag(text: str, topic: str) -> int | None:
    """The lag in a metrics page, over all partitions; None if it has none yet. Raises ValueError for a text that is no page."""
    # Of thousands of lines only those few are parsed.
    lines = [line for line in text.splitlines() if line.startswith(CONSUMER_LAG.name)]
    lags = [
        int(sample.value)
        for family in text_string_to_metric_families("\n".join(lines) + "\n")
        for sample in family.samples
        if sample.labels["topic"] == topic
    ]
    return sum(lags) if lags else None
