"""How far a log partition has been followed for one funnel, and what became of its records.

Travels on the transitions topic among the rows (record key PROGRESS_KEY), so that it is never ahead of them.
"""

from __future__ import annotations

import msgspec

from schemas.reasons import Outcome

#: Record key that tells a Progress from a Row on the transitions topic.
PROGRESS_KEY = b"progress"


class Progress(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """The state of one (funnel, version, log, partition) after the record at `revision`.

    `log`: the topic that feeds the units. `revision`: offset of the last applied record; a higher one replaces a lower.
    `watermark`, `horizon`: integer ms UTC (docs/design.md, "Time"). The counts are cumulative since the version began;
    `read` is the sum of the others.
    """

    funnel: str
    version: str
    log: str
    partition: int
    revision: int
    watermark: int
    horizon: int
    read: int = 0
    matched: int = 0
    ignored: int = 0
    duplicate: int = 0
    late: int = 0
    invalid: int = 0
    bot: int = 0


#: Names of the counts, in the order of the report.
EVENT_COUNTS: tuple[str, ...] = ("read", *(outcome.value for outcome in Outcome))
