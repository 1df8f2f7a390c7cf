"""Google Analytics 4's default channel grouping: from source, medium and campaign to one of its channels.

The rules and their order are those of Google's documentation ("[GA4] Default channel group", manual traffic). Google's
list of sources by category is long; here are the sites that matter, matched by domain, subdomain or brand name.
"""

from __future__ import annotations

import re
from functools import lru_cache

UNASSIGNED = "Unassigned"
DIRECT = "Direct"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_SEARCH = _words("""
    google bing yahoo duckduckgo yandex ya.ru baidu ecosia qwant startpage ask aol naver daum sogou so.com 360.cn seznam
    search.brave.com brave kagi swisscows mojeek dogpile lycos search.com webcrawler presearch metager onet wp.pl virgilio
    alice rambler go.mail.ru coccoc biglobe sm.cn petalsearch info.com msn live.com
    """)
_SOCIAL = _words("""
    facebook fb fb.me instagram ig threads threads.net twitter t.co x.com linkedin lnkd.in pinterest pin.it reddit redd.it
    tiktok snapchat tumblr quora vk vk.com vkontakte ok.ru odnoklassniki weibo wechat weixin whatsapp wa.me telegram t.me
    telegram.me discord discordapp mastodon mastodon.social bsky bsky.app bluesky nextdoor xing meetup flickr livejournal
    news.ycombinator.com hacker-news stackoverflow stackexchange askubuntu serverfault superuser blogspot wordpress.com
    blogger medium.com disqus slashdot digg stumbleupon line.me viber messenger plus.google.com groups.google.com meta
    """)
_VIDEO = _words(
    "youtube youtu.be vimeo dailymotion twitch tv.naver.com bilibili iqiyi youku niconico nicovideo netflix hulu rumble "
    "wistia vidyard ted.com veoh disneyplus crackle"
)
_SHOPPING = _words(
    "amazon ebay etsy walmart aliexpress alibaba shopify shopping.google.com shopzilla pricegrabber idealo rakuten "
    "mercadolibre mercadolivre otto.de zalando wish shop.app igshopping kelkoo shopping.com temu target.com allegro "
    "cdiscount bol.com taobao tmall jd.com flipkart lazada shopee ozon wildberries"
)
#: Hosts of the search engines' companies that are no search: mail, documents, and the like.
_NOT_SEARCH = (
    "mail.",
    "docs.",
    "drive.",
    "accounts.",
    "calendar.",
    "sites.",
    "classroom.",
    "play.",
    "meet.",
    "translate.",
)
_SECOND_LEVEL = _words("co com org net ac gov edu ne or gob")

_LONGEST_NAME = 253  # characters of a host's name: nothing longer is one
_PAID = re.compile(r".*cp.*|ppc|retargeting|paid.*", re.DOTALL)
_SHOP_CAMPAIGN = re.compile(r"(?:[^a-df-z]|^)shop|shopping")
_EMAIL = re.compile(r"e[-_ ]?mail")
_PUSH = re.compile(r"push$|mobile|notification")
_DISPLAY = frozenset(("display", "banner", "expandable", "interstitial", "cpm"))
_SOCIAL_MEDIUM = frozenset(("social", "social-network", "social-media", "sm", "social network", "social media"))
_PAID_CHANNEL = {
    "shopping": "Paid Shopping",
    "search": "Paid Search",
    "social": "Paid Social",
    "video": "Paid Video",
}


def brand(host: str) -> str:
    """The name before a host's public suffix: `www.google.co.uk` → `google`, `de` → `de`."""
    labels = host.split(".")
    if len(labels) < 2:
        return host
    if len(labels) > 2 and labels[-2] in _SECOND_LEVEL:
        return labels[-3]
    return labels[-2]


@lru_cache(maxsize=16_384)
def category(source: str) -> str:
    """`search`, `social`, `video`, `shopping` or `""` for a source as written in utm_source or as a referrer's host."""
    host = source.lower().strip().removeprefix("www.")
    labels = host.split(".")
    names = [".".join(labels[i:]) for i in range(len(labels))]
    names = names[: max(1, len(names) - 1)]
    for name in (*names, brand(host)):
        for kind, known in (("video", _VIDEO), ("shopping", _SHOPPING), ("social", _SOCIAL), ("search", _SEARCH)):
            if name in known:
                return "" if kind == "search" and host.startswith(_NOT_SEARCH) else kind
    return ""


@lru_cache(maxsize=16_384)
def default_channel(source: str | None, medium: str | None, campaign: str | None) -> str:
    """The GA4 channel of a visit. None, `(not set)` and `(none)` are alike; case does not matter. Never fails.

    No source and no medium is `Direct`; what no rule fits is `Unassigned`.
    """
    src, med, name = (_plain(text) for text in (source, medium, campaign))
    if src in ("", "(direct)", "direct") and med == "":
        return DIRECT
    if "cross-network" in name:
        return "Cross-network"
    kind = category(src) if len(src) <= _LONGEST_NAME else ""
    shop = kind == "shopping" or _SHOP_CAMPAIGN.search(name) is not None
    if _PAID.fullmatch(med):
        return _paid(med, "shopping" if shop else kind)
    if med in _DISPLAY:
        return "Display"
    return _organic(src, med, "shopping" if shop else kind)


def _plain(text: str | None) -> str:
    text = (text or "").strip().lower()
    return "" if text in ("(not set)", "(none)") else text


def _paid(medium: str, kind: str) -> str:
    if kind:
        return _PAID_CHANNEL[kind]
    return "Display" if medium in _DISPLAY else "Paid Other"


def _organic(source: str, medium: str, kind: str) -> str:
    rules = (
        (kind == "shopping", "Organic Shopping"),
        (kind == "social" or medium in _SOCIAL_MEDIUM, "Organic Social"),
        (kind == "video" or "video" in medium, "Organic Video"),
        (kind == "search" or medium == "organic", "Organic Search"),
        (medium in ("referral", "app", "link"), "Referral"),
        (_EMAIL.fullmatch(source) or _EMAIL.fullmatch(medium), "Email"),
        (medium in ("affiliate", "affiliates"), "Affiliates"),
        (medium == "audio", "Audio"),
        (source == "sms" or medium == "sms", "SMS"),
        (_PUSH.search(medium) or source == "firebase", "Mobile Push Notifications"),
    )
    return next((channel for fits, channel in rules if fits), UNASSIGNED)
