"""A dead letter as it lies in the topic, and which of them are meant."""

from __future__ import annotations

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.errors import ConfigError
from schemas.reasons import Reason


class Found(msgspec.Struct, frozen=True):
    """A letter, and the partition of the dead-letter topic that it lies in (-1: it was read from ClickHouse)."""

    letter: DeadLetter
    partition: int = -1


class Selection(msgspec.Struct, frozen=True):
    """Which letters are meant; what is empty leaves all. `since`: ms UTC, of the record's time in Kafka. `ids`: places."""

    sources: frozenset[str] = frozenset()
    reasons: frozenset[Reason] = frozenset()
    since: int = 0
    ids: frozenset[str] = frozenset()

    def has(self, letter: DeadLetter) -> bool:
        """Whether the letter is one of them."""
        return (
            letter.time >= self.since
            and (not self.sources or letter.topic in self.sources)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.ids or letter.id in self.ids)
        )


class Group(msgspec.Struct):
    """Letters of one source that were refused for one reason. `first`, `last`: ms UTC; `id`, `detail`: of the last one."""

    source: str
    reason: str
    count: int
    first: int
    last: int
    id: str
    detail: str


def add_to(groups: dict[tuple[str, str], Group], letter: DeadLetter) -> None:
    """Counts the letter in the group of its source and reason."""
    group = groups.get((letter.topic, letter.reason))
    if group is None:
        groups[letter.topic, letter.reason] = Group(
            letter.topic, letter.reason, 1, letter.time, letter.time, letter.id, letter.detail
        )
        return
    group.count += 1
    group.first = min(group.first, letter.time)
    if letter.time >= group.last:
        group.last, group.id, group.detail = letter.time, letter.id, letter.detail


def as_id(text: str) -> str:
    """A letter's place, as `list` prints it. Raises ConfigError."""
    topic, _, rest = text.partition(":")
    partition, _, offset = rest.partition(":")
    if not topic or not all(part.isascii() and part.isdigit() for part in (partition, offset)):
        raise ConfigError("dead letter", f"{text!r} is no place", 'write "topic:partition:offset", as `list` prints it')
    return f"{topic}:{int(partition)}:{int(offset)}"
