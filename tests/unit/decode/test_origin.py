"""Channels: GA4's rules, and what an event's own address and referrer say."""

from __future__ import annotations

from typing import Any

import pytest

from schemas.bots import is_bot
from schemas.channels import category, default_channel
from schemas.currencies import CURRENCIES
from schemas.decode import DecodeOptions, decoder
from tests.unit.decode.records import NOW, record

DECODE = decoder(DecodeOptions())
SHOP = "https://www.shop.example/p/1"


@pytest.mark.parametrize(
    "source, medium, campaign, channel",
    [
        (None, None, None, "Direct"),
        ("(direct)", "(none)", None, "Direct"),
        ("(direct)", "(not set)", "(not set)", "Direct"),
        ("google", "cpc", "EU cross-network 2024", "Cross-network"),
        ("amazon", "cpc", None, "Paid Shopping"),
        ("google", "cpc", "Shopping DE", "Paid Shopping"),
        ("google", "cpc", "bishop", "Paid Search"),
        ("google", "cpc", "workshop", "Paid Search"),
        ("google", "cpc", "eshop may", "Paid Shopping"),
        ("Google", "CPC", None, "Paid Search"),
        ("bing", "ppc", None, "Paid Search"),
        ("facebook", "paid_social", None, "Paid Social"),
        ("youtube.com", "cpv", None, "Paid Video"),
        ("youtube.com", "cpc", None, "Paid Video"),
        ("partner", "banner", None, "Display"),
        ("partner", "cpm", None, "Display"),
        ("partner", "retargeting", None, "Paid Other"),
        ("ebay", "referral", None, "Organic Shopping"),
        ("l.facebook.com", "referral", None, "Organic Social"),
        ("x", "social media", None, "Organic Social"),
        ("vimeo.com", "referral", None, "Organic Video"),
        ("x", "video", None, "Organic Video"),
        ("www.google.co.uk", "referral", None, "Organic Search"),
        ("x", "organic", None, "Organic Search"),
        ("blog.example", "referral", None, "Referral"),
        ("blog.example", "link", None, "Referral"),
        ("newsletter", "e-mail", None, "Email"),
        ("email", "may", None, "Email"),
        ("x", "affiliate", None, "Affiliates"),
        ("x", "audio", None, "Audio"),
        ("sms", "x", None, "SMS"),
        ("x", "web-push", None, "Mobile Push Notifications"),
        ("firebase", "x", None, "Mobile Push Notifications"),
        ("x", "y", None, "Unassigned"),
    ],
)
def test_the_channels_of_ga4(source: str | None, medium: str | None, campaign: str | None, channel: str) -> None:
    assert default_channel(source, medium, campaign) == channel


@pytest.mark.parametrize(
    "source, kind",
    [
        ("google", "search"),
        ("www.google.com.br", "search"),
        ("r.duckduckgo.com", "search"),
        ("mail.google.com", ""),
        ("docs.google.com", ""),
        ("yandex.ru", "search"),
        ("m.youtube.com", "video"),
        ("t.co", "social"),
        ("x.com", "social"),
        ("unix.stackexchange.com", "social"),
        ("kufli.blogspot.com", "social"),
        ("amazon.co.uk", "shopping"),
        ("shopping.google.com", "shopping"),
        ("notgoogle.com", ""),
        ("google.com.evil.example", ""),
        ("shop.example", ""),
        ("", ""),
        (".", ""),
    ],
)
def test_sources_by_category(source: str, kind: str) -> None:
    assert category(source) == kind


@pytest.mark.parametrize(
    "changes, expected",
    [
        ({}, (None, None, None, None)),
        ({"url": SHOP}, ("Direct", None, None, None)),
        ({"url": SHOP, "referrer": ""}, ("Direct", None, None, None)),
        ({"url": SHOP, "referrer": "https://shop.example/"}, (None, None, None, None)),
        ({"url": "/p/1", "site": "shop.example", "referrer": "https://www.shop.example/"}, (None, None, None, None)),
        ({"url": SHOP, "referrer": "https://www.google.de/"}, ("Organic Search", "google", "organic", None)),
        ({"referrer": "https://news.example/a?b#c"}, ("Referral", "news.example", "referral", None)),
        ({"referrer": "android-app://com.google.android.gm/"}, ("Email", "gmail", "email", None)),
        (
            {"url": SHOP, "referrer": "http://m.facebook.com:80/x"},
            ("Organic Social", "m.facebook.com", "referral", None),
        ),
        (
            {"url": SHOP + "?utm_source=News&utm_medium=email&utm_campaign=May%20day"},
            ("Email", "News", "email", "May day"),
        ),
        ({"url": SHOP + "?a=1&UTM_SOURCE=google&utm_medium=cpc#x"}, ("Paid Search", "google", "cpc", None)),
        ({"url": SHOP, "landing_page": SHOP + "?utm_medium=affiliate"}, ("Affiliates", None, "affiliate", None)),
        ({"url": SHOP + "?gclid=abc"}, ("Paid Search", "google", "cpc", None)),
        ({"url": SHOP + "?fbclid=abc"}, ("Organic Social", "facebook", "social", None)),
        ({"url": SHOP + "?gclid=abc&utm_source=bing&utm_medium=cpc"}, ("Paid Search", "bing", "cpc", None)),
        ({"source": "newsletter", "referrer": "https://www.google.de/"}, ("Unassigned", "newsletter", None, None)),
        ({"source": "mail", "medium": "email"}, ("Email", "mail", "email", None)),
        ({"channel": "TV", "url": SHOP + "?utm_campaign=c"}, ("TV", None, None, "c")),
        ({"channel": "TV", "referrer": "https://www.google.de/"}, ("TV", None, None, None)),
        ({"referrer": "no address"}, (None, None, None, None)),
    ],
)
def test_the_origin_of_a_visit(changes: dict[str, Any], expected: tuple[str | None, ...]) -> None:
    event = DECODE(record(**changes), NOW)
    assert (event.channel, event.source, event.medium, event.campaign) == expected


def test_click_ids_are_kept_and_given_properties_win() -> None:
    event = DECODE(record(url=SHOP + "?gclid=a&msclkid=b", properties={"msclkid": "own", "qty": 1}), NOW)
    assert event.properties == {"gclid": "a", "msclkid": "own", "qty": 1}


@pytest.mark.parametrize(
    "agent, bot",
    [
        ("", True),
        ("-", True),
        ("Googlebot/2.1 (+http://www.google.com/bot.html)", True),
        ("UniversalFeedParser/4.2-pre-314-svn +http://feedparser.org/", True),
        ("Tiny Tiny RSS/1.11 (http://tt-rss.org/)", True),
        ("Feedbin - 1 subscribers", True),
        ("curl/8.5.0", True),
        ("python-requests/2.32", True),
        (
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36",
            True,
        ),
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
            False,
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1",
            False,
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; CUBOT X30) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Mobile",
            False,
        ),
        ("Opera/9.80 (X11; Linux x86_64) Presto/2.12.388 Version/12.16", False),
    ],
)
def test_agents_that_are_programs(agent: str, bot: bool) -> None:
    assert is_bot(agent) is bot


def test_currency_codes_are_three_capitals_each() -> None:
    assert {"EUR", "USD", "JPY", "CHF", "KWD"} <= CURRENCIES
    assert all(len(code) == 3 and code.isascii() and code.isupper() for code in CURRENCIES)
    assert "XXX" not in CURRENCIES
