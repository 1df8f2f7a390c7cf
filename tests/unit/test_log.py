"""Records of an internal log."""

from __future__ import annotations

import msgspec

from schemas.decode import DecodeOptions, decoder
from streams.stream import log

NOW = 1_748_822_400_000
EVENT = (
    b'{"event_id":"e","event":"buy","timestamp":1748822400000,"session_id":"s","user_id":7,"url":"https://a.example/?utm_source=x",'
    b'"revenue":19.99,"currency":"EUR","order_id":"o","cost":"0.5","consent":"granted","variant":"cta:B","properties":{"n":[1]}}'
)


def test_an_event_comes_back_as_it_was_decoded() -> None:
    event = decoder(DecodeOptions())(EVENT, NOW)
    record = log.decode(log.encode_event("clicks:3", 17, NOW, NOW - 1, event))
    assert (record.kind, record.source, record.offset, record.watermark, record.floor) == (
        log.EVENT, "clicks:3", 17, NOW, NOW - 1,
    )  # fmt: skip
    assert record.event is not None
    assert msgspec.structs.asdict(record.event) == msgspec.structs.asdict(event)
    assert (event.revenue, event.cost, event.variant) == (19_990_000_000, 500_000_000, {"cta": "B"})
