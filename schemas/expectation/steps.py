"""The steps of a funnel whose conversions are expected, and the fingerprint under which each is remembered."""

from __future__ import annotations

import json
from collections.abc import Iterator
from hashlib import blake2b

import msgspec

from schemas.definitions.version import canonical_stage
from schemas.funnel import Funnel, Mode
from schemas.report import following_required

#: Nobody is expected to convert later than this after the entry to a stage, whatever the window: it bounds what is kept.
LONGEST_DELAY = 7 * 86_400_000
#: What a stage is called and earns changes no rate.
_NAMES = ("name", "value")


class Step(msgspec.Struct, frozen=True):
    """From `level` to `following`, the next required one. `delay`: the longest that is expected (ms)."""

    funnel: str
    level: int
    following: int
    delay: int
    fingerprint: str


def steps(funnel: Funnel, unit: int) -> Iterator[Step]:
    """The steps from every level but the last. `unit`: ms of event time in one step of age.

    The fingerprint of a step changes when what it counts changes: its stages, those between them, the unit, the mode, the window.
    A funnel whose other stages change keeps what it has learned of this one.
    """
    for level in range(len(funnel.levels) - 1):
        following = following_required(funnel, level)
        print_of = fingerprint(funnel, level, following, unit)
        yield Step(funnel.name, level, following, min(funnel.window, LONGEST_DELAY), print_of)


def fingerprint(funnel: Funnel, level: int, following: int, unit: int) -> str:
    """16 hex digits."""
    if funnel.mode is Mode.UNORDERED:
        stages = [canonical_stage(stage) for stage in funnel.stages] + [{"level": level}]
    else:
        stages = [canonical_stage(stage) for stage in funnel.stages[level : following + 1]]
    told = {
        "funnel": funnel.name,
        "unit": funnel.unit.value,
        "mode": funnel.mode.value,
        "window": funnel.window,
        "session_gap": funnel.session_gap,
        "first": level == 0,
        "step": unit,
        "stages": [{key: value for key, value in stage.items() if key not in _NAMES} for stage in stages],
    }
    return blake2b(json.dumps(told, sort_keys=True).encode(), digest_size=8).hexdigest()
