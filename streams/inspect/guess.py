"""A mapping, guessed from the names and values of the records' own fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from schemas.decode.mapping import Mapping as MappingFile
from schemas.decode.mapping import Paths
from streams.inspect.paths import (
    Path,
    is_address,
    is_agent,
    is_any,
    is_currency,
    is_id,
    is_number,
    is_text,
    is_time,
    pattern_of,
)

Fits = Callable[[Any], bool]

#: Event field → what its values look like, and what others call it (letters and digits only), the surest first.
KNOWN: dict[str, tuple[Fits, str]] = {
    "timestamp": (is_time, "timestamp eventtimestamp eventtime occurredat time ts datetime createdat clienttime servertime at when date"),
    "session_id": (is_id, "sessionid gasessionid visitid sid session visit"),
    "visitor_id": (
        is_id,
        "visitorid anonymousid userpseudoid clientid cookieid deviceid distinctid browserid anonid cid visitor cookie client",
    ),
    "user_id": (is_id, "userid customerid memberid loginid uid login user customer"),
    "account_id": (is_id, "accountid groupid companyid tenantid organizationid orgid"),
    "event_id": (is_id, "eventid messageid insertid eventuuid uuid recordid id"),
    "url": (is_address, "url pageurl pagelocation currenturl location href uri page path pagepath"),
    "landing_page": (is_address, "landingpage entrypage"),
    "referrer": (is_address, "referrer referer pagereferrer referringurl"),
    "channel": (is_text, "channel marketingchannel acquisitionchannel trafficchannel"),
    "source": (is_text, "utmsource source trafficsource"),
    "medium": (is_text, "utmmedium medium"),
    "campaign": (is_text, "utmcampaign campaign campaignname"),
    "content": (is_text, "utmcontent"),
    "term": (is_text, "utmterm"),
    "device": (is_text, "device devicetype devicecategory platform"),
    "country": (is_text, "country countrycode geocountry"),
    "order_id": (is_id, "orderid transactionid ordernumber orderno order"),
    "revenue": (is_number, "revenue orderrevenue total ordertotal amount value price cents amountcents totalcents"),
    "currency": (is_currency, "currency currencycode cur"),
    "user_agent": (is_text, "useragent ua"),
    "ip": (is_text, "ip ipaddress clientip remoteaddr"),
    "site": (is_text, "site domain hostname host appid"),
    "customer_type": (is_text, "customertype usertype userlifecycle lifecycle"),
    "consent": (is_any, "consent marketingconsent"),
}  # fmt: skip
EVENTS = [
    "event",
    "eventname",
    "eventtype",
    "action",
    "activity",
    "interaction",
    "eventaction",
    "verb",
    "name",
    "type",
    "what",
    "behaviour",
    "behavior",
    "operation",
]
#: Two fields that make an event's name together.
COMPOSED = (
    ("category", "action"),
    ("eventcategory", "eventaction"),
    ("object", "action"),
    ("object", "verb"),
    ("area", "verb"),
)
#: Names of events that are still names, and properties that a proposal lists.
MOST_NAMES, MOST_PROPERTIES = 200, 30
_ODD = re.compile(r"[^a-z0-9]+")


def guess(found: Mapping[str, Path], like: MappingFile) -> MappingFile:
    """A mapping for records with these paths. `like`: format, delimiter and columns of it."""
    free = dict(found)
    fields: dict[str, Paths] = {}
    casts: dict[str, str] = {}
    event = _event(free)
    for hole in _holes(event):
        free.pop(hole, None)
    for field, (fits, names) in KNOWN.items():
        path = _best(free, names.split(), fits)
        if field == "event_id" and path is not None and path.distinct < 0.9 * len(path.values):
            path = None  # an id of something else
        if path is None and field in _BY_VALUES:
            path = next(filter(_BY_VALUES[field], free.values()), None)
        if path is None:
            continue
        del free[path.name]
        fields[field] = path.name
        cast = _cast(field, path)
        if cast is not None:
            casts[field] = cast
    properties = [path for path in free.values() if path.mostly(is_any)][:MOST_PROPERTIES]
    fields |= {f"properties.{_ODD.sub('_', path.name.lower()).strip('_') or 'value'}": path.name for path in properties}
    return MappingFile(
        format=like.format, delimiter=like.delimiter, columns=like.columns, event=event, fields=fields, casts=casts
    )


def _is_times(path: Path) -> bool:
    return pattern_of(path) is not None or (path.mostly(is_time) and path.distinct > 1)


#: Fields that are known by their values where no name tells.
_BY_VALUES: dict[str, Callable[[Path], bool]] = {
    "timestamp": _is_times, "user_agent": lambda path: path.mostly(is_agent), "currency": lambda path: path.mostly(is_currency),
}  # fmt: skip


def _cast(field: str, path: Path) -> str | None:
    if field == "revenue" and _plain(path.name).endswith(("cents", "minor", "minorunits")):
        return "cents"
    if field == "timestamp" and not path.mostly(is_time):
        return pattern_of(path)
    return (
        "boolean"
        if field == "consent" and path.mostly(lambda value: str(value).lower() in ("0", "1", "true", "false"))
        else None
    )


def _event(free: Mapping[str, Path]) -> Paths | None:
    """The path of the event's name, or two of them as one name."""
    for first, second in COMPOSED:
        one, two = _best(free, [first], _is_name), _best(free, [second], _is_name)
        if one is not None and two is not None and one is not two and _few(one) and _few(two):
            whole = f"{{{one.name}}}_{{{two.name}}}"
            return (whole, one.name) if two.filled < one.filled else whole
    path = _best({name: each for name, each in free.items() if _few(each)}, EVENTS, _is_name)
    return None if path is None else path.name


def _holes(event: Paths | None) -> list[str]:
    first = event if isinstance(event, str) else (event or ("",))[0]
    return re.findall(r"\{([^{}]+)\}", first) or [first]


def _is_name(value: Any) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 100


def _few(path: Path) -> bool:
    return path.distinct <= max(5, min(MOST_NAMES, len(path.values) // 3))


def _best(free: Mapping[str, Path], names: list[str], fits: Fits) -> Path | None:
    """The path whose end is called so: surer names first, then the shorter path, then the fuller one."""
    ranks = {name: rank for rank, name in enumerate(names)}
    found: list[tuple[int, int, int, str]] = []
    for path in free.values():
        rank = min((ranks[end] for end in _ends(path.name) if end in ranks), default=None)
        if rank is not None and (path.mostly(fits) or (fits is is_time and pattern_of(path) is not None)):
            found.append((rank, path.name.count("."), -path.filled, path.name))
    return free[min(found)[3]] if found else None


def _ends(name: str) -> Iterator[str]:
    """`user.session.id` → usersessionid, sessionid, id."""
    parts = [part for part in name.split(".") if not part.isdigit()]
    for start in range(len(parts)):
        yield _plain("".join(parts[start:]))


def _plain(name: str) -> str:
    return _ODD.sub("", name.lower())
