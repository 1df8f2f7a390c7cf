"""Is this user agent a program rather than a person? The list is the public one of `crawler-user-agents`, and a little more."""

from __future__ import annotations

import re
from functools import cache, lru_cache

#: What the public list leaves out: feed readers, deployment tools and agents that name themselves after what they do.
_MORE = (
    r"(?i)\brss\b|feed(?:parser|burner|bin|ly|er\b|reader|fetcher| fetcher)|subscribers?\b|readers\)|liferea|newsify|reeder"
    r"|(?<!cu)bot\b|crawl|spider|slurp|spinn3r|ezooms|portscout|distilator|link ?(?:checker|validator|sleuth)"
    r"|^(?:chef|puppet|ansible|ruby|java|perl|php|python|http_request|fetch|libwww|wget|curl|go-http|okhttp|apache-http)\b"
    r"|\bmonitor(?:ing)?[/ ]|uptime|headless|phantomjs|selenium|playwright|puppeteer"
)
_SILENT = frozenset(("", "-", "Mozilla/4.0", "Mozilla/4.0 (compatible;)", "Mozilla/5.0"))
_LONGEST = 512  # characters looked at: no honest agent says who it is later than that


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Compiled on first use: 30 ms that a program without user agents never pays."""
    from crawleruseragents import CRAWLER_USER_AGENTS_DATA  # type: ignore[import-untyped]

    return re.compile(_MORE), re.compile("|".join(f"(?:{entry['pattern']})" for entry in CRAWLER_USER_AGENTS_DATA))


def is_bot(user_agent: str) -> bool:
    """True for crawlers, feed readers, monitors, scripts, and for agents that say nothing at all (`""`, `-`)."""
    return _known(user_agent[:_LONGEST])


@lru_cache(maxsize=16_384)  # a site sees few agents, and one look costs up to a millisecond
def _known(user_agent: str) -> bool:
    text = user_agent.strip()
    return text in _SILENT or any(pattern.search(text) for pattern in _patterns())
