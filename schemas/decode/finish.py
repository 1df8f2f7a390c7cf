"""The last steps of decoding, which every format shares: currency, channel, bots."""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatchcase
from functools import lru_cache
from ipaddress import ip_address, ip_network
from typing import Any

from schemas.bots import is_bot
from schemas.currencies import CURRENCIES
from schemas.decode.options import DecodeOptions, Internal
from schemas.decode.origin import channel_of, host_of, origin_of
from schemas.errors import ConfigError, InvalidEvent
from schemas.event import Event
from schemas.reasons import Reason

#: Fills in currency, channel and bot. Raises InvalidEvent(unknown_currency).
Finish = Callable[[Event], Event]


def finisher(options: DecodeOptions) -> Finish:
    """The last step for these options. Raises ConfigError for an unknown default currency or a broken address."""
    default = options.default_currency
    if default is not None and default not in CURRENCIES:
        raise ConfigError("default_currency", f"{default!r} is not in ISO 4217", "use a code such as 'EUR'")
    is_internal = _internal_rule(options.internal)
    hosts, marks = bool(options.internal.hosts), options.internal.marks

    def finish(event: Event) -> Event:
        currency = event.currency
        if currency is not None:
            if currency not in CURRENCIES:
                event.currency = currency_code(currency)
        elif default is not None and (event.revenue is not None or event.cost is not None):
            event.currency = default
        url = event.url
        if event.channel is None or (url is not None and "utm_" in url):
            fill_origin(event)
        if event.user_agent is not None or event.ip is not None or event.test is not None or hosts:
            event.bot = event.bot or is_internal(event)
            event.user_agent = event.ip = event.test = None
        if marks and event.properties is not None:
            for mark in marks:
                if event.properties.get(mark) in (True, "true"):
                    event.bot = True
        return event

    return finish


def currency_code(text: str) -> str:
    """The ISO 4217 code, upper case. Raises InvalidEvent(unknown_currency)."""
    code = text.strip().upper()
    if code not in CURRENCIES:
        raise InvalidEvent(Reason.UNKNOWN_CURRENCY, f"{text[:20]!r} is not in ISO 4217")
    return code


def fill_origin(event: Event) -> None:
    """Fills channel, source, medium, campaign, content, term and click ids where the event leaves them open."""
    if not (event.url or event.landing_page or event.referrer or event.source or event.medium):
        return
    origin = origin_of(event.url, event.landing_page, event.referrer, event.site)
    source, medium, campaign, content, term = origin.tags
    if event.source is None and event.medium is None and source is None and medium is None:
        if event.channel is None:  # with a channel given, only tags are added: a guess could contradict it
            event.source, event.medium = origin.source, origin.medium
    else:
        event.source = event.source or source
        event.medium = event.medium or medium
    event.campaign = event.campaign or campaign
    event.content = event.content or content
    event.term = event.term or term
    if origin.clicks:
        event.properties = dict(origin.clicks) | (event.properties or {})
    if event.channel is None:
        event.channel = channel_of(event.source, event.medium, event.campaign, direct=origin.direct)


def agent_rule(internal: Internal) -> Callable[[str], bool]:
    """Whether a user agent is a bot's, or one of the site's own monitors and tests."""
    agents = [glob.lower() for glob in internal.user_agents]

    @lru_cache(maxsize=16_384)  # a site sees few agents
    def is_internal(agent: str) -> bool:
        agent = agent[:2048]
        return bool(agent) and (is_bot(agent) or any(fnmatchcase(agent.lower(), glob) for glob in agents))

    return is_internal


def _internal_rule(internal: Internal) -> Callable[[Event], bool]:
    try:
        networks = [ip_network(address, strict=False) for address in internal.addresses]
    except ValueError as error:
        raise ConfigError(
            "internal.addresses", str(error), "write an address or a network such as 10.0.0.0/8"
        ) from None
    of_agent = agent_rule(internal)
    hosts = [glob.lower() for glob in internal.hosts]

    def rule(event: Event) -> bool:
        if event.test or (event.user_agent and of_agent(event.user_agent)):
            return True
        if networks and event.ip and _inside(event.ip, networks):
            return True
        return bool(hosts and event.url) and any(fnmatchcase(host_of(event.url or ""), glob) for glob in hosts)

    return rule


def _inside(address: str, networks: list[Any]) -> bool:
    try:
        own = ip_address(address[:64].strip())
    except ValueError:
        return False
    return any(own in network for network in networks)
