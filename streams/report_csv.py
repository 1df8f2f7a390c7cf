"""A report as CSV: one line for each stage, of all attempts and of each value of each dimension."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from schemas.report import Report, StageFigures
from schemas.rows import End

REASONS = tuple(end.value for end in End if end is not End.CONVERTED)

COLUMNS = (
    "funnel", "dimension", "value", "stage", "units", "attempts", "dropped", "open", "matured", "conversion_from_start",
    "conversion_from_previous", "median_seconds_from_previous", *(f"dropped_{reason}" for reason in REASONS),
)  # fmt: skip


def report_csv(report: Report) -> str:
    """The whole report. Rates at full precision, empty where there is none; the total has dimension and value `all`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_lines(report, "all", "all", report.stages))
    for dimension, values in report.by.items():
        for value, stages in values.items():
            writer.writerows(_lines(report, dimension, value, stages))
    return out.getvalue()


def plain(text: str) -> str:
    """`text` without control characters, and with an apostrophe before what a spreadsheet would run as a formula."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return f"'{shown}" if shown[:1] in ("=", "+", "-", "@") else shown


def _lines(report: Report, dimension: str, value: str, stages: Iterable[StageFigures]) -> Iterable[list[object]]:
    for stage in stages:
        names = [plain(name) for name in (report.funnel, dimension, value, stage.stage)]
        counts = [stage.units, stage.attempts, stage.dropped, stage.open, stage.matured]
        rates = [stage.conversion_from_start, stage.conversion_from_previous, stage.median_seconds_from_previous]
        yield [*names, *counts, *rates, *(stage.dropped_by.get(reason, 0) for reason in REASONS)]
