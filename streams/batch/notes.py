"""What is said beside the figures, on standard error: what was read, what was left out, and why. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from schemas.reasons import Reason
from streams.batch.intake import Intake
from streams.batch.run import Answer
from streams.terminal import safe

#: Event names that a funnel did not look at: as many are named.
MOST_NAMES = 6
LONGEST_DETAIL = 120

_MEANING = {
    Reason.UNPARSEABLE: "not of the declared format",
    Reason.WRONG_TYPE: "a field has a type that can't be used",
    Reason.MISSING_EVENT: "no event name",
    Reason.MISSING_TIMESTAMP: "no time",
    Reason.MISSING_ID: "no id of a session, visitor, user or account",
    Reason.BAD_TIMESTAMP: "a time that can't be read",
    Reason.TIMESTAMP_OUT_OF_RANGE: "too old, or in the future",
    Reason.BAD_REVENUE: "an amount that can't be read",
    Reason.NEGATIVE_REVENUE: "a negative amount",
    Reason.UNKNOWN_CURRENCY: "a currency that is not in ISO 4217",
    Reason.BAD_ID: "an id that can't be used",
    Reason.BAD_TEXT: "broken or forbidden characters",
    Reason.TOO_LARGE: "too many bytes, fields or levels",
}


def intake_notes(intake: Intake, seconds: float) -> Iterator[str]:
    """Lines on the files themselves, the same for every funnel. `seconds`: how long it took."""
    rate = f", {intake.read / seconds:,.0f} a second" if seconds >= 1 else ""
    yield f"read {_records(intake.read)} in {seconds:.1f}s{rate}"
    if intake.backwards:
        yield f"{_records(intake.backwards)} older than the one before: order does not matter here, all were sorted by time"
    if intake.bots:
        yield f"{_records(intake.bots)} of bots, internal or test traffic: left out"
    for reason, count in sorted(intake.refused.items(), key=lambda item: (-item[1], item[0].value)):
        yield f"{_records(count)} refused as {reason.value}: {_MEANING.get(reason, 'refused')}"
        for example in intake.examples[reason]:
            yield f"  {example.file}, line {example.line}: {safe(example.detail or reason.value, LONGEST_DETAIL).plain}"
        if count > len(intake.examples[reason]):
            yield f"  and {count - len(intake.examples[reason]):,} more"


def answer_notes(answer: Answer) -> Iterator[str]:
    """Lines on one funnel: what it ignored, and a hint where nothing fits."""
    report, ignored = answer.report, answer.ignored
    if ignored.homeless:
        yield f"{report.funnel}: {_records(ignored.homeless)} ignored, with no id of a {report.unit}"
    if ignored.unfit:
        total = sum(count for _, count in ignored.unfit)
        named = ", ".join(f"{safe(name).plain} {count:,}" for name, count in ignored.unfit[:MOST_NAMES])
        more = f" and {len(ignored.unfit) - MOST_NAMES:,} more names" if len(ignored.unfit) > MOST_NAMES else ""
        yield f"{report.funnel}: {_records(total)} fit no stage: {named}{more}"
    if not report.attempts and report.events["read"]:
        first = report.stages[0].stage
        yield f"{report.funnel}: no attempt: nothing fits its first stage, {first}; see the names above and its `events`"


def _records(count: int) -> str:
    return f"{count:,} record" if count == 1 else f"{count:,} records"
