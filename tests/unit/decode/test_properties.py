"""What must hold for every record, whatever is in it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.channels import default_channel
from schemas.currencies import CURRENCIES
from schemas.decode import Decode, DecodeOptions, Format, Mapping, decoder, encode_native
from schemas.decode.build import builder
from schemas.decode.envelopes import from_any
from schemas.decode.money import amount, money_text
from schemas.decode.native import careful_decoder, guarded
from schemas.errors import InvalidEvent
from schemas.event import Event
from tests.unit.decode.records import BASE, NOW, TS, record

OPTIONS = DecodeOptions()
AUTO = decoder(OPTIONS)
CAREFUL = guarded(careful_decoder(OPTIONS, builder(OPTIONS), from_any))
ALL: dict[str, Decode] = {
    **{name: decoder(DecodeOptions(format=Format(name))) for name in ("native", "auto", "cloudevents", "segment")},
    **{name: decoder(DecodeOptions(format=Format(name))) for name in ("combined", "otto")},
    "csv": decoder(DecodeOptions(format=Format.CSV, mapping=Mapping(format="csv", columns=("event", "timestamp")))),
    "mapping": decoder(
        DecodeOptions(format=Format.MAPPING, mapping=Mapping(event="{a.0.b}", fields={"timestamp": "t"}))
    ),
}
LINE = b'1.2.3.4 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 5 "-" "Firefox"'
SEGMENT = json.dumps(
    {
        "type": "track",
        "event": "a",
        "messageId": "m",
        "anonymousId": "v",
        "timestamp": "2024-05-01",
        "properties": {"revenue": 1},
    }
).encode()
CLOUD = json.dumps({"specversion": "1.0", "id": "i", "type": "a", "time": "2024-05-01", "data": BASE}).encode()
VALID = (record(), record(revenue=1.5, properties={"a": [1, {"b": "c"}]}), SEGMENT, CLOUD, LINE, b"a,2024-05-01", b"{}")

texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=12)
ids = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), min_size=1, max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | texts
    | st.floats(allow_nan=False, allow_infinity=False)
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
money = st.none() | st.integers(0, 2**63 - 1)


def outcome(decode: Decode, data: Any) -> Event | str:
    """The event, or the reason; any other exception fails the test."""
    try:
        return decode(data, NOW)
    except InvalidEvent as error:
        return error.reason.value


@pytest.mark.parametrize("name", ALL)
@given(data=st.binary(max_size=200))
@settings(max_examples=60)
def test_arbitrary_bytes_raise_nothing_else(name: str, data: bytes) -> None:
    assert isinstance(outcome(ALL[name], data), Event | str)


@pytest.mark.parametrize("name", ALL)
@given(data=st.sampled_from(VALID), at=st.floats(0, 1), cut=st.integers(0, 4), put=st.binary(max_size=4))
@settings(max_examples=150)
def test_damaged_records_raise_nothing_else(name: str, data: bytes, at: float, cut: int, put: bytes) -> None:
    place = int(at * len(data))
    assert isinstance(outcome(ALL[name], data[:place] + put + data[place + cut :]), Event | str)


fields = st.sampled_from([*(name for name in Event.__struct_fields__ if name != "ts"), "timestamp"])


@pytest.mark.parametrize("name", ["native", "segment", "cloudevents", "mapping", "otto"])
@given(
    changes=st.dictionaries(
        fields | st.sampled_from(["type", "data", "context", "properties", "specversion"]), anything, max_size=5
    )
)
@settings(max_examples=80)
def test_fields_of_any_type_raise_nothing_else(name: str, changes: dict[str, Any]) -> None:
    assert isinstance(outcome(ALL[name], json.dumps({**BASE, **changes}).encode()), Event | str)


@given(
    changes=st.dictionaries(
        fields, anything | texts | st.sampled_from([NOW, "2024-05-01T10:00:00+02:00", "EUR", "a\x7f"]), max_size=6
    )
)
@settings(max_examples=400)
def test_the_fast_path_and_the_careful_one_agree(changes: dict[str, Any]) -> None:
    for data in (json.dumps({**BASE, **changes}), json.dumps({**BASE, **changes}, ensure_ascii=False)):
        raw = data.encode("utf-8", "surrogatepass")
        assert outcome(AUTO, raw) == outcome(CAREFUL, raw)


events = st.builds(
    Event,
    event=texts.filter(lambda name: name != "$heartbeat"),
    ts=st.integers(946_684_800_000, NOW),
    event_id=ids,
    session_id=ids,
    channel=texts,  # without one, decoding derives it
    **{name: st.none() | ids for name in ("visitor_id", "user_id", "account_id", "order_id")},
    **{
        name: st.none() | texts
        for name in ("site", "referrer", "source", "medium", "campaign", "content", "term", "device")
    },
    **{name: st.none() | texts for name in ("country", "customer_type", "owner")},
    url=st.none() | st.just("https://shop.example/p?a=1"),
    variant=st.none() | st.dictionaries(texts, texts, min_size=1, max_size=3),
    revenue=money,
    cost=money,
    currency=st.none() | st.sampled_from(sorted(CURRENCIES)),
    consent=st.none() | st.booleans(),
    properties=st.none() | st.dictionaries(texts.filter(lambda key: key != "test"), values, min_size=1, max_size=4),
    bot=st.booleans(),
)


@given(event=events)
@settings(max_examples=200)
def test_an_encoded_event_decodes_to_itself(event: Event) -> None:
    assert AUTO(encode_native(event), NOW) == event


@pytest.mark.parametrize("ts", [1, 999, 99_999_999_999, 100_000_000_000, TS, -1, -1001])
def test_an_encoded_time_is_never_taken_for_another_unit(ts: int) -> None:
    event = Event(event="a", ts=ts, event_id="e", session_id="s")
    assert decoder(DecodeOptions(earliest=-(10**15)))(encode_native(event), NOW) == event


@given(fields=st.dictionaries(texts, values, max_size=6), data=st.data())
def test_the_derived_id_knows_neither_order_nor_whitespace(fields: dict[str, Any], data: st.DataObject) -> None:
    whole = {**fields, "event": "a", "timestamp": TS, "session_id": "s"}
    whole.pop("event_id", None)
    shuffled = dict(data.draw(st.permutations(list(whole.items()))))
    one, two = json.dumps(whole), json.dumps(shuffled, indent=2, ensure_ascii=False)
    first, second = outcome(AUTO, one.encode()), outcome(AUTO, two.encode())
    assert first == second
    if isinstance(first, Event):
        assert len(first.event_id) == 32


def test_the_derived_id_is_this_one_for_ever() -> None:
    data = b'{"session_id": "s", "event": "a", "timestamp": 1714566896789, "unknown": 1}'
    assert AUTO(data, NOW).event_id == "af01a0547dd060001995a3ac2a224217"
    assert AUTO(data.replace(b"1}", b"2}"), NOW).event_id != AUTO(data, NOW).event_id


@given(scaled=st.integers(0, 2**63 - 1))
def test_money_goes_to_text_and_back(scaled: int) -> None:
    assert amount(money_text(scaled)) == scaled


@given(source=st.none() | st.text(), medium=st.none() | st.text(), campaign=st.none() | st.text())
def test_every_visit_has_a_channel(source: str | None, medium: str | None, campaign: str | None) -> None:
    assert default_channel(source, medium, campaign)
