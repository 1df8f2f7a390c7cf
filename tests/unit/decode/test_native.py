"""The native format: what is taken, how it is read, and why the rest is refused."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.decode import DecodeOptions, Format, Internal, decoder
from schemas.errors import ConfigError, InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason
from tests.unit.decode.records import NOW, TS, record

DECODE = decoder(DecodeOptions(format=Format.NATIVE))


def refused(data: Any) -> Reason:
    with pytest.raises(InvalidEvent) as caught:
        DECODE(data, NOW)
    return caught.value.reason


def test_every_field_arrives() -> None:
    data = record(
        site="shop.example",
        visitor_id="v",
        user_id=77,
        account_id="a",
        url="https://shop.example/p",
        landing_page="https://shop.example/",
        referrer="https://x.example/",
        channel="Email",
        source="n",
        medium="m",
        campaign="c",
        content="co",
        term="t",
        device="mobile",
        country="DE",
        customer_type="new",
        variant={"cta": "B"},
        revenue=19.99,
        currency="eur",
        order_id="o-1",
        cost="0.5",
        consent=True,
        owner="anna",
        properties={"qty": 2},
        unknown=[1],
    )
    assert DECODE(data, NOW) == Event(
        event="add_to_cart",
        ts=TS,
        event_id="e-1",
        site="shop.example",
        session_id="s-1",
        visitor_id="v",
        user_id="77",
        account_id="a",
        url="https://shop.example/p",
        landing_page="https://shop.example/",
        referrer="https://x.example/",
        channel="Email",
        source="n",
        medium="m",
        campaign="c",
        content="co",
        term="t",
        device="mobile",
        country="DE",
        customer_type="new",
        variant={"cta": "B"},
        revenue=19_990_000_000,
        currency="EUR",
        order_id="o-1",
        cost=500_000_000,
        consent=True,
        owner="anna",
        properties={"qty": 2},
    )


@pytest.mark.parametrize(
    "written",
    [
        "2024-05-01T12:34:56.789Z",
        "2024-05-01 12:34:56.789",
        "2024-05-01T14:34:56.789+02:00",
        "2024-05-01 12:34:56.789 UTC",
        "2024-05-01T12:34:56.789999Z",
        1_714_566_896.789,
        "1714566896.789",
        TS,
        str(TS),
        TS * 1000,
        TS * 1_000_000,
    ],
)
def test_one_moment_in_all_its_spellings(written: object) -> None:
    assert DECODE(record(timestamp=written), NOW).ts == TS


@pytest.mark.parametrize(
    "changes, reason",
    [
        ({"event": ...}, Reason.MISSING_EVENT),
        ({"event": ""}, Reason.MISSING_EVENT),
        ({"event": 5}, Reason.WRONG_TYPE),
        ({"event": "a\x00"}, Reason.BAD_TEXT),
        ({"event": "\ud800"}, Reason.BAD_TEXT),
        ({"event": "a" * 257}, Reason.TOO_LARGE),
        ({"timestamp": ...}, Reason.MISSING_TIMESTAMP),
        ({"timestamp": None}, Reason.MISSING_TIMESTAMP),
        ({"timestamp": "yesterday"}, Reason.BAD_TIMESTAMP),
        ({"timestamp": "2024-02-30T00:00:00Z"}, Reason.BAD_TIMESTAMP),
        ({"timestamp": "1" * 5000}, Reason.BAD_TIMESTAMP),
        ({"timestamp": 10**40}, Reason.BAD_TIMESTAMP),
        ({"timestamp": True}, Reason.WRONG_TYPE),
        ({"timestamp": {}}, Reason.WRONG_TYPE),
        ({"timestamp": 0}, Reason.TIMESTAMP_OUT_OF_RANGE),
        ({"timestamp": "1970-01-01T00:00:00Z"}, Reason.TIMESTAMP_OUT_OF_RANGE),
        ({"timestamp": "2999-01-01T00:00:00Z"}, Reason.TIMESTAMP_OUT_OF_RANGE),
        ({"timestamp": NOW + 3_600_001}, Reason.TIMESTAMP_OUT_OF_RANGE),
        ({"session_id": ...}, Reason.MISSING_ID),
        ({"session_id": ""}, Reason.BAD_ID),
        ({"session_id": "s" * 10_000}, Reason.BAD_ID),
        ({"session_id": "a\nb"}, Reason.BAD_ID),
        ({"session_id": "a\x7fb"}, Reason.BAD_ID),
        ({"session_id": True}, Reason.WRONG_TYPE),
        ({"session_id": 1.5}, Reason.WRONG_TYPE),
        ({"session_id": ["s"]}, Reason.WRONG_TYPE),
        ({"user_id": 10**400}, Reason.BAD_ID),
        ({"event_id": ""}, Reason.BAD_ID),
        ({"revenue": float("nan")}, Reason.BAD_REVENUE),
        ({"revenue": float("inf")}, Reason.BAD_REVENUE),
        ({"revenue": "NaN"}, Reason.BAD_REVENUE),
        ({"revenue": "ten"}, Reason.BAD_REVENUE),
        ({"revenue": True}, Reason.BAD_REVENUE),
        ({"revenue": "0.0000000001"}, Reason.BAD_REVENUE),
        ({"revenue": "1e30"}, Reason.BAD_REVENUE),
        ({"revenue": 10**60}, Reason.BAD_REVENUE),
        ({"revenue": -0.01}, Reason.NEGATIVE_REVENUE),
        ({"revenue": "-5"}, Reason.NEGATIVE_REVENUE),
        ({"currency": "XYZ"}, Reason.UNKNOWN_CURRENCY),
        ({"currency": 978}, Reason.UNKNOWN_CURRENCY),
        ({"campaign": "a\x00"}, Reason.BAD_TEXT),
        ({"campaign": False}, Reason.WRONG_TYPE),
        ({"properties": []}, Reason.WRONG_TYPE),
        ({"properties": {"a": "\x00"}}, Reason.BAD_TEXT),
        ({"properties": {"\ud800": 1}}, Reason.BAD_TEXT),
        ({"properties": {str(n): n for n in range(257)}}, Reason.TOO_LARGE),
        ({"properties": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": 1}}}}}}}}}, None),
        ({"properties": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {"a": {}}}}}}}}}}, Reason.TOO_LARGE),
        ({"variant": 5}, Reason.WRONG_TYPE),
        ({"consent": 5}, Reason.WRONG_TYPE),
        ({"bot": "maybe"}, Reason.WRONG_TYPE),
    ],
)
def test_the_reason_is_named(changes: dict[str, Any], reason: Reason | None) -> None:
    if reason is None:
        assert DECODE(record(**changes), NOW).event_id == "e-1"
    else:
        assert refused(record(**changes)) is reason


@pytest.mark.parametrize(
    "data, reason",
    [
        (None, Reason.UNPARSEABLE),
        (b"", Reason.UNPARSEABLE),
        (b"{", Reason.UNPARSEABLE),
        (b"null", Reason.UNPARSEABLE),
        (b"[]", Reason.UNPARSEABLE),
        (b'"text"', Reason.UNPARSEABLE),
        (b"\xff\xfe", Reason.BAD_TEXT),
        (b'{"event": "\xff"}', Reason.BAD_TEXT),
        (record()[:-1] + b', "unknown": "\xff"}', Reason.BAD_TEXT),
        (record()[:-1] + b', "unknown": NaN}', Reason.UNPARSEABLE),
        (record()[:-1] + b', "properties": {"a": 1e999}}', Reason.WRONG_TYPE),
        (record()[:-1] + b', "revenue": 1e999}', Reason.BAD_REVENUE),
        (b"[" * 100_000, Reason.TOO_LARGE),
        (b'{"a":' * 100_000, Reason.TOO_LARGE),
        (record(unknown="x" * 5_000_000), Reason.TOO_LARGE),
    ],
)
def test_records_that_are_no_events(data: Any, reason: Reason) -> None:
    assert refused(data) is reason


@pytest.mark.parametrize(
    "written, scaled",
    [
        ("0", 0),
        ("-0.00", 0),
        ("19.99", 19_990_000_000),
        ('"19.99"', 19_990_000_000),
        ('" 7 "', 7_000_000_000),
        ("1e2", 100_000_000_000),
        ("0.000000001", 1),
        ("9223372036.854775807", 2**63 - 1),
        ("null", None),
        ('""', None),
    ],
)
def test_money_is_exact(written: str, scaled: int | None) -> None:
    assert DECODE(record()[:-1] + f', "revenue": {written}}}'.encode(), NOW).revenue == scaled


def test_money_without_a_currency_takes_the_default_if_there_is_one() -> None:
    euros = decoder(DecodeOptions(default_currency="EUR"))
    assert DECODE(record(revenue=1), NOW).currency is None
    assert euros(record(revenue=1), NOW).currency == "EUR"
    assert euros(record(revenue=1, currency="USD"), NOW).currency == "USD"
    assert euros(record(), NOW).currency is None
    with pytest.raises(ConfigError, match="ISO 4217"):
        decoder(DecodeOptions(default_currency="Euro"))


@pytest.mark.parametrize(
    "written, consent",
    [
        (True, True),
        ("granted", True),
        ("Denied", False),
        ("opt-in", True),
        ("unset", None),
        ({"marketing": True}, True),
        ({"analytics": True}, None),
        ({"ad_storage": "granted", "ad_user_data": "denied"}, False),
        ({"ad_storage": "granted", "ad_user_data": "granted"}, True),
        ({"categoryPreferences": {"Advertising": True}}, True),
        ({}, None),
    ],
)
def test_consent_in_all_its_spellings(written: object, consent: bool | None) -> None:
    assert DECODE(record(consent=written), NOW).consent is consent


@pytest.mark.parametrize(
    "written, variant",
    [
        ({"cta": "B", "price": 2}, {"cta": "B", "price": "2"}),
        ("cta:B", {"cta": "B"}),
        ("cta:B, price:2", {"cta": "B", "price": "2"}),
        ("B", {"default": "B"}),
        ({}, None),
    ],
)
def test_variants_in_all_their_spellings(written: object, variant: dict[str, str] | None) -> None:
    assert DECODE(record(variant=written), NOW).variant == variant


@pytest.mark.parametrize(
    "changes, bot",
    [
        ({}, False),
        ({"bot": True}, True),
        ({"test": True}, True),
        ({"properties": {"test": True}}, True),
        ({"properties": {"test": False}}, False),
        ({"user_agent": "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"}, True),
        ({"user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:27.0) Gecko/20100101 Firefox/27.0"}, False),
        ({"user_agent": "OurMonitor 1"}, True),
        ({"ip": "10.1.2.3"}, True),
        ({"ip": "192.0.2.1"}, False),
        ({"ip": "no address"}, False),
        ({"url": "https://staging.shop.example/cart"}, True),
        ({"url": "https://shop.example/cart"}, False),
    ],
)
def test_programs_and_our_own_people_are_marked(changes: dict[str, Any], bot: bool) -> None:
    internal = Internal(addresses=("10.0.0.0/8",), user_agents=("ourmonitor*",), hosts=("staging.*",))
    event = decoder(DecodeOptions(internal=internal))(record(**changes), NOW)
    assert event.bot is bot
    assert b"10.1.2.3" not in repr(event).encode()


def test_a_heartbeat_needs_no_id() -> None:
    beat = record(event="$heartbeat", event_id=..., session_id=...)
    assert DECODE(beat, NOW) == Event(event="$heartbeat", ts=TS, event_id="")
    assert (
        refused(record(event="$heartbeat", event_id=..., session_id=..., timestamp=NOW * 2))
        is Reason.TIMESTAMP_OUT_OF_RANGE
    )


def test_empty_texts_are_absent_and_escapes_are_text() -> None:
    event = DECODE(record(referrer="", campaign="", term="früh\tling", content="a\\u0000"), NOW)
    assert (event.referrer, event.campaign, event.term, event.content) == (None, None, "früh\tling", "a\\u0000")


def test_integers_beyond_64_bits_stay_within_what_can_be_encoded() -> None:
    event = DECODE(record(properties={"big": 10**30, "most": 2**64 - 1, "items": [{"price": 9.5}]}), NOW)
    assert event.properties == {"big": 1e30, "most": 2**64 - 1, "items": [{"price": 9.5}]}


def test_the_last_of_two_equal_keys_counts_and_a_byte_order_mark_is_nothing() -> None:
    data = b'\xef\xbb\xbf{"event":"a","event":"b","timestamp":1714566896789,"session_id":"s","event_id":"e"}'
    assert DECODE(data, NOW).event == "b"


def test_shorter_ids_can_be_demanded() -> None:
    short = decoder(DecodeOptions(max_id_length=8))
    assert short(record(session_id="12345678"), NOW).session_id == "12345678"
    with pytest.raises(InvalidEvent, match="over 8 characters"):
        short(record(session_id="123456789"), NOW)
