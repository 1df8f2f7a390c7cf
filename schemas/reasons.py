"""Why a record is refused, and what became of an event: two closed lists, used as metric labels and column values."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a record went to the dead letters."""

    UNPARSEABLE = "unparseable"  # not JSON, not a log line, not the declared format
    WRONG_TYPE = "wrong_type"  # a field has a type that can't be used
    MISSING_EVENT = "missing_event"
    MISSING_TIMESTAMP = "missing_timestamp"
    MISSING_ID = "missing_id"  # none of the ids that the funnels' units need
    BAD_TIMESTAMP = "bad_timestamp"  # can't be read as a time
    TIMESTAMP_OUT_OF_RANGE = "timestamp_out_of_range"  # before `earliest`, or further ahead than `max_ahead`
    BAD_REVENUE = "bad_revenue"  # NaN, infinite, not a number, too many digits
    NEGATIVE_REVENUE = "negative_revenue"  # refunds are events of their own (`refunds` of a funnel)
    UNKNOWN_CURRENCY = "unknown_currency"  # not in ISO 4217
    BAD_ID = "bad_id"  # empty, too long, or with control characters
    BAD_TEXT = "bad_text"  # NUL or broken Unicode
    UNKNOWN_SCHEMA = "unknown_schema"  # the registry has no schema of this number, or one that can't be used
    TOO_LARGE = "too_large"  # more bytes, fields or levels than the limits allow
    KEY_MISMATCH = "key_mismatch"  # `keyed_by` is declared, but the record's key is another id


class Outcome(StrEnum):
    """What became of one record, for one funnel. Their sum is `read`."""

    MATCHED = "matched"
    IGNORED = "ignored"
    DUPLICATE = "duplicate"
    LATE = "late"
    INVALID = "invalid"
    BOT = "bot"
