"""Who is responsible: which one segment explains a fall best, and how sure that is.

For each segment (all traffic, each value of a dimension, each cell of a cross) the log-likelihood ratio of "it fell to
what was observed, the rest is well" is O·ln(O/E) − O + E, and nothing where nothing fell. Priors: all traffic, single
values and cells a third each, shared evenly among their number.
"""

from __future__ import annotations

from schemas.metrics import SITE
from schemas.rules import names as n
from schemas.rules.model import Record
from schemas.rules.promql import lines, select
from schemas.rules.windows import COARSE_ONLY, CROSSED, PARTS, PRESENCE, WHOLE

LEAST_OBSERVED = 0.001  # 0 times ln(0) is no number
#: Observed and expected of each kind of segment, and which those are.
_KINDS = (
    (n.OBSERVED, n.EXPECTED, WHOLE),
    (n.OBSERVED, n.EXPECTED, PARTS),
    (n.CELL_OBSERVED, n.CELL_EXPECTED, CROSSED),
)


def blame(site: str) -> list[Record]:
    """Scores by segment in the coarse window that shows the stage's fall best, and their posterior probabilities."""
    own = select(n.BLAME, **{SITE: site})
    relative = f"exp({own} - on ({n.STAGES}) group_left () max by ({n.STAGES}) ({own}))"
    return [
        Record(n.BLAME, "\nor\n".join(f"({_scores(site, *kind)})" for kind in _KINDS)),
        Record(n.POSTERIOR, f"{relative}\n/ on ({n.STAGES}) group_left () sum by ({n.STAGES}) ({relative})"),
    ]


def _scores(site: str, conversions: str, expectation: str, kind: str) -> str:
    observed, expected = select(conversions, kind, **{SITE: site}), select(expectation, kind, **{SITE: site})
    counted = f"count by ({n.STAGES}) ({select(expectation, kind, **{SITE: site, n.WINDOW: PRESENCE.label})})"
    least = f"clamp_min({observed}, {LEAST_OBSERVED})"
    return lines(
        f"max by ({n.SEGMENT}) (",
        f"  ({least} * ln({least} / {expected}) - {least} + {expected})",
        f"  and ({observed} < {expected})",
        f"  and on ({n.STAGES}, {n.WINDOW}) topk by ({n.STAGES}) (1,",
        f"    {_best(site, WHOLE)}",
        f"    or on ({n.STAGES}) {_best(site, PARTS)}",
        "  )",
        ")",
        f"- on ({n.STAGES}) group_left () ln({len(_KINDS)} * {counted})",
    )


def _best(site: str, kind: str) -> str:
    return f"max by ({n.STAGES}, {n.WINDOW}) ({select(n.STANDING, kind, COARSE_ONLY, **{SITE: site})})"
