"""E-mail and IP addresses within texts: found, and masked."""

from __future__ import annotations

import re
from ipaddress import ip_address

EMAIL, IP = "(email)", "(ip)"

#: As they stand in texts and, percent-encoded, in URLs.
_EMAIL = re.compile(r"[^\s@<>\"'/?&=,;:()]{1,64}?(?:@|%40)[\w-]+(?:\.[\w-]+)*", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?![\d.]*\d)")
_IPV6 = re.compile(r"(?<![\w:.])[0-9A-Fa-f:]{2,39}(?:\.\d{1,3}){0,3}(?![\w:])", re.ASCII)
_IPV6_ESCAPED = re.compile(r"(?<!\w)[0-9A-Fa-f]{0,4}(?:%3[Aa][0-9A-Fa-f]{0,4}){2,7}(?!\w)", re.ASCII)

# Of a raw record: what must be there for an address to be in it. Literal beginnings make these searches fast.
_DOTTED = re.compile(rb"\.[0-9]{1,3}\.[0-9]{1,3}\.").search
_COLONS = re.compile(rb":[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:|::").search


def may_hold_address(data: bytes) -> bool:
    """Whether a raw record may hold an address: a first look that takes a microsecond. Escapes may hide one."""
    return b"@" in data or b"%" in data or b"\\" in data or _DOTTED(data) is not None or _COLONS(data) is not None


def mask_addresses(text: str) -> str:
    """The text with each e-mail address as "(email)" and each IP address as "(ip)"."""
    if "@" in text or "%40" in text:
        text = _EMAIL.sub(EMAIL, text)
    if text.count(":") >= 2:
        text = _IPV6.sub(_masked_ip, text)
    if text.count(".") >= 3:
        text = _IPV4.sub(_masked_ip, text)
    if "%3" in text:
        text = _IPV6_ESCAPED.sub(_masked_escaped, text)
    return text


def _masked_ip(found: re.Match[str]) -> str:
    text = found.group()
    if _is_ip(text):
        return IP
    return f"{IP}:" if text.endswith(":") and _is_ip(text[:-1]) else text


def _masked_escaped(found: re.Match[str]) -> str:
    return IP if _is_ip(re.sub("%3a", ":", found.group(), flags=re.IGNORECASE)) else found.group()


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
