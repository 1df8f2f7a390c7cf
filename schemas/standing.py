"""Attempts that stand at a stage: what a worker that takes over a log partition finds of those who may still convert."""

from __future__ import annotations

from typing import NamedTuple

#: Times of standing attempts are told to these ms.
GRAIN = 10_000


class Standing(NamedTuple):
    """Attempts of `funnel` (of this `version`) that reached `level` at `since` (ms, down to GRAIN) and not the next required one;
    `dims`: their breakdown."""

    funnel: str
    version: str
    level: int
    since: int
    dims: tuple[str, ...]
