"""A report drawn for people: 80 columns, readable without colour. Names come from public traffic: they are escaped."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from schemas.durations import format_duration
from schemas.money import format_money
from schemas.report import Report, StageFigures

BAR_CELLS = 20
#: Most values of a dimension that are drawn; the JSON and the CSV have all of them.
MOST_VALUES = 10
#: Longest name that is drawn whole.
LONGEST_NAME = 24
#: What 80 columns leave for name and bar together beside the figures, and the shortest bar that still shows something.
NAME_AND_BAR, FEWEST_CELLS = 36, 8

#: Why an event that was read is not in the figures.
EVENT_MEANINGS = {
    "matched": "looked at by the funnel",
    "ignored": "fit no stage, or had no id of the unit",
    "duplicate": "an event_id that the unit already had",
    "late": "older than the horizon when they came",
    "invalid": "could not be used: in the stream they go to the dead letters",
    "bot": "bots, internal and test traffic",
}

REASON_MEANINGS = {
    "step_timeout": "the next stage did not come in its time",
    "window_timeout": "the window passed",
    "session_end": "the session ended",
    "excluded": "an excluding event came",
    "broken": "another event came in between",
}

_EIGHTHS = " ▏▎▍▌▋▊▉"


def print_report(report: Report, console: Console) -> None:
    """Draws `report` on `console`."""
    console.print(Group(*_parts(report)), highlight=False)


def escaped(text: str) -> str:
    """`text` with control and formatting characters, line ends too, escaped: nothing that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def json_text(document: object, *, indent: bool = True) -> str:
    """The document as JSON, indented or on one line; characters that a terminal might obey stand as \\u escapes."""
    encoded = msgspec.json.encode(document)
    text = (msgspec.json.format(encoded, indent=2) if indent else encoded).decode()
    return "".join(c if c.isprintable() or c == "\n" else _json_escape(c) for c in text)


def _json_escape(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else json.dumps(character)[1:-1]


def safe(name: str, longest: int = LONGEST_NAME) -> Text:
    """`name` as it is shown: escaped, cut at `longest`, never markup."""
    shown = escaped(name)
    return Text(shown if len(shown) <= longest else shown[: longest - 1] + "…")


def bar(share: float, cells: int = BAR_CELLS) -> str:
    """A bar of `share` (0 to 1) of `cells` characters, in eighths; something above 0 is never nothing."""
    eighths = min(cells * 8, max(round(share * cells * 8), 1 if share > 0 else 0))
    return ("█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()).ljust(cells)


def percent(share: float | None) -> str:
    """A rate as it is shown: "12.3%"; a dash where there is none. Only all is 100%, only none is 0%."""
    if share is None:
        return "–"
    tenths = round(share * 1000)
    if 0 < share < 1:
        tenths = min(max(tenths, 1), 999)
    return f"{tenths // 10}.{tenths % 10}%"


def _parts(report: Report) -> Iterable[RenderableType]:
    yield _heading(report)
    if not report.attempts:
        yield Text("No attempt has entered this funnel yet." if not report.events.get("read") else "No attempts.")
    else:
        yield _funnel(report.stages)
        yield from _notes(report)
        yield from _drop_offs(report)
        for dimension, values in report.by.items():
            yield from _breakdown(dimension, values)
    if report.revenue:
        amounts = "   ".join(
            f"{currency or '(no currency)'} {format_money(a)}" for currency, a in report.revenue.items()
        )
        yield _section("Revenue", Text(amounts))
    yield _section("Events", _events(report))


def _heading(report: Report) -> RenderableType:
    counted = f"{report.units:,} {report.unit}s, {report.attempts:,} attempts, {report.converted:,} converted"
    if report.recovered:
        counted += f", {report.recovered:,} came back after a drop-off"
    return Group(Text.assemble((safe(report.funnel, 60).plain, "bold"), "  ", counted), Text(""))


def _funnel(stages: tuple[StageFigures, ...]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    names = [_stage_name(stage) for stage in stages]
    cells = max(FEWEST_CELLS, min(BAR_CELLS, NAME_AND_BAR - max(map(len, names))))
    table.add_column("stage", no_wrap=True)
    table.add_column("", no_wrap=True)
    for heading in ("attempts", "of start", "of prev.", "median"):
        table.add_column(heading, justify="right", no_wrap=True)
    most = max(stage.attempts for stage in stages) or 1
    for stage, name in zip(stages, names, strict=True):
        table.add_row(
            name,
            Text(bar(stage.attempts / most, cells), style="cyan"),
            f"{stage.attempts:,}",
            percent(stage.conversion_from_start),
            percent(stage.conversion_from_previous),
            _median(stage.median_seconds_from_previous),
        )
    return table


def _stage_name(stage: StageFigures) -> Text:
    """The stage as its row begins, at most LONGEST_NAME characters."""
    mark = " (optional)" if stage.optional else ""
    return Text.assemble(safe(stage.stage, LONGEST_NAME - len(mark)), mark)


def _notes(report: Report) -> Iterable[RenderableType]:
    until = "" if report.horizon is None else f" (events are known until {_moment(report.horizon)})"
    if not report.matured:
        yield _note(f"No rates yet: they count attempts whose window has passed, and none has{until}.")
    elif report.matured < report.attempts:
        yield _note(
            f"Rates count the {report.matured:,} attempts whose window has passed{until}; the others may move on."
        )
    still_open = sum(stage.open for stage in report.stages)
    if still_open:
        are = "attempt is" if still_open == 1 else "attempts are"
        yield _note(f"{still_open:,} {are} open: neither converted nor dropped.")


def _drop_offs(report: Report) -> Iterable[RenderableType]:
    if not any(stage.dropped or stage.open for stage in report.stages):
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("after", no_wrap=True, max_width=LONGEST_NAME)
    table.add_column("dropped", justify="right", no_wrap=True)
    table.add_column("open", justify="right", no_wrap=True)
    table.add_column("because", overflow="fold")
    for stage in report.stages:
        if stage.dropped or stage.open:
            reasons = (
                f"{REASON_MEANINGS.get(reason, reason)}: {count:,}" for reason, count in stage.dropped_by.items()
            )
            table.add_row(safe(stage.stage), f"{stage.dropped:,}", f"{stage.open:,}", Text("; ".join(reasons)))
    yield _section("Drop-offs", table)


def _breakdown(dimension: str, values: dict[str, tuple[StageFigures, ...]]) -> Iterable[RenderableType]:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("value", no_wrap=True, max_width=LONGEST_NAME)
    table.add_column("", no_wrap=True)
    for name in ("attempts", "converted", "rate", "most dropped after"):
        table.add_column(name, justify="right" if name != "most dropped after" else "left", no_wrap=True)
    shown = list(values.items())[:MOST_VALUES]
    rates = [stages[-1].conversion_from_start or 0.0 for _, stages in shown]
    for (value, stages), rate in zip(shown, rates, strict=True):
        table.add_row(
            safe(value),
            Text(bar(rate / max(rates) if any(rates) else 0.0, 10), style="cyan"),
            f"{stages[0].attempts:,}",
            f"{stages[-1].attempts:,}",
            percent(stages[-1].conversion_from_start),
            _worst(stages),
        )
    parts: list[RenderableType] = [table]
    if len(values) > MOST_VALUES:
        parts.append(_note(f"{len(values) - MOST_VALUES:,} more values are in --json and --csv."))
    yield _section(Text.assemble("By ", safe(dimension)), Group(*parts))


def _worst(stages: tuple[StageFigures, ...]) -> Text:
    """Where most attempts of a breakdown's value dropped off."""
    worst = max(stages, key=lambda stage: stage.dropped)
    return Text.assemble(safe(worst.stage, 14), f" ({worst.dropped:,})") if worst.dropped else Text("")


def _events(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim", overflow="fold")
    for name, count in report.events.items():
        if count or name in ("read", "matched"):
            table.add_row(name, f"{count:,}", EVENT_MEANINGS.get(name, ""))
    return table


def _section(title: str | Text, body: RenderableType) -> RenderableType:
    heading = title if isinstance(title, Text) else Text(title)
    heading.stylize("bold")
    return Group(Text(""), heading, body)


def _note(text: str) -> RenderableType:
    return Padding(Text(text, style="dim"), (0, 0, 0, 0))


def _median(seconds: float | None) -> str:
    if seconds is None:
        return ""
    if seconds < 10:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    for unit, length in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if whole >= length:  # the two longest units say enough
            whole -= whole % {"d": 3_600, "h": 60, "m": 1}[unit]
            break
    return format_duration(whole * 1000)


def _moment(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
