"""The version of a definition: it changes when, and only when, what is counted changes."""

from __future__ import annotations

import json
from hashlib import blake2b

from schemas.funnel import Condition, Funnel, Stage


def version_of(funnel: Funnel) -> str:
    """12 hex digits over all that changes counting; `funnel.version` itself is not looked at.

    Left out: the funnel's name (rows carry it beside the version), indicator, target, floor, floor_minimum, owner,
    team, alert. Lists of alternatives (events, exclude, refunds, values of a condition) count as sets: their order
    changes nothing. The order of stages and of dimensions does (rows hold both by position).
    """
    canonical = {
        "unit": funnel.unit.value,
        "mode": funnel.mode.value,
        "window": funnel.window,
        "lateness": funnel.lateness,
        "session_gap": funnel.session_gap,
        "dimensions": list(funnel.dimensions),
        "refunds": sorted(set(funnel.refunds)),
        "stages": [canonical_stage(stage) for stage in funnel.stages],
    }
    text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=6).hexdigest()


def canonical_stage(stage: Stage) -> dict[str, object]:
    """All of a stage that changes counting, as JSON can hold it."""
    return {
        "name": stage.name,
        "events": sorted(set(stage.events)),
        "where": sorted({_condition(condition) for condition in stage.where}),
        "optional": stage.optional,
        "within": stage.within,
        "exclude": sorted(set(stage.exclude)),
        "value": stage.value,
    }


def _condition(condition: Condition) -> str:
    values = sorted({json.dumps(_plain(value)) for value in condition.values})
    return json.dumps([condition.field, condition.operator, values])


def _plain(value: object) -> object:
    """100 and 100.0 are the same number to a condition, so they must be the same text here."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
