"""What is done to events before anything is stored."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from schemas.decode import DecodeOptions, decoder
from schemas.event import Event, values
from schemas.privacy.addresses import mask_addresses
from schemas.privacy.protect import protector
from schemas.privacy.pseudonyms import pseudonym

DECODE = decoder(DecodeOptions())
NOW = 1_767_571_200_000
KEY = b"a key of sixteen bytes and more"


def event(**fields: Any) -> tuple[Event, bytes]:
    data = msgspec.json.encode({"event": "buy", "event_id": "e1", "timestamp": NOW, "session_id": "s1"} | fields)
    return DECODE(data, NOW), data


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("jane.doe+shop@mail.example.com", "(email)"),
        ("write to jane@example.com, or bob@example.org!", "write to (email), or (email)!"),
        ("https://shop.example/?mail=jane%40example.com&x=1", "https://shop.example/?mail=(email)&x=1"),
        ("https://jane@example.com/", "https://(email)/"),
        ("müller@bücher.example", "(email)"),
        ("client 203.0.113.77 port 80", "client (ip) port 80"),
        ("https://shop.example/?ip=203.0.113.77", "https://shop.example/?ip=(ip)"),
        ("2001:db8:85a3::8a2e:370:7334", "(ip)"),
        ("2001:0db8:85a3:0000:0000:8a2e:0370:7334", "(ip)"),
        ("2001:db8::77: refused", "(ip): refused"),
        ("[::ffff:203.0.113.7]:443", "[(ip)]:443"),
        ("?ip=2001%3Adb8%3A%3A1&x", "?ip=(ip)&x"),
        ("at 10:15:30 in v1.2.3, 1.5.2026 for 12.50", "at 10:15:30 in v1.2.3, 1.5.2026 for 12.50"),
        ("999.1.2.3 and a::b::c and @home", "999.1.2.3 and a::b::c and @home"),
    ],
)
def test_addresses_are_masked_and_what_only_looks_like_one_is_not(text: str, masked: str) -> None:
    assert mask_addresses(text) == masked


PLANTED = ("jane.doe@example.com", "203.0.113.77", "2001:db8::77")


@pytest.mark.parametrize("planted", PLANTED)
@pytest.mark.parametrize("escape", [False, True], ids=["plain", "escaped"])
def test_an_address_in_any_field_is_found_nowhere(planted: str, escape: bool) -> None:
    texts = dict.fromkeys(("site", "landing_page", "referrer", "channel", "source", "medium", "campaign", "content", "term", "device", "country", "customer_type", "owner", "user_agent"), f"a {planted} b")  # fmt: skip
    data = msgspec.json.encode(
        {"event": f"buy {planted}", "event_id": planted, "timestamp": NOW, "session_id": planted, "visitor_id": planted,
         "user_id": planted, "account_id": planted, "order_id": planted, "ip": planted, "url": f"https://shop.example/?a={planted}",
         "variant": {"x": planted}, "properties": {"a": planted, planted: 1, "deep": {"list": [planted]}}} | texts
    )  # fmt: skip
    if escape:
        data = data.replace(b"@", b"\\u0040").replace(b".", b"\\u002e").replace(b"::", b"\\u003a\\u003a")
        assert planted.encode() not in data
    found = DECODE(data, NOW)
    protect = protector()
    assert protect is not None
    protect(found, data)
    assert planted not in repr(values(found))
    assert found.session_id == found.visitor_id == pseudonym(b"")(planted)  # nobody becomes somebody else


def test_ids_are_replaced_by_their_keyed_hash_alone() -> None:
    protect = protector(KEY, addresses=False)
    assert protect is not None
    found, data = event(
        visitor_id="v1", user_id="s1", account_id="a1", order_id="o1", properties={"a": "jane@example.com"}
    )
    protect(found, data)
    of = pseudonym(KEY)
    assert (found.session_id, found.visitor_id, found.user_id, found.account_id) == (
        of("s1"),
        of("v1"),
        of("s1"),
        of("a1"),
    )
    assert (found.event_id, found.order_id, found.properties) == ("e1", "o1", {"a": "jane@example.com"})
    assert of("s1") != pseudonym(b"another key of enough bytes")("s1")
    assert len(of("s1")) == 32


def test_fields_are_left_out_or_masked() -> None:
    protect = protector(
        addresses=False,
        dropped=["url", "properties.phone", "properties.a.b"],
        masked=["campaign", "properties.name", "term"],
    )
    assert protect is not None
    found, data = event(
        url="https://shop.example", campaign="for Jane", properties={"phone": "1", "name": "J", "a": {"b": 1, "c": 2}}
    )
    protect(found, data)
    assert (found.url, found.campaign, found.term) == (None, "(masked)", None)
    assert found.properties == {"name": "(masked)", "a": {"c": 2}}


def test_nothing_to_do_costs_nothing() -> None:
    assert protector(addresses=False) is None
