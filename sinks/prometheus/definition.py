"""What a definition alone says about its rows: which levels are required, which edges and reasons can occur."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.funnel import Funnel, Mode, Unit
from schemas.rows import End


def required_levels(funnel: Funnel) -> list[bool]:
    """By level, whether a conversion needs it. In unordered mode all are."""
    return [funnel.mode is Mode.UNORDERED or not stage.optional for stage in funnel.stages]


def plain_edges(funnel: Funnel) -> Iterator[tuple[str, str]]:
    """The edges of a straight walk: into the funnel, and from each level to those up to the next required one."""
    levels, required = funnel.levels, required_levels(funnel)
    yield "", levels[0]
    for before in range(len(levels)):
        for after in range(before + 1, len(levels)):
            yield levels[before], levels[after]
            if required[after]:
                break


def possible_reasons(funnel: Funnel) -> list[End]:
    """The reasons for which this definition can end an attempt without conversion."""
    ordered = funnel.mode is not Mode.UNORDERED
    possible = {
        End.WINDOW_TIMEOUT: True,
        End.SESSION_END: funnel.unit is Unit.SESSION,
        End.STEP_TIMEOUT: ordered and any(stage.within is not None for stage in funnel.stages),
        End.EXCLUDED: ordered and any(stage.exclude for stage in funnel.stages),
        End.BROKEN: funnel.mode is Mode.STRICT,
    }
    return [reason for reason, can in possible.items() if can]
