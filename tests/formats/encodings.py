"""One event in every encoding: from the native fields (timestamp in ms, an event_id always) to the bytes of a record."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from schemas.decode.snowplow import COLUMNS
from tests.formats.framed import AvroWriter, JsonWriter, ProtobufWriter

Fields = dict[str, Any]
Encode = Callable[[Fields], bytes]


class Encoding(msgspec.Struct, frozen=True):
    """`write`: fields → record. `source`: TOML of the source that takes it. `mapping`: text of its mapping file.
    `later`: how records are written once the schema has changed."""

    write: Encode
    source: str = ""
    mapping: str = ""
    later: Encode | None = None

    def toml(self, directory: Path, name: str) -> str:
        """The source's settings, with the mapping file written where they say."""
        if not self.mapping:
            return self.source
        path = directory / f"{name}.mapping.toml"
        path.write_text(self.mapping, encoding="utf-8")
        return f'{self.source}\nmapping = "{path}"'


def native(fields: Fields) -> bytes:
    return json.dumps(fields).encode()


def cloudevents(fields: Fields) -> bytes:
    data = {name: value for name, value in fields.items() if name not in ("event_id", "event", "timestamp")}
    envelope = {"specversion": "1.0", "id": fields["event_id"], "source": "/shop", "type": fields["event"]}
    return json.dumps({**envelope, "time": _iso(fields["timestamp"]), "data": data}).encode()


def segment(fields: Fields) -> bytes:
    """A track call; what Segment has no place for is mapped."""
    get = fields.get
    properties = segment_properties(fields)
    call = {
        "type": "track", "event": fields["event"], "messageId": fields["event_id"], "timestamp": _iso(fields["timestamp"]),
        "anonymousId": get("visitor_id"), "userId": get("user_id"), "properties": properties,
        "context": {
            "page": {"url": get("url"), "referrer": get("referrer")}, "userAgent": get("user_agent"),
            "sessionId": get("session_id"), "device": {"type": get("device")}, "location": {"country": get("country")},
            "campaign": {"name": get("campaign"), "source": get("source"), "medium": get("medium")},
            "consent": get("consent"),
        },
    }  # fmt: skip
    return json.dumps(call).encode()


def segment_properties(fields: Fields) -> Fields:
    """Money is among the properties, and stays there."""
    properties = {
        **fields.get("properties", {}),
        **{key: fields[key] for key in ("revenue", "currency") if key in fields},
    }
    return properties | ({"orderId": fields["order_id"]} if "order_id" in fields else {})


def snowplow(fields: Fields) -> bytes:
    """A self-describing event of the shop, with what Snowplow has no column for in a context of the shop's."""
    get = fields.get
    cells = dict.fromkeys(COLUMNS, "")
    taken = {
        "app_id": "site", "event_id": "event_id", "domain_sessionid": "session_id", "domain_userid": "visitor_id",
        "user_id": "user_id", "page_url": "url", "page_referrer": "referrer", "mkt_source": "source",
        "mkt_medium": "medium", "mkt_campaign": "campaign", "geo_country": "country", "useragent": "user_agent",
    }  # fmt: skip
    cells |= {column: fields[name] for column, name in taken.items() if name in fields}
    cells["derived_tstamp"] = _iso(fields["timestamp"]).replace("T", " ").removesuffix("Z")
    cells["dvce_type"] = {"desktop": "Computer", "mobile": "Mobile", "tablet": "Tablet"}.get(get("device", ""), "")
    contexts = [
        _described(
            "shop", {name: get(name) for name in ("channel", "customer_type", "variant", "consent", "landing_page")}
        )
    ]
    if "revenue" in fields:
        money = {"revenue": fields["revenue"], "currency": get("currency"), "transaction_id": get("order_id")}
        contexts.append(_described("transaction", money))
    cells["contexts"] = json.dumps({"schema": _schema("contexts"), "data": contexts})
    if fields["event"] == "page_view":
        cells["event"] = cells["event_name"] = "page_view"
    else:
        cells["event"] = "unstruct"
        told = _described(fields["event"], get("properties", {}))
        cells["unstruct_event"] = json.dumps({"schema": _schema("unstruct_event"), "data": told})
    return "\t".join(cells.values()).encode()


SNOWPLOW = """
format = "snowplow"
[fields]
channel = "contexts.shop.channel"
customer_type = "contexts.shop.customer_type"
"variant.checkout" = "contexts.shop.variant.checkout"
consent = "contexts.shop.consent"
landing_page = "contexts.shop.landing_page"
"""


def mapped(fields: Fields) -> bytes:
    """A shop's own JSON: nested, other names, names of events in two parts, cents, and a time as people write it."""
    get = fields.get
    area, _, verb = fields["event"].partition("_")
    time = datetime.fromtimestamp(fields["timestamp"] / 1000, UTC).strftime("%d.%m.%Y %H:%M:%S.%f")
    record: Fields = {
        "id": fields["event_id"], "what": {"area": area, "verb": verb}, "at": time, "shop": get("site"),
        "who": {"visit": get("session_id"), "cookie": get("visitor_id"), "login": get("user_id")},
        "page": [get("url"), get("landing_page"), get("referrer")],
        "ad": {"channel": get("channel"), "source": get("source"), "medium": get("medium"), "campaign": get("campaign")},
        "client": {"kind": get("device", "").upper(), "land": get("country"), "agent": get("user_agent")},
        "first_time": {"new": True, "returning": False}.get(get("customer_type", "")),
        "arm": get("variant", {}).get("checkout"), "ads_ok": {"True": "Y", "False": "N"}.get(str(get("consent"))),
        "item": get("properties", {}),
    }  # fmt: skip
    if "revenue" in fields:
        record["order"] = {
            "number": get("order_id"),
            "cents": round(float(fields["revenue"]) * 100),
            "cur": get("currency"),
        }
    return json.dumps(record).encode()


MAPPED = """
event = ["{what.area}_{what.verb}", "what.area"]
[fields]
event_id = "id"
timestamp = "at"
site = "shop"
session_id = "who.visit"
visitor_id = ["who.nothing", "who.cookie"]
user_id = "who.login"
url = "page.0"
landing_page = "page.1"
referrer = "page.2"
channel = "ad.channel"
source = "ad.source"
medium = "ad.medium"
campaign = "ad.campaign"
device = "client.kind"
country = "client.land"
user_agent = "client.agent"
customer_type = "first_time"
"variant.checkout" = "arm"
consent = "ads_ok"
order_id = "order.number"
revenue = "order.cents"
currency = "order.cur"
"properties.sku" = "item.sku"
"properties.category" = "item.category"
[casts]
timestamp = "%d.%m.%Y %H:%M:%S.%f"
device = "lower"
revenue = "cents"
consent = "boolean"
[values.customer_type]
true = "new"
false = "returning"
"""
_CSV = (
    *(
        "event",
        "event_id",
        "timestamp",
        "site",
        "session_id",
        "visitor_id",
        "user_id",
        "url",
        "landing_page",
        "referrer",
    ),
    *(
        "channel",
        "source",
        "medium",
        "campaign",
        "device",
        "country",
        "customer_type",
        "revenue",
        "currency",
        "order_id",
    ),
    *("user_agent", "consent"),
)


def csv(fields: Fields) -> bytes:
    cells = [str(fields.get(name, "")) for name in _CSV]
    cells.append(fields.get("variant", {}).get("checkout", ""))
    cells += [fields.get("properties", {}).get(name, "") for name in ("sku", "category")]
    return ";".join(f'"{cell}"' if ";" in cell else cell for cell in cells).encode()


CSV = f"""
format = "csv"
delimiter = ";"
columns = {json.dumps([*_CSV, "arm", "sku", "category"])}
[fields]
"variant.checkout" = "arm"
"properties.sku" = "sku"
"properties.category" = "category"
{"".join(f'{name} = "{name}"' + chr(10) for name in _CSV)}
[casts]
timestamp = "ms"
consent = "boolean"
"""


def _schema(name: str) -> str:
    return f"iglu:com.shop.example/{name}/jsonschema/1-0-0"


def _described(name: str, data: Fields) -> Fields:
    return {"schema": _schema(name), "data": data}


def _iso(ts: int) -> str:
    return datetime.fromtimestamp(ts / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_CONFLUENT = 'format = "confluent"'
ENCODINGS = {
    "native": Encoding(native),
    "cloudevents": Encoding(cloudevents, 'format = "cloudevents"'),
    "segment": Encoding(segment, 'format = "segment"'),
    "snowplow": Encoding(snowplow, 'format = "snowplow"', SNOWPLOW),
    "avro": Encoding(AvroWriter(), _CONFLUENT, later=AvroWriter(2)),
    "protobuf": Encoding(ProtobufWriter(), _CONFLUENT, later=ProtobufWriter(2)),
    "json_schema": Encoding(JsonWriter(), _CONFLUENT, later=JsonWriter(2)),
    "mapped": Encoding(mapped, mapping=MAPPED),
    "csv": Encoding(csv, mapping=CSV),
}
#: What an encoding has no place for, so that the native form of the same event lacks it, too.
LACKS = {"segment": ("site", "channel", "customer_type", "variant", "landing_page")}
