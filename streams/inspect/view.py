"""A finding for people. Whatever came from outside is escaped: no byte of a record reaches the terminal as it is."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from streams.inspect.finding import Finding
from streams.inspect.texts import best_preset, funnels_text, mapping_text, source_text
from streams.terminal import percent, safe

#: Names of events, reasons and fields that are shown; --json has more.
SHOWN = 15
_WIDE = 200


def show(finding: Finding, console: Console, *, topic: bool) -> None:
    """Draws a finding."""
    console.print(Text.assemble((safe(finding.name, _WIDE).plain, "bold"), f"  {_counted(finding)}"))
    parts = ", ".join(f"{name} {count:,}" for name, count in finding.encodings.items())
    console.print(Text(f"encoding: {parts or 'none'}"))
    if finding.first is not None and finding.last is not None:
        console.print(Text(f"events:   {_moment(finding.first)} to {_moment(finding.last)} UTC{_units(finding)}"))
    if topic:
        key = f"the {finding.keyed_by}'s id" if finding.keyed_by else "no unit's id"
        console.print(Text(f"key:      {key}"))
    for note in finding.notes:
        console.print(Text.assemble("note:     ", safe(note, _WIDE)), style="yellow")
    if finding.format is None:
        return
    _table(
        console,
        "Fields",
        ("field", "from", "filled"),
        ((field.name, field.path, percent(field.share)) for field in finding.fields),
    )
    _table(console, "Events", ("event", "records"), ((name, f"{count:,}") for name, count in finding.events.items()))
    console.print(
        Text(f"\nExpected dead letters: {percent(finding.dead_letters)}; bots: {percent(finding.bots)}"), style="bold"
    )
    _table(
        console, "", ("reason", "share", "example"), ((r.reason, percent(r.share), r.example) for r in finding.refused)
    )
    if topic:
        _file(console, "funnelwatch.toml", source_text(finding))
    if finding.mapping is not None:
        _file(console, "mapping.toml", mapping_text(finding.mapping))
    preset = best_preset(finding.events)
    if preset is not None:
        lacks = f", but for {', '.join(preset.missing)}" if preset.missing else ""
        console.print(Text(f'\nThe preset "{preset.name}" fits{lacks}.'), style="bold")
    _file(console, "funnels.toml", funnels_text(finding))


def _counted(finding: Finding) -> str:
    if not finding.partitions:
        return f"the first {finding.sampled:,} records"
    are = "partition" if finding.partitions == 1 else "partitions"
    return f"{finding.partitions} {are}, {finding.held:,} records; the newest {finding.sampled:,} were looked at"


def _units(finding: Finding) -> str:
    known = [f"{count:,} {unit}s" for unit, count in finding.distinct.items() if count]
    return f"; {', '.join(known)}" if known else ""


def _table(console: Console, title: str, names: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> None:
    listed = list(rows)
    if not listed:
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for name in names:
        table.add_column(name, justify="right" if name in ("filled", "records", "share") else "left", overflow="fold")
    for row in listed[:SHOWN]:
        table.add_row(*(safe(cell, 60) for cell in row))
    if title:
        console.print(Text(f"\n{title}", style="bold"))
    console.print(table)
    if len(listed) > SHOWN:
        console.print(Text(f"{len(listed) - SHOWN} more are in --json", style="dim"))


def _file(console: Console, name: str, text: str) -> None:
    if text:
        console.print(Text(f"\n{name}", style="bold"))
        for line in text.splitlines():
            console.print(Text("  ").append_text(safe(line, 500)), soft_wrap=True)


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
