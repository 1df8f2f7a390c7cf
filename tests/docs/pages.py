"""The documentation as data: its pages, their fenced commands, links, headings and inline code."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import msgspec
from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").glob("*.md")), ROOT / "grafana" / "README.md")
_HEREDOC = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")


class Command(msgspec.Struct, frozen=True):
    """One command of a fenced `sh` block. `shown`: what the page says that it prints, or None."""

    page: str
    line: int
    text: str
    shown: str | None = None

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"


class Link(msgspec.Struct, frozen=True):
    """A link or picture: `docs/alerts.md#funnelwatchdog`."""

    page: Path
    line: int
    target: str


def tokens(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text(encoding="utf-8"))


def commands(page: Path) -> list[Command]:
    """The commands in the order of the page. A `text` block right after a `sh` block is what its last command prints."""
    found: list[Command] = []
    previous: Token | None = None
    for token in tokens(page):
        if token.type == "fence" and token.map is not None:
            where = str(page.relative_to(ROOT))
            if token.info == "sh":
                found += [Command(where, token.map[0] + 2 + line, text) for line, text in split(token.content)]
            elif token.info == "text" and previous is not None and previous.info == "sh":
                found[-1] = msgspec.structs.replace(found[-1], shown=token.content)
        if token.level == 0:
            previous = token if token.type == "fence" else None
    return found


def other_blocks(page: Path) -> Iterator[str]:
    """The lines of all blocks that are not `sh`, nor what a command prints."""
    for token in tokens(page):
        if token.type == "code_block" or (token.type == "fence" and token.info not in ("sh", "text")):
            yield from token.content.splitlines()


def split(block: str) -> Iterator[tuple[int, str]]:
    """The commands of a block with their lines: continued lines and here-documents stay whole, comments alone are none."""
    lines = block.splitlines()
    number = 0
    while number < len(lines):
        begin, text = number, lines[number]
        heredoc = _HEREDOC.search(text)
        while text.endswith("\\") or (heredoc and lines[number] != heredoc[1]):
            number += 1
            text += "\n" + lines[number]
        number += 1
        if text.strip() and not text.lstrip().startswith("#"):
            yield begin, text


def links(page: Path) -> Iterator[Link]:
    """All links and pictures, with the line of their paragraph."""
    for token in tokens(page):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield Link(page, (token.map or [0])[0] + 1, str(target))


def code(page: Path) -> Iterator[str]:
    """The texts of inline code."""
    for token in tokens(page):
        yield from (child.content for child in token.children or () if child.type == "code_inline")


def anchors(page: Path) -> set[str]:
    """The anchors that a forge gives the page's headings."""
    seen: Counter[str] = Counter()
    found, parsed = set(), tokens(page)
    for token, inline in pairwise(parsed):
        if token.type != "heading_open":
            continue
        text = "".join(child.content for child in inline.children or () if child.type in ("text", "code_inline"))
        slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", "-")
        found.add(slug if not seen[slug] else f"{slug}-{seen[slug]}")
        seen[slug] += 1
    return found
