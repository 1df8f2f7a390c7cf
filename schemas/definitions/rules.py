"""What the stages of one funnel must be to each other. Each rule adds its problems, with the remedy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from schemas.funnel import Funnel, Mode, Stage
from schemas.problems import Problems
from schemas.toml import show

MOST_STAGES = 62  # a row's `reached` is a bit mask in a signed 64-bit integer, with one bit to spare


def check_stages(funnel: Funnel, where: str, problems: Problems) -> None:
    """Adds a problem for each rule that the stages of `funnel` break."""
    stages = funnel.stages
    if len(stages) > MOST_STAGES:
        problems.add(f"{where}, stages", f"there are {len(stages)}", f"write at most {MOST_STAGES}")
    for name in _repeated([stage.name for stage in stages if stage.name]):
        problems.add(
            f"{where}, stage {show(name)}", "there are several of this name", "give each stage a name of its own"
        )
    if not stages:
        return
    _check_first(stages[0], _at(where, stages[0], 0), problems)
    if stages[-1].optional and len(stages) > 1:
        at = _at(where, stages[-1], len(stages) - 1)
        problems.add(
            f"{at}, optional", "the last stage is the conversion", "leave optional out, or add a stage after it"
        )
    if funnel.mode is Mode.UNORDERED:
        _check_unordered(stages, where, problems)
    else:
        _check_excluded(stages, where, problems)


def _at(where: str, stage: Stage, index: int) -> str:
    return f"{where}, stage {show(stage.name) if stage.name else index + 1}"


def _check_first(stage: Stage, at: str, problems: Problems) -> None:
    if stage.optional:
        problems.add(f"{at}, optional", "the first stage is the entry", "leave optional out, or put a stage before it")
    if stage.within is not None:
        problems.add(f"{at}, within", "the first stage has no stage before it", "put within on a later stage")
    if stage.exclude:
        problems.add(f"{at}, exclude", "no attempt waits for the first stage", "put exclude on a later stage")
    for key, value in (("target", stage.target), ("floor", stage.floor)):
        if value is not None:
            problems.add(f"{at}, {key}", "the first stage's rate is always 1", f"put {key} on a later stage")


def _check_unordered(stages: Sequence[Stage], where: str, problems: Problems) -> None:
    for index, stage in enumerate(stages):
        given = {"optional": stage.optional, "within": stage.within is not None, "exclude": bool(stage.exclude)}
        for key in (key for key, there in given.items() if there and index > 0):
            remedy = f'leave {key} out, or write mode = "ordered"'
            problems.add(f"{_at(where, stage, index)}, {key}", "does not exist in unordered mode", remedy)


def _check_excluded(stages: Sequence[Stage], where: str, problems: Problems) -> None:
    """An event that ends the attempt can't also be the step that is awaited: it would end it each time."""
    for j, stage in enumerate(stages):
        for k in sorted({k for awaited in _awaited(stages) if j in awaited for k in awaited}):
            for pattern in stage.exclude if not stages[k].where else ():
                if pattern in stages[k].events:
                    problem = f"{show(pattern)} is also an event of stage {show(stages[k].name)}, which is awaited then"
                    remedy = "take it out of one of them, or tell them apart with where"
                    problems.add(f"{_at(where, stage, j)}, exclude", problem, remedy)


def _awaited(stages: Sequence[Stage]) -> Iterator[range]:
    """For each level that can be the highest reached: the stages awaited then, up to the next required one."""
    for level in range(len(stages) - 1):
        end = next((k for k in range(level + 1, len(stages)) if not stages[k].optional), len(stages) - 1)
        yield range(level + 1, end + 1)


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})
