"""The way of `funnelwatch alerts backtest`: attempts of the past → counters by minute → the shipped rules → pages."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from schemas.expectation.history import LOOK_BACK
from schemas.expectation.steps import LONGEST_DELAY
from schemas.funnel import Funnel
from schemas.rules.model import DAY, MINUTE, WEEK
from schemas.settings import Settings
from sinks.prometheus.labels import LabelPolicy
from streams.backtest.attempts import Attempt
from streams.backtest.history import Span, replay_history
from streams.backtest.pages import Page, pages_of

#: Before the first page: the longest window of the rules, and a week of revenue.
LEAD = WEEK
#: Before that, what is expected is learned from.
LEARNED = LOOK_BACK + LONGEST_DELAY + DAY


class Answer(msgspec.Struct, frozen=True):
    """What one funnel's history says. `ready`: by stage, from when on its falls could be told (ms); a stage that is missing never."""

    funnel: Funnel
    attempts: int
    pages: tuple[Page, ...]
    ready: dict[str, int]


def backtest(
    funnel: Funnel, attempts: Sequence[Attempt], since: int, until: int, settings: Settings, policy: LabelPolicy,
    progress: Callable[[float], None] = lambda _: None,
) -> Answer:  # fmt: skip
    """The pages from `since` up to `until` (ms). `attempts`: LEAD and LEARNED longer, as far as there are any."""
    first = min((attempt.reached[0].at for attempt in attempts), default=since)
    start = min(since, max(since - LEAD, first)) // MINUTE * MINUTE
    history = replay_history(funnel, attempts, Span(start, until), settings, policy, progress)
    ready = {funnel.levels[level]: at for level, at in history.ready.items()}
    return Answer(funnel, len(attempts), tuple(pages_of(history, settings.calendar, since)), ready)
