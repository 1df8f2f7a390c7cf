"""What the HTTP interface must know of a statement before the engine sees it: its kind, its formats, where data begin."""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec

#: Texts, quoted names, comments, numbers and words, parentheses, semicolons; all else is passed over.
TOKEN = re.compile(
    rb"""(?P<skip>--[^\n]*|\#[!\ ][^\n]*|/\*.*?\*/|\s+)
    |(?P<quoted>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`)
    |(?P<word>[A-Za-z0-9_]+)
    |(?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)

#: First words of statements that only read: all that GET may send, and all that has a result.
READS = frozenset({"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "EXISTS", "CHECK", "FROM"})


class Statement(msgspec.Struct, frozen=True):
    """One statement. `format`: as its FORMAT clause says, None without one.

    `data`: for INSERT … FORMAT only: what follows the clause; `text` then ends before it, and `settings` is where its SETTINGS clause
    begins, or its end.
    `several`: another statement follows a semicolon.
    """

    text: bytes
    verb: str
    format: str | None
    data: bytes | None
    several: bool
    settings: int = 0

    @property
    def reads(self) -> bool:
        return self.verb in READS


def parse(raw: bytes) -> Statement:
    """Reads `raw` as ClickHouse's server does: an INSERT's data begin after its FORMAT clause and are never scanned."""
    verb, previous, before, wanted, depth = "", "", "", None, 0
    inserting, ended = False, False
    settings, named = None, 0
    for kind, token, end in _tokens(raw):
        if ended:
            return Statement(raw, verb, wanted, None, several=True)
        word = token.decode().upper() if kind == "word" else ""
        depth += {b"(": 1, b")": -1}.get(token, 0)
        if token == b";" and depth == 0:
            ended = True
        if not verb and word:
            verb, inserting = word, word == "INSERT"
        elif inserting and depth == 0 and word in {"VALUES", "SELECT", "WITH", "WATCH"}:
            return Statement(raw, verb, None, None, several=False)  # the engine finds the inline data itself
        elif inserting and token == b"=" and depth == 0 and before == "SETTINGS" and settings is None:
            settings = named  # a table may have that name, but nothing is equal to one
        elif previous == "FORMAT" and depth == 0 and word:
            wanted = token.decode()
            if inserting:
                head = raw[: raw.upper().rindex(b"FORMAT", 0, end - len(token))]
                at = len(head) if settings is None else settings
                return Statement(head, verb, wanted, _data(raw, end), several=False, settings=at)
        if word == "SETTINGS":
            named = end - len(token)
        before, previous = previous, word
    return Statement(raw, verb, wanted, None, several=False)


def _tokens(raw: bytes) -> Iterator[tuple[str, bytes, int]]:
    for match in TOKEN.finditer(raw):
        kind = match.lastgroup or ""
        if kind != "skip":
            yield kind, match.group(), match.end()


def _data(raw: bytes, start: int) -> bytes:
    """After the format's name come blanks and one line end, then the data, byte for byte."""
    match = re.compile(rb"[ \t\f]*;?[ \t\f]*\r?\n?").match(raw, start)
    return raw[match.end() :] if match else raw[start:]
