"""The combined log of web servers: `address - user [time] "request" status bytes "referrer" "user agent"`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC
from functools import lru_cache
from typing import Any

from schemas.decode.build import Build
from schemas.decode.identity import line_id, visitor_hash
from schemas.decode.jsonrecord import guard_size
from schemas.decode.mapped import mapper
from schemas.decode.mapping import Mapping, Rule
from schemas.decode.options import Decode, DecodeOptions
from schemas.errors import InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason

_QUOTED = r'"((?:[^"\\]|\\.)*)"'
LINE = re.compile(rf"(\S+) \S+ (.+?) \[([^\]]{{1,40}})\] {_QUOTED} (\d{{3}}) (\d+|-) {_QUOTED} {_QUOTED}.*", re.DOTALL)
_NAMES = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_MONTHS = {name: n for n, name in enumerate(_NAMES.split(), 1)}
_TIME = re.compile(r"(\d{2})/([A-Z][a-z]{2})/(\d{4}):(\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})", re.ASCII)

_ENDINGS = "css js png jpg jpeg gif ico svg woff woff2 ttf map"
_ASSETS = tuple(f"*.{ending}" for ending in _ENDINGS.split())

#: Without a mapping: pages, files that pages are made of, errors.
DEFAULT = Mapping(
    format="combined",
    rules=(
        Rule("error", (("status", ("4*", "5*"), False),)),
        Rule(
            "asset",
            (("path", _ASSETS, False),),
        ),
        Rule("page_view", (("method", ("GET",), False), ("status", ("200", "304"), False))),
        Rule("request"),
    ),
)


def combined_decoder(options: DecodeOptions, build: Build) -> Decode:
    """One line → Event. Addresses never leave: they are hashed with the user agent into `visitor_id`."""
    rename = mapper(options.mapping or DEFAULT)

    def decode(data: bytes, now: int) -> Event:
        guard_size(data, options.max_bytes)
        try:
            match = LINE.fullmatch(data.decode().rstrip("\r\n"))
        except UnicodeDecodeError as error:
            raise InvalidEvent(Reason.BAD_TEXT, f"not UTF-8 at byte {error.start}") from None
        if match is None:
            raise InvalidEvent(Reason.UNPARSEABLE, "no line of a combined log")
        record = _record(match)
        native = _taken(record) | rename(record)
        agent = record["user_agent"]
        native["visitor_id"] = visitor_hash(options.visitor_hash_key, match[1], agent)
        native["ip"] = match[1]
        native["user_agent"] = agent or "-"  # nobody's browser hides its name altogether
        return build(native, now, _id_of(data), UTC)

    return decode


def _id_of(data: bytes) -> Callable[[], str]:
    return lambda: line_id(data)


def _record(match: re.Match[str]) -> dict[str, Any]:
    user, time, request, status, size, referrer, agent = (match[n] for n in range(2, 9))
    method, _, rest = request.partition(" ")
    url, _, protocol = rest.rpartition(" ") if " " in rest else (rest, "", "")
    path, _, query = url.partition("?")
    return {
        "time": time,
        "method": method,
        "url": url,
        "path": path,
        "query": query,
        "protocol": protocol,
        "status": status,
        "bytes": "" if size == "-" else size,
        "referrer": "" if referrer == "-" else referrer,
        "user_agent": "" if agent == "-" else agent,
        "user": "" if user == "-" else user,
    }


def _taken(record: dict[str, Any]) -> dict[str, Any]:
    return {"timestamp": log_time(record["time"]), "url": record["url"], "referrer": record["referrer"]}


@lru_cache(maxsize=1024)  # busy servers write many lines a second
def log_time(text: str) -> str:
    """`17/May/2015:10:05:03 +0000` → ISO 8601. Raises InvalidEvent(bad_timestamp)."""
    match = _TIME.fullmatch(text)
    if match is None or match[2] not in _MONTHS:
        raise InvalidEvent(Reason.BAD_TIMESTAMP, f"time {text[:40]!r} is not like 17/May/2015:10:05:03 +0000")
    day, month, year, hour, minute, second, sign, east, minutes = match.groups()
    return f"{year}-{_MONTHS[month]:02d}-{day}T{hour}:{minute}:{second}{sign}{east}:{minutes}"
