"""docs/reliability.md: each of the long runs puts its own figures between its own marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from benchmarks.child import SOURCES

DOCUMENT = SOURCES / "docs" / "reliability.md"


def put(mark: str, lines: Iterable[str]) -> None:
    """Replaces what stands between `<!-- mark -->` and `<!-- /mark -->`. Raises ValueError where they are missing."""
    text = DOCUMENT.read_text()
    body = "\n".join(lines)
    whole = re.compile(f"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
    changed, count = whole.subn(lambda found: f"{found[1]}{body}\n{found[2]}", text)
    if count != 1:
        raise ValueError(f"{DOCUMENT.name} has no place for {mark}")
    DOCUMENT.write_text(changed)


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Lines of a Markdown table."""
    return [row_line(columns), row_line(["---"] * len(columns)), *map(row_line, rows)]


def row_line(cells: Sequence[object]) -> str:
    """One line of it."""
    return "| " + " | ".join(shown(cell) for cell in cells) + " |"


def shown(cell: object) -> str:
    """Numbers with separators, and no more digits than they mean."""
    if isinstance(cell, float):
        return f"{cell:,.2f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
