"""Snowplow's enriched events: a line of 131 columns, and what of them an event takes.

Columns: docs.snowplow.io, "Enriched stream TSV file format". What becomes of them:

| field | column |
|---|---|
| `event` | of a self-describing event its schema's name (for `snowplow_ecommerce_action` the action's type); of a structured
  event `se_action`; else `event_name`, else `event` (`page_view`, `page_ping`, `transaction`, …) |
| `timestamp` | `derived_tstamp`, else `collector_tstamp`, which are UTC |
| ids | `event_id`; `domain_sessionid`, `domain_userid` (else `network_userid`), of apps those of the `client_session`; `user_id` |
| `properties` | the self-describing event's data, or `se_category`, `se_label`, `se_property`, `se_value`; `page_title` |
| money | `tr_total`, `tr_currency`, `tr_orderid`; else those of the e-commerce `transaction` context |
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC
from typing import Any

from schemas.decode.build import Build
from schemas.decode.identity import line_id, parse_json
from schemas.decode.jsonrecord import guard_size
from schemas.decode.mapped import mapper
from schemas.decode.options import Decode, DecodeOptions
from schemas.errors import InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason

_HEADER = """
    app_id platform etl_tstamp collector_tstamp dvce_created_tstamp event event_id txn_id name_tracker v_tracker
    v_collector v_etl user_id user_ipaddress user_fingerprint domain_userid domain_sessionidx network_userid geo_country
    geo_region geo_city geo_zipcode geo_latitude geo_longitude geo_region_name ip_isp ip_organization ip_domain ip_netspeed
    page_url page_title page_referrer page_urlscheme page_urlhost page_urlport page_urlpath page_urlquery page_urlfragment
    refr_urlscheme refr_urlhost refr_urlport refr_urlpath refr_urlquery refr_urlfragment refr_medium refr_source refr_term
    mkt_medium mkt_source mkt_term mkt_content mkt_campaign contexts se_category se_action se_label se_property se_value
    unstruct_event tr_orderid tr_affiliation tr_total tr_tax tr_shipping tr_city tr_state tr_country ti_orderid ti_sku
    ti_name ti_category ti_price ti_quantity pp_xoffset_min pp_xoffset_max pp_yoffset_min pp_yoffset_max useragent br_name
    br_family br_version br_type br_renderengine br_lang br_features_pdf br_features_flash br_features_java
    br_features_director br_features_quicktime br_features_realplayer br_features_windowsmedia br_features_gears
    br_features_silverlight br_cookies br_colordepth br_viewwidth br_viewheight os_name os_family os_manufacturer
    os_timezone dvce_type dvce_ismobile dvce_screenwidth dvce_screenheight doc_charset doc_width doc_height tr_currency
    tr_total_base tr_tax_base tr_shipping_base ti_currency ti_price_base base_currency geo_timezone mkt_clickid mkt_network
    etl_tags dvce_sent_tstamp refr_domain_userid refr_device_tstamp derived_contexts domain_sessionid derived_tstamp
    event_vendor event_name event_format event_version event_fingerprint true_tstamp
"""
COLUMNS = tuple(_HEADER.split())
_JSON = ("contexts", "derived_contexts", "unstruct_event")
#: Columns that an event takes as they are, by the event's field.
_TAKEN = {
    "event_id": "event_id", "site": "app_id", "user_id": "user_id", "url": "page_url", "referrer": "page_referrer",
    "source": "mkt_source", "medium": "mkt_medium", "campaign": "mkt_campaign", "content": "mkt_content", "term": "mkt_term",
    "country": "geo_country", "user_agent": "useragent", "ip": "user_ipaddress",
}  # fmt: skip
_STRUCTURED = ("se_category", "se_label", "se_property", "se_value", "page_title")
_DEVICES = {"computer": "desktop", "mobile": "mobile", "tablet": "tablet"}


def is_snowplow(line: str) -> bool:
    """Whether a line has as many columns as an enriched event."""
    return line.count("\t") == len(COLUMNS) - 1


def snowplow_decoder(options: DecodeOptions, build: Build) -> Decode:
    """One line → Event. A mapping's fields replace those that are taken by themselves."""
    rename = mapper(options.mapping) if options.mapping is not None else None

    def decode(data: bytes, now: int) -> Event:
        guard_size(data, options.max_bytes)
        try:
            record = columns(data.decode().rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise InvalidEvent(Reason.BAD_TEXT, f"not UTF-8 at byte {error.start}") from None
        native = taken(record)
        if rename is not None:
            mapped = rename(record)
            mapped["properties"] = {**native["properties"], **mapped.get("properties", {})}
            native |= mapped
        return build(native, now, _id_of(data), UTC)

    return decode


def _id_of(data: bytes) -> Callable[[], str]:
    return lambda: line_id(data)


def columns(line: str) -> dict[str, Any]:
    """The columns that are filled, by name; `unstruct`: the self-describing event's data, `unstruct_name`: its schema's name;
    `contexts`: data of the first context of each schema, by the schema's name. Raises InvalidEvent(unparseable)."""
    cells = line.split("\t")
    if len(cells) != len(COLUMNS):
        raise InvalidEvent(Reason.UNPARSEABLE, f"{len(cells)} columns, an enriched event has {len(COLUMNS)}")
    record: dict[str, Any] = {name: cell for name, cell in zip(COLUMNS, cells, strict=True) if cell}
    given = {name: _json(name, record.pop(name)) for name in _JSON if name in record}
    if "unstruct_event" in given:
        record["unstruct_name"], record["unstruct"] = _described(given["unstruct_event"].get("data"))
    contexts: dict[str, Any] = {}
    for name in ("contexts", "derived_contexts"):
        told = given.get(name, {}).get("data", [])
        for schema, data in map(_described, told if isinstance(told, list) else ()):
            contexts.setdefault(schema, data)
    record["contexts"] = contexts
    return record


def _json(name: str, text: str) -> dict[str, Any]:
    try:
        found = parse_json(text)
    except ValueError as error:
        raise InvalidEvent(Reason.UNPARSEABLE, f"{name} is no JSON: {error}"[:200]) from None
    if not isinstance(found, dict):
        raise InvalidEvent(Reason.UNPARSEABLE, f"{name} is no self-describing JSON")
    return found


def _described(told: Any) -> tuple[str, dict[str, Any]]:
    """Name and data of `{"schema": "iglu:vendor/name/format/version", "data": {…}}`."""
    schema = told.get("schema") if isinstance(told, dict) else None
    parts = schema.split("/") if isinstance(schema, str) else ()
    if len(parts) != 4:
        raise InvalidEvent(
            Reason.UNPARSEABLE, f"schema {str(schema)[:80]!r} is not like iglu:vendor/name/format/version"
        )
    data = told.get("data")
    return parts[1], data if isinstance(data, dict) else {}


def taken(record: Mapping[str, Any]) -> dict[str, Any]:
    """The native fields of an event's columns."""
    get, contexts = record.get, record["contexts"]
    told, app = record.get("unstruct", {}), contexts.get("client_session", {})
    native: dict[str, Any] = {field: get(column) for field, column in _TAKEN.items()}
    device = get("dvce_type", "").lower()
    native |= {
        "event": _name(record),
        "timestamp": get("derived_tstamp") or get("collector_tstamp"),
        "session_id": get("domain_sessionid") or app.get("sessionId"),
        "visitor_id": get("domain_userid") or get("network_userid") or app.get("userId"),
        "device": _DEVICES.get(device, device),
        "properties": {name: record[name] for name in _STRUCTURED if name in record} | told,
    }
    if get("br_type", "").startswith("Robot") or contexts.get("spiders_and_robots", {}).get("spiderOrRobot") is True:
        native["bot"] = True
    return native | _money(record, contexts.get("transaction", {}))


def _name(record: Mapping[str, Any]) -> Any:
    kind = record.get("event")
    if kind == "struct":
        return record.get("se_action")
    if "unstruct" in record:
        named = record["unstruct_name"]
        return record["unstruct"].get("type", named) if named == "snowplow_ecommerce_action" else named
    return record.get("event_name") or kind


def _money(record: Mapping[str, Any], sold: Mapping[str, Any]) -> dict[str, Any]:
    if "tr_orderid" in record:
        return {
            "revenue": record.get("tr_total"),
            "currency": record.get("tr_currency"),
            "order_id": record["tr_orderid"],
        }
    return {"revenue": sold.get("revenue"), "currency": sold.get("currency"), "order_id": sold.get("transaction_id")}
