"""The event in the making: what a record says in the native format, and the steps that every format shares after it."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from schemas.bots import is_bot
from schemas.currencies import CURRENCIES
from schemas.decode.options import DecodeOptions, Internal
from schemas.decode.origin import channel_of, host_of, origin_of
from schemas.errors import ConfigError, InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason

Text = Annotated[str, msgspec.Meta(min_length=1)] | None
LONGEST_ID = 256  # of what msgspec itself lets through; longer ids, where allowed, take the careful way
Id = Annotated[str, msgspec.Meta(min_length=1, max_length=LONGEST_ID)] | None
Number = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
if TYPE_CHECKING:
    Money = msgspec.Raw | int | None
else:
    Money = msgspec.Raw  # decoded as it stands, so that no amount ever passes through a double


class Draft(msgspec.Struct, gc=False):
    """Event's fields in Event's order, as JSON spells them; then those that an event doesn't keep.

    After the checks of a format `ts` is ms, ids are texts, money is integers: `Finish` takes it from there.
    """

    event: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
    ts: int | float | str = msgspec.field(name="timestamp")
    event_id: Id = None
    site: Text = None
    session_id: Id = None
    visitor_id: Id | Number = None  # these two are what shops number
    user_id: Id | Number = None
    account_id: Id = None
    url: Text = None
    landing_page: Text = None
    referrer: str | None = None  # browsers send an empty one all the time
    channel: Text = None
    source: Text = None
    medium: Text = None
    campaign: Text = None
    content: Text = None
    term: Text = None
    device: Text = None
    country: Text = None
    customer_type: Text = None
    variant: dict[str, str] | str | None = None
    revenue: Money = None
    currency: Text = None
    order_id: Id = None
    cost: Money = None
    consent: bool | str | dict[str, Any] | None = None
    owner: Text = None
    properties: dict[str, Any] | None = None
    bot: bool = False
    user_agent: str | None = None
    ip: str | None = None
    test: bool | None = None


#: The last step: currency, channel, bot; Draft → Event. Raises InvalidEvent(unknown_currency).
Finish = Callable[[Draft], Event]


def finisher(options: DecodeOptions) -> Finish:
    """The last step for these options. Raises ConfigError for an unknown default currency or a broken address."""
    default = options.default_currency
    if default is not None and default not in CURRENCIES:
        raise ConfigError("default_currency", f"{default!r} is not in ISO 4217", "use a code such as 'EUR'")
    is_internal = _internal_rule(options.internal)
    hosts, marks = bool(options.internal.hosts), options.internal.marks
    astuple, convert = msgspec.structs.astuple, msgspec.convert

    def finish(draft: Draft) -> Event:
        currency = draft.currency
        if currency is not None:
            if currency not in CURRENCIES:
                draft.currency = currency_code(currency)
        elif default is not None and (draft.revenue is not None or draft.cost is not None):
            draft.currency = default
        url = draft.url
        if draft.channel is None or (url is not None and "utm_" in url):
            fill_origin(draft)
        if draft.user_agent is not None or draft.ip is not None or draft.test or hosts:
            draft.bot = draft.bot or is_internal(draft)
        if draft.properties is not None:
            for mark in marks:
                if draft.properties.get(mark) in (True, "true"):
                    draft.bot = True
        return convert(astuple(draft), Event)

    return finish


def currency_code(text: str) -> str:
    """The ISO 4217 code, upper case. Raises InvalidEvent(unknown_currency)."""
    code = text.strip().upper()
    if code not in CURRENCIES:
        raise InvalidEvent(Reason.UNKNOWN_CURRENCY, f"{text[:20]!r} is not in ISO 4217")
    return code


def fill_origin(draft: Draft) -> None:
    """Fills channel, source, medium, campaign, content, term and click ids where the event leaves them open."""
    if not (draft.url or draft.landing_page or draft.referrer or draft.source or draft.medium):
        return
    origin = origin_of(draft.url, draft.landing_page, draft.referrer, draft.site)
    source, medium, campaign, content, term = origin.tags
    if draft.source is None and draft.medium is None and source is None and medium is None:
        if draft.channel is None:  # with a channel given, only tags are added: a guess could contradict it
            draft.source, draft.medium = origin.source, origin.medium
    else:
        draft.source = draft.source or source
        draft.medium = draft.medium or medium
    draft.campaign = draft.campaign or campaign
    draft.content = draft.content or content
    draft.term = draft.term or term
    if origin.clicks:
        draft.properties = dict(origin.clicks) | (draft.properties or {})
    if draft.channel is None:
        draft.channel = channel_of(draft.source, draft.medium, draft.campaign, direct=origin.direct)


def _internal_rule(internal: Internal) -> Callable[[Draft], bool]:
    try:
        networks = [ip_network(address, strict=False) for address in internal.addresses]
    except ValueError as error:
        raise ConfigError(
            "internal.addresses", str(error), "write an address or a network such as 10.0.0.0/8"
        ) from None
    agents = [glob.lower() for glob in internal.user_agents]
    hosts = [glob.lower() for glob in internal.hosts]

    def rule(draft: Draft) -> bool:
        agent = (draft.user_agent or "")[:2048]
        if draft.test or (agent and (is_bot(agent) or any(fnmatchcase(agent.lower(), glob) for glob in agents))):
            return True
        if networks and draft.ip and _inside(draft.ip, networks):
            return True
        return bool(hosts and draft.url) and any(fnmatchcase(host_of(draft.url or ""), glob) for glob in hosts)

    return rule


def _inside(address: str, networks: list[Any]) -> bool:
    try:
        own = ip_address(address[:64].strip())
    except ValueError:
        return False
    return any(own in network for network in networks)
