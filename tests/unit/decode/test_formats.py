"""CloudEvents, Segment, mappings, CSV, Otto and the combined log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.decode import DecodeOptions, Format, Mapping, decoder, load_mapping
from schemas.errors import ConfigError, InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason
from tests.unit.decode.records import BASE, NOW, TS

AUTO = decoder(DecodeOptions())
TIME = "2024-05-01T12:34:56.789Z"
LINE = (
    '203.0.113.9 - - [01/May/2024:14:34:56 +0200] "GET /downloads/a.zip?x=1 HTTP/1.1" 200 512 '
    '"https://www.google.com/" "Mozilla/5.0 (X11) \\"Firefox\\"/27.0"'
)


def mapped(tmp_path: Path, toml: str) -> Any:
    path = tmp_path / "mapping.toml"
    path.write_text(toml, encoding="utf-8")
    return decoder(DecodeOptions(format=Format.MAPPING, mapping=load_mapping(path)))


def reason(decode: Any, data: bytes) -> Reason:
    with pytest.raises(InvalidEvent) as caught:
        decode(data, NOW)
    return caught.value.reason


def test_a_cloudevent_lends_its_id_time_and_type() -> None:
    envelope = {"specversion": "1.0", "id": "ce", "source": "/shop", "type": "purchase", "time": TIME}
    whole = json.dumps({**envelope, "data": {"session_id": "s", "revenue": 5}}).encode()
    expected = Event(event="purchase", ts=TS, event_id="ce", session_id="s", revenue=5_000_000_000)
    assert AUTO(whole, NOW) == expected
    assert decoder(DecodeOptions(format=Format.CLOUDEVENTS))(whole, NOW) == expected
    own = AUTO(json.dumps({**envelope, "data": BASE}).encode(), NOW)
    assert (own.event, own.ts, own.event_id) == ("add_to_cart", TS, "e-1")
    assert reason(AUTO, json.dumps({**envelope, "data": "text"}).encode()) is Reason.WRONG_TYPE
    assert reason(decoder(DecodeOptions(format=Format.CLOUDEVENTS)), json.dumps(BASE).encode()) is Reason.UNPARSEABLE


@pytest.mark.parametrize("more", [{}, {"note": "\\b"}, {"note": "\x7f"}, {"event_id": 7}])
def test_a_record_with_all_that_an_event_needs_is_native(more: dict[str, Any]) -> None:
    """Whatever else is in it, and however that is written: not by chance one or the other."""
    record = BASE | {"specversion": "1.0", "type": "track", "messageId": "m", "userId": "u"}
    event = AUTO(json.dumps(record | more, ensure_ascii=False).encode(), NOW)
    assert event == AUTO(json.dumps(BASE | more).encode(), NOW)


@pytest.mark.parametrize(
    "empty", [{"event_id": ""}, {"event_id": "e", "user_id": "", "session_id": None}, {"event_id": None}]
)
def test_an_empty_id_makes_no_call_native(empty: dict[str, Any]) -> None:
    call = {"type": "track", "event": "x", "timestamp": TIME, "messageId": "m", "anonymousId": "a", "session_id": "s"}
    event = AUTO(json.dumps(call | empty).encode(), NOW)
    assert (event.event_id, event.visitor_id, event.session_id) == ("m", "a", None)


def test_a_segment_track_call() -> None:
    call = {
        "type": "track",
        "event": "Order Completed",
        "messageId": "m-1",
        "anonymousId": "v-1",
        "userId": "u-1",
        "originalTimestamp": "2024-05-01T12:00:00Z",
        "timestamp": TIME,
        "properties": {"revenue": 19.99, "currency": "EUR", "orderId": "o-1", "coupon": "MAY"},
        "context": {
            "page": {"url": "https://shop.example/done", "referrer": ""},
            "campaign": {"name": "may", "source": "google", "medium": "cpc"},
            "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:27.0) Gecko/20100101 Firefox/27.0",
            "ip": "203.0.113.9",
        },
    }
    event = AUTO(json.dumps(call).encode(), NOW)
    assert event == Event(
        event="Order Completed",
        ts=TS,
        event_id="m-1",
        visitor_id="v-1",
        user_id="u-1",
        url="https://shop.example/done",
        channel="Paid Search",
        source="google",
        medium="cpc",
        campaign="may",
        revenue=19_990_000_000,
        currency="EUR",
        order_id="o-1",
        properties={"revenue": 19.99, "currency": "EUR", "orderId": "o-1", "coupon": "MAY"},
    )


@pytest.mark.parametrize(
    "call, event, properties",
    [
        ({"type": "page", "name": "Home", "properties": {"a": 1}}, "page", {"name": "Home", "a": 1}),
        ({"type": "screen", "name": "Cart"}, "screen", {"name": "Cart"}),
        ({"type": "identify", "traits": {"plan": "pro"}}, "identify", {"plan": "pro"}),
        ({"type": "group", "groupId": "g"}, "group", None),
    ],
)
def test_the_other_segment_calls(call: dict[str, Any], event: str, properties: dict[str, Any] | None) -> None:
    decoded = AUTO(json.dumps({**call, "anonymousId": "v", "messageId": "m", "timestamp": TIME}).encode(), NOW)
    assert (decoded.event, decoded.properties) == (event, properties)
    assert decoded.account_id == call.get("groupId")


def test_a_mapping_of_nested_json(tmp_path: Path) -> None:
    decode = mapped(
        tmp_path,
        """
        event = "{category}_{action}"
        timezone = "Europe/Berlin"
        [fields]
        timestamp = "when"
        visitor_id = "user.id"
        event_id = "{user.id}-{n}"
        revenue = "total"
        customer_type = "user.kind"
        bot = "robot"
        "properties.sku" = "items.0.sku"
        "variant.cta" = "ab.cta"
        [constants]
        site = "shop.example"
        currency = "EUR"
        [casts]
        revenue = "cents"
        bot = "boolean"
        [values.customer_type]
        gold = "returning"
        none = ""
        "*" = "new"
        """,
    )
    base: dict[str, Any] = {
        "category": "cart",
        "action": "add",
        "when": "2024-05-01T14:34:56.789",
        "n": 7,
        "total": 1999,
    }
    base |= {"user": {"id": 5, "kind": "gold"}, "items": [{"sku": "A"}], "ab": {"cta": "B"}, "robot": "no"}
    expected = Event(
        event="cart_add",
        ts=TS,
        event_id="5-7",
        site="shop.example",
        visitor_id="5",
        customer_type="returning",
        revenue=19_990_000_000,
        currency="EUR",
        variant={"cta": "B"},
        properties={"sku": "A"},
    )
    assert decode(json.dumps(base).encode(), NOW) == expected
    assert decode(json.dumps({**base, "user": {"id": 5, "kind": "tin"}}).encode(), NOW).customer_type == "new"
    assert decode(json.dumps({**base, "user": {"id": 5, "kind": "none"}}).encode(), NOW).customer_type is None
    assert reason(decode, json.dumps({**base, "action": None}).encode()) is Reason.MISSING_EVENT
    assert reason(decode, json.dumps({**base, "total": "much"}).encode()) is Reason.BAD_REVENUE
    assert reason(decode, json.dumps({**base, "robot": "perhaps"}).encode()) is Reason.WRONG_TYPE


@pytest.mark.parametrize("cast, value", [("s", 1_714_566_896.789), ("ms", TS), ("us", TS * 1000), ("ms", str(TS))])
def test_times_in_a_declared_unit(tmp_path: Path, cast: str, value: object) -> None:
    toml = f'[fields]\nevent = "e"\ntimestamp = "t"\nsession_id = "s"\n[casts]\ntimestamp = "{cast}"\n'
    assert mapped(tmp_path, toml)(json.dumps({"e": "a", "t": value, "s": 1}).encode(), NOW).ts == TS


@pytest.mark.parametrize(
    "toml, words",
    [
        ("nonsense = 1", ["nonsense", "no such key", "use one of format"]),
        ('format = "xml"', ["format", '"xml"', "json, csv, combined, snowplow"]),
        ('fields = "a"', ["fields", '"a"', "table"]),
        ('[fields]\nevnt = "a"', ["fields.evnt", "no field of an event", "visitor_id"]),
        ("[fields]\nevent = []", ["fields.event", "an empty array", "path"]),
        ('event = ["a", 1]', ["event", "an array of 2", "{category}"]),
        ('[casts]\ntimestamp = "soon"', ["casts.timestamp", "%d.%m.%Y"]),
        ("[defaults]\nsite = []", ["defaults.site", "text, a number"]),
        ('"\\u001b[2J" = 1', ["\\u001b[2J", "no such key"]),
        ("[fields]\nevent = 5", ["fields.event", "5", "path"]),
        ('[casts]\nrevenue = "pence"', ["casts.revenue", '"pence"', "cents"]),
        ('timezone = "Mars/Base"', ["timezone", '"Mars/Base"', "Europe/Berlin"]),
        ('delimiter = ";;"', ["delimiter", '";;"', "one character"]),
        ('[[rules]]\nwhere = { path = "/" }', ["rules[1]", "names no event"]),
        ('[[rules]]\nevent = "a"\nwhen = 1', ["rules[1]", '"when"', "where"]),
        ('[[rules]]\nevent = "a"\nwhere = { path = [1] }', ["rules[1].where", "path"]),
        ("[values]\nchannel = 1", ["values.channel", "1", "[values.FIELD]"]),
        ("a = ", ["not valid TOML", "Invalid value", "toml.io"]),
    ],
)
def test_a_wrong_mapping_is_told_in_one_line(tmp_path: Path, toml: str, words: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        mapped(tmp_path, toml)
    assert "\n" not in str(caught.value)
    assert all(word in str(caught.value) for word in ["mapping.toml", *words])


def test_a_mapping_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_mapping("missing.toml")
    with pytest.raises(ConfigError, match="needs a mapping"):
        decoder(DecodeOptions(format=Format.MAPPING))
    with pytest.raises(ConfigError, match="columns"):
        decoder(DecodeOptions(format=Format.CSV))


def test_csv_columns_of_the_events_own_names_need_no_mapping() -> None:
    columns = ("event", "timestamp", "session_id", "revenue", "comment")
    decode = decoder(DecodeOptions(format=Format.CSV, mapping=Mapping(format="csv", columns=columns)))
    event = decode(b'buy,2024-05-01 12:34:56.789,s,,"a ""b"", c"\r\n', NOW)
    assert (event.event, event.ts, event.session_id, event.revenue) == ("buy", TS, "s", None)
    assert event.event_id == decode(b'buy,2024-05-01 12:34:56.789,s,,"a ""b"", c"', NOW).event_id
    assert reason(decode, b"buy,2024-05-01") is Reason.UNPARSEABLE
    assert reason(decode, b'buy,2024-05-01,s,1,"open') is Reason.UNPARSEABLE
    assert reason(decode, b"buy,2024-05-01,s,1,\x00") is Reason.BAD_TEXT
    assert reason(decode, b"buy,2024-05-01,s,1,\xff") is Reason.BAD_TEXT


def test_an_otto_event() -> None:
    decode = decoder(DecodeOptions(format=Format.OTTO))
    event = decode(b'{"session":0,"aid":1517085,"ts":1714566896789,"type":"clicks"}', NOW)
    assert (event.event, event.ts, event.session_id, event.properties) == ("clicks", TS, "0", {"aid": 1517085})
    assert reason(decode, b'{"session":0,"events":[]}') is Reason.UNPARSEABLE


def test_a_combined_line_without_a_mapping() -> None:
    decode = decoder(DecodeOptions(format=Format.COMBINED, visitor_hash_key=b"key"))
    event = decode(LINE.encode(), NOW)
    assert (event.event, event.ts, event.url) == ("page_view", TS - 789, "/downloads/a.zip?x=1")
    assert (event.channel, event.source, event.bot) == ("Organic Search", "google", False)
    assert event.visitor_id is not None
    assert len(event.visitor_id) == 32
    assert "203.0.113.9" not in repr(event)
    other = decoder(DecodeOptions(format=Format.COMBINED, visitor_hash_key=b"k" * 100))(LINE.encode(), NOW)
    assert other.visitor_id != event.visitor_id
    assert other.event_id == event.event_id


@pytest.mark.parametrize(
    "old, new, event, bot",
    [
        ("GET /downloads/a.zip?x=1", "GET /style.css", "asset", False),
        (" 200 ", " 404 ", "error", False),
        ("GET", "POST", "request", False),
        ("Mozilla/5.0 (X11)", "Googlebot/2.1", "page_view", True),
        ('"Mozilla/5.0 (X11) \\"Firefox\\"/27.0"', '"-"', "page_view", True),
    ],
)
def test_what_a_combined_line_is_called(old: str, new: str, event: str, bot: bool) -> None:
    decoded = decoder(DecodeOptions(format=Format.COMBINED))(LINE.replace(old, new).encode(), NOW)
    assert (decoded.event, decoded.bot) == (event, bot)


@pytest.mark.parametrize(
    "line, expected",
    [
        (LINE[:-1].replace('\\"', ""), Reason.UNPARSEABLE),
        (LINE.replace("/May/", "/Mai/"), Reason.BAD_TIMESTAMP),
        (LINE.replace("01/May", "31/Feb"), Reason.BAD_TIMESTAMP),
        (LINE.replace("GET ", "GET \x00"), Reason.BAD_TEXT),
    ],
)
def test_broken_log_lines(line: str, expected: Reason) -> None:
    assert reason(decoder(DecodeOptions(format=Format.COMBINED)), line.encode()) is expected


def test_rules_deny_and_choose_in_order(tmp_path: Path) -> None:
    toml = """
    format = "combined"
    [[rules]]
    event = "other_method"
    where = { method = "!GET|POST" }
    [[rules]]
    event = "download"
    where = { path = "/downloads/*", status = 200 }
    [[rules]]
    event = "page"
    """
    decode = mapped(tmp_path, toml)
    assert decode(LINE.encode(), NOW).event == "download"
    assert decode(LINE.replace("GET", "HEAD").encode(), NOW).event == "other_method"
    assert decode(LINE.replace("downloads", "blog").encode(), NOW).event == "page"
