"""Which attempts of a unit's state stand at which stage, for the expectation of those who may still go on."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.report import following_required
from schemas.standing import GRAIN, Standing
from streams.engine.match import CompiledFunnel
from streams.engine.state import Attempt


def standing(funnel: CompiledFunnel, attempt: Attempt) -> Iterator[Standing]:
    """The stages that an open attempt has reached without the next required one. Its entry is exact; at later stages the time
    is that of its newest chain."""
    reached, definition = attempt.reached, funnel.definition
    for level in range(funnel.last):
        if reached >> level & 1 and not reached >> following_required(definition, level) & 1:
            since = attempt.entry
            if level:
                since += max(attempt.times) if funnel.unordered else attempt.times[level]
            yield Standing(funnel.name, funnel.version, level, since // GRAIN * GRAIN, attempt.dims)
