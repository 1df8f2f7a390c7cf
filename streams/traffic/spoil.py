"""Bad records: what broken senders, proxies and pranksters put into a topic. Each kind has one reason to be refused."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from schemas.reasons import Reason
from streams.traffic.wire import ShopEvent, encode


class Bad(StrEnum):
    """How a record is broken."""

    TRUNCATED = "truncated"
    NOT_JSON = "not_json"
    EMPTY = "empty"
    NAN_LITERAL = "nan_literal"
    BROKEN_UTF8 = "broken_utf8"
    MISSING_EVENT = "missing_event"
    MISSING_TIMESTAMP = "missing_timestamp"
    MISSING_IDS = "missing_ids"
    EVENT_IS_NUMBER = "event_is_number"
    REVENUE_IS_LIST = "revenue_is_list"
    URL_IS_OBJECT = "url_is_object"
    TIMESTAMP_IS_WORD = "timestamp_is_word"
    YEAR_2999 = "year_2999"
    YEAR_1970 = "year_1970"
    REVENUE_NAN = "revenue_nan"
    REVENUE_NEGATIVE = "revenue_negative"
    CURRENCY_UNKNOWN = "currency_unknown"
    ID_WITH_NUL = "id_with_nul"
    URL_WITH_NUL = "url_with_nul"


#: The reason for which a decoder refuses each kind.
REASONS = {
    Bad.TRUNCATED: Reason.UNPARSEABLE,
    Bad.NOT_JSON: Reason.UNPARSEABLE,
    Bad.EMPTY: Reason.UNPARSEABLE,
    Bad.NAN_LITERAL: Reason.BAD_REVENUE,  # JSON to lenient readers only, so the reason can be named
    Bad.BROKEN_UTF8: Reason.BAD_TEXT,
    Bad.MISSING_EVENT: Reason.MISSING_EVENT,
    Bad.MISSING_TIMESTAMP: Reason.MISSING_TIMESTAMP,
    Bad.MISSING_IDS: Reason.MISSING_ID,
    Bad.EVENT_IS_NUMBER: Reason.WRONG_TYPE,
    Bad.REVENUE_IS_LIST: Reason.BAD_REVENUE,
    Bad.URL_IS_OBJECT: Reason.WRONG_TYPE,
    Bad.TIMESTAMP_IS_WORD: Reason.BAD_TIMESTAMP,
    Bad.YEAR_2999: Reason.TIMESTAMP_OUT_OF_RANGE,
    Bad.YEAR_1970: Reason.TIMESTAMP_OUT_OF_RANGE,
    Bad.REVENUE_NAN: Reason.BAD_REVENUE,
    Bad.REVENUE_NEGATIVE: Reason.NEGATIVE_REVENUE,
    Bad.CURRENCY_UNKNOWN: Reason.UNKNOWN_CURRENCY,
    Bad.ID_WITH_NUL: Reason.BAD_ID,
    Bad.URL_WITH_NUL: Reason.BAD_TEXT,
}

_CHANGES: dict[Bad, dict[str, object]] = {
    Bad.MISSING_EVENT: {"event": None},
    Bad.MISSING_TIMESTAMP: {"timestamp": None},
    Bad.MISSING_IDS: {"session_id": None, "visitor_id": None, "user_id": None},
    Bad.EVENT_IS_NUMBER: {"event": 17},
    Bad.REVENUE_IS_LIST: {"revenue": ["19.90", "5.00"], "currency": "EUR"},
    Bad.URL_IS_OBJECT: {"url": {"href": "https://shop.example/"}},
    Bad.TIMESTAMP_IS_WORD: {"timestamp": "yesterday"},
    Bad.YEAR_2999: {"timestamp": "2999-12-31T23:59:59Z"},
    Bad.YEAR_1970: {"timestamp": "1970-01-01T00:00:01Z"},
    Bad.REVENUE_NAN: {"revenue": "NaN", "currency": "EUR"},
    Bad.REVENUE_NEGATIVE: {"event": "purchase", "revenue": -12.5, "currency": "EUR"},
    Bad.CURRENCY_UNKNOWN: {"revenue": 12.5, "currency": "ZZZ"},
    Bad.ID_WITH_NUL: {"visitor_id": "visitor\x00", "session_id": "session\x00"},
    Bad.URL_WITH_NUL: {"url": "https://shop.example/\x00"},
}


def spoil(event: ShopEvent, kind: Bad) -> bytes:
    """The bytes of `event`, broken in the way that `kind` names."""
    if kind is Bad.TRUNCATED:
        whole = encode(event)
        return whole[: len(whole) * 2 // 3]
    if kind is Bad.NOT_JSON:
        return b"GET /favicon.ico HTTP/1.1"
    if kind is Bad.EMPTY:
        return b""
    if kind is Bad.NAN_LITERAL:
        return encode(event)[:-1] + b',"revenue":NaN}'
    if kind is Bad.BROKEN_UTF8:
        return encode(event)[:-1] + b',"term":"caf\xe9"}'
    return encode(msgspec.structs.replace(event, **_CHANGES[kind]))
