"""The fall of a conversion rate: recording rules from the windows' sums to the score that the alerts compare.

Observed conversions O are compared with what passes for health, H: the tolerated share (90 %, less at sites whose rates
swing; see calibration) of the expected ones. Busy series are never exactly as expected. The log-likelihood ratios of three
falls against it, to 2/3, 39 % and 5.5 % of H (60, 35 and 5 % of what is expected):

    (1 - left) · H + ln(left) · O

over every window; their maximum is what a CUSUM with free start would show, without its memory: a restart of Prometheus
or a worker loses evidence for both sides alike and pages nobody. The score carries its own minimum sample: threshold /
0.85 conversions must be missing. The reverse ratio ends an alert: windows as long as the shortest one that shows health
again (odds of 100 to 1), or longer, no longer count.
"""

from __future__ import annotations

import math

import msgspec

from schemas.metrics import SITE
from schemas.rules import names as n
from schemas.rules.model import Record, Scale
from schemas.rules.promql import lines, select
from schemas.rules.windows import NOT_CROSSED, PARTS, PRESENCE, SETTLED, SUSPECT

HEALTHY = 0.90


class Slope(msgspec.Struct, frozen=True):
    """A fall to `left` of what passes for health. Weights as the rules print them."""

    name: str
    left: float

    @property
    def of_expected(self) -> float:
        """Weight of a conversion that health would bring at the least."""
        return round(1 - self.left, 6)

    @property
    def of_observed(self) -> float:
        """Weight of an observed conversion, against it."""
        return round(-math.log(self.left), 6)


SLOPES = (Slope("moderate", 2 / 3), Slope("strong", 0.39), Slope("severe", 0.055))
THRESHOLD = 8.0  # until a stage has a week of its own; a segment adds ln(segments of its stage)
WELL_AGAIN = 0.95
DEEPEST, SHALLOWEST = 0.05, 0.70  # bounds of the depth from which a recovery is told
ODDS_OF_RECOVERY = round(math.log(100), 6)

#: Where nothing converts at all: next to nothing does, since nothing can't be divided by.
SOME = 0.001
#: Of one entry: those of a total fall where 95 % converted.
MOST_EXPECTED = 3

_ON_WINDOW = f"on ({SITE}, {n.WINDOW})"
_ON_SEGMENT = f"on ({n.SEGMENT})"
_EACH_WINDOW = f"on ({n.SEGMENT}, {n.WINDOW})"


def slopes(site: str) -> list[Record]:
    """The log-likelihood ratios, where positive, of all traffic and of single dimensions."""
    observed, expected = (
        select(n.OBSERVED, NOT_CROSSED, **{SITE: site}),
        select(n.EXPECTED, NOT_CROSSED, **{SITE: site}),
    )
    healthy = f"{expected} * {_ON_SEGMENT} group_left () {select(n.TOLERATED, **{SITE: site})}"
    return [
        Record(
            n.SCORE,
            f"({slope.of_expected:.6f} * {healthy}\n- {slope.of_observed:.6f} * clamp_min({observed}, 0)) > 0",
            {n.SLOPE: slope.name},
        )
        for slope in SLOPES
    ]


def recovery(site: str) -> list[Record]:
    """How deep the fall is where it shows best, and the shortest window that denies it."""
    score, length = select(n.SCORE, **{SITE: site}), select(n.WINDOW_SECONDS, **{SITE: site})
    observed, expected, depth = (select(name, **{SITE: site}) for name in (n.OBSERVED, n.EXPECTED, n.DEPTH))
    best = f"topk by ({n.SEGMENT}) (1, {score} > {SUSPECT})"
    return [
        Record(
            n.DEPTH,
            lines(
                f"max by ({n.SEGMENT}) (",
                f"  clamp({observed} / {expected}, {DEEPEST}, {SHALLOWEST:.2f})",
                f"  and {_EACH_WINDOW} {best}",
                ")",
            ),
        ),
        Record(
            n.RECOVERY,
            lines(
                f"{observed} * {_ON_SEGMENT} group_left () ln({WELL_AGAIN} / {depth})",
                f"- {expected} * {_ON_SEGMENT} group_left () ({WELL_AGAIN} - {depth})",
            ),
        ),
        Record(
            n.RECOVERED,
            lines(
                f"min by ({n.SEGMENT}) (",
                f"  0 * ({select(n.RECOVERY, **{SITE: site})} > {ODDS_OF_RECOVERY:.6f})",
                f"  + {_ON_WINDOW} group_left () {length}",
                ")",
            ),
        ),
    ]


def live(site: str, scale: Scale) -> list[Record]:
    """The best score that no recovery has ended, and what follows from its window."""
    score, length = select(n.SCORE, **{SITE: site}), select(n.WINDOW_SECONDS, **{SITE: site})
    expected = select(n.EXPECTED, **{SITE: site})
    recovered, alive = select(n.RECOVERED, **{SITE: site}), select(n.LIVE, **{SITE: site})

    def of_its_window(name: str) -> str:
        return f"max by ({n.SEGMENT}) ({select(name, **{SITE: site})} and {_EACH_WINDOW} {alive})"

    ended = f"({expected} * 0 + {_ON_WINDOW} group_left () {length}) >= {_ON_SEGMENT} group_left () {recovered}"
    return [
        Record(n.STANDING, lines(f"({score} > {SUSPECT})", f"unless {_EACH_WINDOW}", f"({ended})")),
        Record(
            n.LIVE,  # of equal ones that of the shortest window: longer ones may begin before there was anything
            f"topk by ({n.SEGMENT}) (1, {select(n.STANDING, **{SITE: site})} - {_ON_WINDOW} group_left () 1e-12 * {length})",
        ),
        Record(
            n.START, f"time() - {scale.seconds(SETTLED)} - max by ({n.SEGMENT}) (0 * {alive} + {_ON_WINDOW} group_left () {length})"
        ),
        Record(n.SINCE_OBSERVED, of_its_window(n.OBSERVED)),
        Record(n.SINCE_EXPECTED, of_its_window(n.EXPECTED)),
        Record(n.SINCE_ENTERED, of_its_window(n.ENTERED)),
        *cost(site),
    ]  # fmt: skip


def cost(site: str) -> list[Record]:
    """What the fall has cost so far.

    Who does not convert stays at risk, so that a fall is expected to bring more conversions than ever came: −ln(1 − p) of each
    entry in a total one, where p converted before. What would have come is N · (1 − (1 − O/N)^(E/O)), where N entered: the
    hazard that left 1 − O/N of them is E/O times as high in health. Where entries don't explain what is expected (those of
    before the window do: traffic fell as well) it stays what it is. `usual` below is the same in Python.
    """
    observed, expected, entered, came = (
        select(name, **{SITE: site}) for name in (n.SINCE_OBSERVED, n.SINCE_EXPECTED, n.SINCE_ENTERED, n.USUAL)
    )
    some = f"clamp_min({observed}, {SOME})"
    within = f"({entered} > {some} and {entered} > {expected} / {MOST_EXPECTED})"
    return [
        Record(n.USUAL, f"{within} * (1 - (1 - {some} / {within}) ^ ({expected} / {some})) or {expected}"),
        Record(n.RATIO, f"clamp_min({observed}, 0) / {came}"),
        Record(n.MISSING, f"clamp_min({came} - clamp_min({observed}, 0), 0)"),
        Record(n.RATE_EXPECTED, f"clamp_max({came} / ({entered} > 0), 1)"),
        Record(n.RATE_OBSERVED, f"clamp({observed} / ({entered} > 0), 0, 1)"),
    ]


def usual(observed: float, expected: float, entered: float) -> float:
    """Conversions of a time in which so many came and were expected and so many entered, had the rate stayed as it was."""
    some = max(observed, SOME)
    if entered <= some or entered <= expected / MOST_EXPECTED:
        return expected
    return float(entered * (1 - (1 - some / entered) ** (expected / some)))


def family(site: str) -> Record:
    """The threshold of one segment: that of the stage, plus the logarithm of how many are looked at."""
    counted = f"count by ({n.STAGES}) ({select(n.EXPECTED, PARTS, **{SITE: site, n.WINDOW: PRESENCE.label})})"
    return Record(
        n.FAMILY_THRESHOLD,
        f"{select(n.THRESHOLD, **{SITE: site})} + on ({n.STAGES}) group_left () ln(1 + {counted})",
    )
