"""Where a visit came from, read from its address and its referrer: utm tags, click ids, the referring site."""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec

from schemas.channels import DIRECT, brand, category, default_channel

_TAGS = ("source", "medium", "campaign", "content", "term")
#: Click id → the source and medium it proves when no tag says otherwise (fbclid is on unpaid links too).
_CLICKS = {
    "gclid": ("google", "cpc"),
    "gbraid": ("google", "cpc"),
    "wbraid": ("google", "cpc"),
    "dclid": ("google", "display"),
    "msclkid": ("bing", "cpc"),
    "ttclid": ("tiktok", "cpc"),
    "twclid": ("twitter", "cpc"),
    "li_fat_id": ("linkedin", "cpc"),
    "yclid": ("yandex", "cpc"),
    "fbclid": ("facebook", "social"),
    "igshid": ("instagram", "social"),
}
_APPS = {
    "com.google.android.gm": ("gmail", "email"),
    "com.google.android.googlequicksearchbox": ("google", "organic"),
    "com.facebook.katana": ("facebook", "referral"),
    "com.linkedin.android": ("linkedin", "referral"),
    "com.twitter.android": ("twitter", "referral"),
    "com.reddit.frontpage": ("reddit", "referral"),
    "org.telegram.messenger": ("telegram", "referral"),
}
_TAGGED = re.compile("(?:utm_[a-z]+|" + "|".join(_CLICKS) + ")=", re.IGNORECASE)
_LONGEST = 2_048  # longer addresses are read, but not remembered: the memory has a bound in bytes too


class Origin(msgspec.Struct, frozen=True):
    """What address and referrer say. `tags`: source, medium, campaign, content, term as tagged (None: untagged).

    `source`, `medium`: inferred from a click id or the referrer, for visits without tags. `clicks`: (name, id) pairs.
    `direct`: there is an address, and nothing that led to it. All empty: an inner page of the site, or nothing known.
    """

    tags: tuple[str | None, ...] = (None,) * len(_TAGS)
    source: str | None = None
    medium: str | None = None
    clicks: tuple[tuple[str, str], ...] = ()
    direct: bool = False


def origin_of(url: str | None, landing_page: str | None, referrer: str | None, site: str | None) -> Origin:
    """The origin that an event's own fields show. Never fails: what can't be read says nothing.

    The url's tags count before the landing page's; a referrer on the url's own host, or on `site`, is none.
    """
    query = _query(url)
    if not query:
        query = _query(landing_page)
    host = host_of(url or landing_page or "") or (site or "").lower()
    look = _look if len(query) + len(referrer or "") + len(host) < _LONGEST else _look.__wrapped__
    return look(query, referrer or "", host.removeprefix("www."), address=bool(url or landing_page))


def _query(address: str | None) -> str:
    """An address's query, if it says where the visit came from."""
    if not address or "?" not in address:
        return ""
    query = address.partition("?")[2].partition("#")[0]
    return query if _TAGGED.search(query) else ""


def channel_of(source: str | None, medium: str | None, campaign: str | None, *, direct: bool) -> str | None:
    """The GA4 channel; None when nothing at all is known."""
    if source or medium or campaign:
        size = sum(len(text or "") for text in (source, medium, campaign))
        known = default_channel if size < _LONGEST else default_channel.__wrapped__
        return known(source, medium, campaign) if source or medium or not direct else DIRECT
    return DIRECT if direct else None


@lru_cache(maxsize=16_384)
def _look(query: str, referrer: str, host: str, *, address: bool) -> Origin:
    found: dict[str, str] = {}
    if query:
        for name, value in parse_qsl(query[:65_536], errors="replace"):
            if value and "\x00" not in value:
                found.setdefault(name.lower(), value)
    tags = tuple(found.get(f"utm_{tag}") for tag in _TAGS)
    clicks = tuple((name, found[name]) for name in _CLICKS if name in found)
    if clicks:
        source, medium = _CLICKS[clicks[0][0]]
        return Origin(tags, source, medium, clicks)
    if not referrer:
        return Origin(tags, direct=address)
    return _referred(tags, referrer, host)


def _referred(tags: tuple[str | None, ...], referrer: str, host: str) -> Origin:
    other = host_of(referrer)[:253].removeprefix("www.")
    if not other or other == host:
        return Origin(tags)
    if other in _APPS:
        return Origin(tags, *_APPS[other])
    if category(other) == "search":
        return Origin(tags, brand(other), "organic")
    return Origin(tags, other, "referral")


def host_of(address: str) -> str:
    """The host of an address, lower case, without user and port; `""` for a path alone. Not every odd one is right."""
    host = address[:_LONGEST].partition("//")[2].partition("/")[0].partition("?")[0].partition("#")[0]
    host = host.rpartition("@")[2].partition(":")[0].lower()
    return "" if "\x00" in host else host
