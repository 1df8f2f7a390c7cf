"""Dead letters on a terminal and as JSON. Whatever stands in them was written by strangers: it is escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group as Lines
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from schemas.dead_letter import DeadLetter
from schemas.durations import format_duration
from schemas.privacy.sealing import SETTING, is_sealed
from streams.dead_letters.found import Group
from streams.dead_letters.putting_back import Outcome
from streams.terminal import escaped, json_text, safe


def moment(milliseconds: int, form: str = "%Y-%m-%d %H:%M:%S") -> str:
    """A time as it is shown, in UTC."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime(form)
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def groups_table(groups: Sequence[Group]) -> RenderableType:
    """Counts by source and reason; under them the last letter of each."""
    table = Table(box=None, pad_edge=False)
    table.add_column("source", overflow="fold")
    table.add_column("reason", no_wrap=True)
    table.add_column("count", justify="right", no_wrap=True)
    for heading in ("first (UTC)", "last (UTC)"):
        table.add_column(heading, no_wrap=True)
    for group in groups:
        times = (moment(time, "%Y-%m-%d %H:%M") for time in (group.first, group.last))
        table.add_row(Text(escaped(group.source)), safe(group.reason), f"{group.count:,}", *times)
    lasts = (Text(f"{escaped(group.id)}  {escaped(group.reason)}: {escaped(group.detail)}") for group in groups)
    return Lines(table, Text("\nThe last of each:", style="dim") if groups else Text(""), *lasts)


def letters_list(letters: Sequence[DeadLetter]) -> RenderableType:
    """Each letter on a line."""
    return Lines(
        *(
            Text(f"{escaped(letter.id)}  {moment(letter.time)}  {escaped(letter.reason)}: {escaped(letter.detail)}")
            for letter in letters
        )
    )


def counted(total: int, listed: int | None) -> str:
    """The line under a table."""
    cut = f", the first {listed:,} of them above" if listed is not None and listed < total else ""
    return f"{total:,} dead letter{'' if total == 1 else 's'}{cut}"


def groups_json(groups: Sequence[Group], total: int) -> str:
    return json_text({"dead_letters": total, "groups": groups})


def letters_json(letters: Sequence[DeadLetter]) -> str:
    return json_text([_head(letter) for letter in letters])


def letter_json(letter: DeadLetter, opened: DeadLetter | None) -> str:
    """All of a letter; the bytes as text where they are UTF-8, and in base64. `opened`: None if it can't be, or was masked."""
    shown = opened or letter
    form = "opened" if opened else "sealed" if is_sealed(letter) else "masked"
    record = {"key": _text(shown.key), "payload": _text(shown.payload)}
    encoded = {"key_base64": _base64(shown.key), "payload_base64": _base64(shown.payload)}
    return json_text({**_head(shown), "form": form, **record, **encoded})


def letter_page(letter: DeadLetter, opened: DeadLetter | None) -> RenderableType:
    """All of a letter, for people."""
    shown = opened or letter
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, value in (
        ("place", shown.id), ("time", f"{moment(shown.time)} UTC"), ("reason", shown.reason), ("detail", shown.detail),
        ("key", _shown(shown.key)), ("bytes", f"{len(shown.payload):,}"),
    ):  # fmt: skip
        table.add_row(label, Text(escaped(value)))
    if opened is None and is_sealed(letter):
        return Lines(table, Text(f"\n{': '.join(closed(letter))}"))
    note = [] if opened else [Text(f"\n{closed(letter)[0]}; its shape is:", style="dim")]
    return Lines(table, *note, Text(f"\n{_shown(shown.payload)}"))


def closed(letter: DeadLetter) -> tuple[str, str]:
    """Why a letter can't be read, and the remedy."""
    if is_sealed(letter):
        key_id = letter.payload[4:12].decode("ascii", "replace")
        return f"is sealed with key {escaped(key_id)}", f"give it as {SETTING}"
    return "was masked, since no key was set", f"set {SETTING}; `replay` takes the source's record while Kafka keeps it"


def outcome_lines(outcome: Outcome, refused: Mapping[str, int], lateness: int, *, dry: bool) -> Iterator[str]:
    """What became of the letters, as lines."""
    would = "would be " if dry else ""
    yield f"{outcome.back:,} {would}put back, {len(outcome.refused):,} can't be used as they are"
    if outcome.old:
        yield (
            f"{outcome.old:,} of them are older than the lateness ({format_duration(lateness)}): if time has passed them, they are stored "
            "and counted as late, and move no funnel of the stream"
        )
    examples = {refusal.reason: refusal for refusal in reversed(outcome.refused)}
    for reason, count in sorted(refused.items(), key=lambda item: (-item[1], item[0])):
        first = examples[reason]
        yield f"  {count:,} {escaped(reason)}: {escaped(first.detail)} ({escaped(first.id)})"


def _head(letter: DeadLetter) -> dict[str, Any]:
    return {
        "place": letter.id, "topic": letter.topic, "partition": letter.partition, "offset": letter.offset,
        "time": letter.time, "reason": letter.reason, "detail": letter.detail,
    }  # fmt: skip


def _shown(data: bytes) -> str:
    return escaped(data.decode("utf-8", "backslashreplace"))


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _base64(data: bytes) -> str:
    return b64encode(data).decode()
