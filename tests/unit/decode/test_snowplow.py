"""Snowplow's enriched events: which of their columns an event takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from schemas.decode import Decode, DecodeOptions, Format, decoder, detect_format, load_mapping
from schemas.decode.snowplow import COLUMNS
from schemas.errors import InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason
from tests.unit.decode.records import NOW, TS

BASE = {
    "event": "page_view", "event_id": "e-1", "derived_tstamp": "2024-05-01 12:34:56.789",
    "collector_tstamp": "2024-05-01 12:35:00.000", "domain_userid": "v-1", "domain_sessionid": "s-1",
}  # fmt: skip
DECODE = decoder(DecodeOptions(format=Format.SNOWPLOW))


def line(**cells: str) -> bytes:
    given = {**BASE, **cells}
    assert given.keys() <= set(COLUMNS)
    return "\t".join(given.get(name, "") for name in COLUMNS).encode()


def described(name: str, data: Any, schema: str = "iglu:com.acme/{}/jsonschema/1-0-0") -> dict[str, Any]:
    return {"schema": schema.format(name), "data": data}


def reason(data: bytes, decode: Decode = DECODE) -> Reason:
    with pytest.raises(InvalidEvent) as caught:
        decode(data, NOW)
    return caught.value.reason


def test_the_columns_stand_where_snowplow_documents_them() -> None:
    assert len(COLUMNS) == 131
    places = {
        name: COLUMNS.index(name)
        for name in ("app_id", "event", "page_url", "contexts", "unstruct_event", "true_tstamp")
    }
    assert places == {"app_id": 0, "event": 5, "page_url": 29, "contexts": 52, "unstruct_event": 58, "true_tstamp": 130}


def test_a_page_view() -> None:
    found = DECODE(
        line(app_id="shop", user_id="u-1", page_url="https://shop.example/a", page_title="A", mkt_source="news",
             mkt_medium="email", geo_country="DE", dvce_type="Computer"), NOW,
    )  # fmt: skip
    assert found == Event(
        event="page_view", ts=TS, event_id="e-1", session_id="s-1", visitor_id="v-1", site="shop", user_id="u-1",
        url="https://shop.example/a", source="news", medium="email", channel="Email", country="DE", device="desktop",
        properties={"page_title": "A"},
    )  # fmt: skip


def test_a_self_describing_event_is_named_by_its_schema() -> None:
    told = described("unstruct_event", described("add_to_cart", {"sku": "a", "n": 2}))
    found = DECODE(line(event="unstruct", unstruct_event=json.dumps(told), event_name="x"), NOW)
    assert (found.event, found.properties) == ("add_to_cart", {"sku": "a", "n": 2})


def test_an_ecommerce_action_is_named_by_its_type_and_has_its_transactions_money() -> None:
    told = described("unstruct_event", described("snowplow_ecommerce_action", {"type": "transaction"}))
    money = described("transaction", {"transaction_id": "o-1", "revenue": 19.99, "currency": "EUR"})
    contexts = described("contexts", [described("web_page", {"id": "p"}), money])
    found = DECODE(line(event="unstruct", unstruct_event=json.dumps(told), contexts=json.dumps(contexts)), NOW)
    assert (found.event, found.order_id, found.revenue, found.currency) == ("transaction", "o-1", 19_990_000_000, "EUR")


def test_a_structured_event_is_named_by_its_action() -> None:
    found = DECODE(line(event="struct", se_category="cart", se_action="add", se_value="3"), NOW)
    assert (found.event, found.properties) == ("add", {"se_category": "cart", "se_value": "3"})


def test_an_apps_session_comes_from_its_context() -> None:
    session = described("contexts", [described("client_session", {"sessionId": "s-9", "userId": "v-9"})])
    found = DECODE(line(domain_userid="", domain_sessionid="", contexts=json.dumps(session)), NOW)
    assert (found.session_id, found.visitor_id) == ("s-9", "v-9")


def test_robots_are_bots() -> None:
    spider = described("contexts", [described("spiders_and_robots", {"spiderOrRobot": True})])
    assert DECODE(line(derived_contexts=json.dumps(spider)), NOW).bot
    assert DECODE(line(br_type="Robot/Spider"), NOW).bot
    assert not DECODE(line(br_type="Browser"), NOW).bot


def test_a_mapping_replaces_and_adds(tmp_path: Path) -> None:
    path = tmp_path / "m.toml"
    path.write_text(
        'format = "snowplow"\n[fields]\nvisitor_id = ["contexts.shop.customer", "network_userid"]\nevent = "se_label"\n'
        '"properties.size" = "contexts.shop.size"\n'
    )
    decode = decoder(DecodeOptions(format=Format.MAPPING, mapping=load_mapping(path)))
    shop = json.dumps(described("contexts", [described("shop", {"size": "L"})]))
    found = decode(line(event="struct", se_action="x", se_label="named", network_userid="n-1", contexts=shop), NOW)
    assert (found.event, found.visitor_id, found.session_id) == ("named", "n-1", "s-1")
    assert found.properties == {"se_label": "named", "size": "L"}


@pytest.mark.parametrize(
    "data, wanted",
    [
        (b"\t".join([b"x"] * 130), Reason.UNPARSEABLE),
        (b"\t".join([b"x"] * 132), Reason.UNPARSEABLE),
        (b"", Reason.UNPARSEABLE),
        (line(unstruct_event="{"), Reason.UNPARSEABLE),
        (line(unstruct_event='{"data": {"schema": "none"}}'), Reason.UNPARSEABLE),
        (line(contexts='{"data": [1]}'), Reason.UNPARSEABLE),
        (line(contexts="[" * 100_000), Reason.TOO_LARGE),
        (line(derived_tstamp="yesterday"), Reason.BAD_TIMESTAMP),
        (line(event=""), Reason.MISSING_EVENT),
        (line(domain_userid="", domain_sessionid=""), Reason.MISSING_ID),
        (line().replace(b"page_view", b"\xff"), Reason.BAD_TEXT),
    ],
)
def test_what_can_not_be_used_is_refused_with_its_reason(data: bytes, wanted: Reason) -> None:
    assert reason(data) is wanted


def test_a_file_of_them_is_recognised(tmp_path: Path) -> None:
    path = tmp_path / "enriched.txt"
    path.write_bytes(line() + b"\n" + line(event_id="e-2") + b"\n")
    assert detect_format(path) is Format.SNOWPLOW
