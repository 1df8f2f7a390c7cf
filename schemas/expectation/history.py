"""From counts by quarter of an hour to what is learned: past incidents masked, slots of the week summed, values grouped."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from schemas.expectation.curve import learn_curve
from schemas.expectation.learned import Counts, LearnedStep
from schemas.expectation.rates import around, bounded, shrunk
from schemas.expectation.steps import Step
from schemas.expectation.week import QUARTER, Week
from schemas.metrics import CROSS, OTHER
from schemas.rows import NONE

#: An incident: a score as of a page, in falls to 60 % against 90 % of what is usual at that time of the week.
HEALTHY, FALLEN, SCORE = 0.90, 0.60, 10.0
#: More than this share of all entries is no incident but how things are by now.
MOST_MASKED = 0.25
#: Four weeks are looked back on.
LOOK_BACK = 28 * 86_400_000

#: Entries, and how many of them converted.
Entered = tuple[int, int]


class Quarter(msgspec.Struct, frozen=True, array_like=True):
    """Entries in a quarter of an hour (`at`: its start, ms), and how many of them converted."""

    at: int
    entered: int
    converted: int


class Needed(msgspec.Struct, frozen=True):
    """What there must be before a stage's rate pages: `history` (ms) and `conversions`."""

    history: int
    conversions: int


def whole_counts(quarters: Iterable[Quarter], week: Week) -> Counts:
    """All of them, and by slot of the week."""
    slots: dict[int, tuple[int, int]] = {}
    entered = converted = 0
    for each in quarters:
        slot = week.slot(each.at)
        known = slots.get(slot, (0, 0))
        slots[slot] = known[0] + each.entered, known[1] + each.converted
        entered, converted = entered + each.entered, converted + each.converted
    return Counts(entered, converted, slots)


def incidents(quarters: Sequence[Quarter], week: Week) -> set[int]:
    """The quarters (by their start, ms) in which the rate had fallen, from the first to the worst of each fall."""
    whole = whole_counts(quarters, week)
    if not whole.converted:
        return set()
    mean = bounded(whole.converted / whole.entered)
    rates: dict[int, float] = {}
    found: set[int] = set()
    score = worst = 0.0
    falling: list[int] = []
    length = 0
    for each in sorted(quarters, key=lambda quarter: quarter.at):
        slot = week.slot(each.at)
        if slot not in rates:
            rates[slot] = shrunk(*around(whole, slot), mean)
        expected = each.entered * rates[slot]
        score += (HEALTHY - FALLEN) * expected - math.log(HEALTHY / FALLEN) * each.converted
        if score <= 0:
            found.update(falling[:length] if worst >= SCORE else ())
            score, worst, falling, length = 0.0, 0.0, [], 0
            continue
        falling.append(each.at)
        if score > worst:
            worst, length = score, len(falling)
    found.update(falling[:length] if worst >= SCORE else ())
    masked = sum(each.entered for each in quarters if each.at in found)
    return found if masked <= MOST_MASKED * whole.entered else set()


def learn(
    step: Step, unit: int, quarters: Sequence[Quarter], delays: Mapping[int, int], parts: dict[str, dict[str, Counts]],
    week: Week, needed: Needed, now: int,
) -> LearnedStep:  # fmt: skip
    """What these counts teach, incidents left out of them. `now`: ms; `unit`: ms of a step of age."""
    whole = whole_counts(quarters, week)
    since = min((each.at for each in quarters), default=now)
    until = max((each.at for each in quarters), default=now - QUARTER) + QUARTER
    enough = until - since >= needed.history and whole.converted >= needed.conversions
    curve = learn_curve(delays, unit, max(1, step.delay // unit))
    ready_at = min(since + needed.history, until) if enough else expected_ready(step, since, until, whole, needed)
    return LearnedStep(step.fingerprint, since, until, ready_at, whole, curve, parts)


def expected_ready(step: Step, since: int, until: int, whole: Counts, needed: Needed) -> int:
    """When there will be enough, if things go on like this: entries count once they have had the time to convert."""
    by_history = since + needed.history
    by_conversions = since
    if 0 < whole.converted < needed.conversions:
        by_conversions += (until - since) * needed.conversions // whole.converted
    return max(by_history, by_conversions, until + QUARTER) + step.delay


class Names(msgspec.Struct, frozen=True):
    """Which values have a name of their own, as in the labels. `listed`: by dimension; of others the `most` with most entries."""

    listed: Mapping[str, Sequence[str]]
    most: int

    def kept(self, dimension: str, sums: Mapping[str, Entered]) -> set[str]:
        """The values of a dimension that keep their names. `sums`: value → entries and conversions."""
        listed = self.listed.get(dimension)
        chosen = sorted(sums, key=lambda value: (-sums[value][0], value))[: self.most] if listed is None else listed
        return {*chosen, NONE, OTHER}


def called(dimension: str, value: str, kept: Mapping[str, set[str]]) -> str:
    """What the labels call a value, or a cell of a cross by both of its values: `other` if it is not kept."""
    if CROSS not in dimension:
        return value if value in kept[dimension] else OTHER
    dimensions, values = dimension.split(CROSS), value.split(CROSS)
    return CROSS.join(
        part if part in kept.get(name, {part}) else OTHER for name, part in zip(dimensions, values, strict=False)
    )


def named(sums: Mapping[tuple[str, str], Entered], names: Names) -> dict[tuple[str, str], str]:
    """What each (dimension, value) is called."""
    by_dimension: dict[str, dict[str, Entered]] = {}
    for (dimension, value), each in sums.items():
        if CROSS not in dimension:
            by_dimension.setdefault(dimension, {})[value] = each
        else:
            for name, part in zip(dimension.split(CROSS), value.split(CROSS), strict=False):
                values = by_dimension.setdefault(name, {})
                known = values.get(part, (0, 0))
                values[part] = max(known[0], each[0]), max(known[1], each[1])
    kept = {dimension: names.kept(dimension, values) for dimension, values in by_dimension.items()}
    return {key: called(*key, kept) for key in sums}
