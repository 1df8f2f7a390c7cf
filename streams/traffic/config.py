"""What can be set about the traffic."""

from __future__ import annotations

import msgspec

from schemas.errors import ConfigError
from streams.traffic.faults import Fault


class TrafficConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`start_ms`: ms since 1970 UTC. Shares are between 0 and 1.

    `disorder_ms`: no record is sent later than this after its event; `disorder_share` of them use that span, the
    others at most two seconds of it; 0 sends in event-time order. `duplicate_share` of the events are sent twice, byte
    for byte. `bad_share`: broken records per good event, sent in addition to the good ones. `without_id_share` of the
    events have no `event_id`. `campaign_share`: so many of the new visitors come by a campaign on Instagram, nearly all on a
    phone. `refund_share` of the orders are sent back. `keyed_by`: the id that is the record key
    (session, visitor or none). `utc_offset_ms`: the shop's local time, for the day rhythm.
    """

    seed: int
    start_ms: int
    visitors_per_day: float = 20_000.0
    site: str = "shop.example"
    disorder_ms: int = 30_000
    disorder_share: float = 0.08
    duplicate_share: float = 0.005
    bad_share: float = 0.01
    without_id_share: float = 0.06
    refund_share: float = 0.04
    bot_share: float = 0.04
    campaign_share: float = 0.0
    keyed_by: str = "session"
    utc_offset_ms: int = 0
    faults: tuple[Fault, ...] = ()

    def check(self) -> None:
        """Raises ConfigError for a value that makes no sense, named `traffic.<field>`."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name.endswith("_share") and not 0 <= value <= 1:
                raise ConfigError(f"traffic.{name}", f"{value} is not a share", "give a number from 0 to 1")
        if not 0 < self.visitors_per_day < 1e9:
            raise ConfigError("traffic.visitors_per_day", f"{self.visitors_per_day} is not possible", "give 1 or more")
        if self.seed < 0 or self.disorder_ms < 0:
            raise ConfigError("traffic.seed, traffic.disorder_ms", "a negative number", "give 0 or more")
        if self.keyed_by not in ("session", "visitor", "none"):
            raise ConfigError("traffic.keyed_by", repr(self.keyed_by), "give session, visitor or none")
