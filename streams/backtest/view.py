"""The pages of the past on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table
from rich.text import Text

from schemas.durations import format_duration
from schemas.metrics import ALL
from schemas.rules.model import MINUTE
from schemas.settings import Site
from streams.backtest.pages import Blame, Page

_SURE = 0.9


def print_pages(pages: Sequence[Page], site: Site, console: Console) -> None:
    """A table, oldest first. Times are on the site's clock."""
    zone = ZoneInfo(site.timezone)
    heads = (
        "paged",
        "began before",
        "lasted",
        "what",
        "responsible",
        "missing",
        *([site.currency] if site.currency else []),
    )
    table = Table(*heads, box=None, pad_edge=False)
    for page in pages:
        money = [] if not site.currency else ["" if page.money is None else f"{page.money:,.0f}"]
        cells = (
            f"{datetime.fromtimestamp(page.paged / 1000, zone):%Y-%m-%d %H:%M}",
            _duration(page.paged - page.began),
            _duration(page.ended - page.paged) + (f", {page.messages} times" if page.messages > 1 else ""),
            _what(page), _who(page.responsible), f"{max(0, page.missing):,.0f} of {page.expected:,.0f}", *money,
        )  # fmt: skip
        table.add_row(*map(Text, cells))
    console.print(table)


def document(page: Page) -> dict[str, Any]:
    """One page as JSON has it; times in ms since 1970 UTC."""
    blamed = page.responsible
    return {
        "alert": page.alert, "funnel": page.funnel, "stage": page.stage, "next_stage": page.following,
        "dimension": page.segment[0], "value": page.segment[1], "began": page.began, "paged": page.paged,
        "ended": page.ended, "messages": page.messages,
        "responsible": None if blamed is None
        else {"dimension": blamed.dimension, "value": blamed.value, "posterior": round(blamed.posterior, 4)},
        "entered": round(page.entered, 3), "observed": round(page.observed, 3), "expected": round(page.expected, 3),
        "missing": round(page.missing, 3), "money": None if page.money is None else round(page.money, 2),
    }  # fmt: skip


def _what(page: Page) -> str:
    if not page.stage:
        return f"{page.funnel}: traffic outage"
    whose = "" if page.segment[0] == ALL else f" ({' '.join(page.segment)})"
    share = "" if not page.expected else f" −{100 * page.missing / page.expected:.0f} %"
    return f"{page.funnel}: {page.stage} → {page.following}{whose}{share}"


def _who(blamed: Blame | None) -> str:
    if blamed is None:
        return ""
    named = "all traffic alike" if blamed.dimension == ALL else f"{blamed.dimension} {blamed.value}"
    return f"{named if blamed.posterior >= _SURE else 'most likely ' + named} (p = {min(blamed.posterior, 0.99):.2f})"


def _duration(milliseconds: int) -> str:
    return format_duration(max(0, milliseconds) // MINUTE * MINUTE)
