"""The id of a record that brings none: a hash of what it says, not of how it is written."""

from __future__ import annotations

from decimal import Decimal
from hashlib import blake2b
from typing import Any

import msgspec

#: JSON of any shape; fractions as exact decimals.
parse_json = msgspec.json.Decoder(float_hook=Decimal).decode
_canonical = msgspec.json.Encoder(order="sorted", decimal_format="number").encode


def record_id(record: Any) -> str:
    """32 hex digits of a decoded JSON record: equal for any order of keys and any whitespace."""
    return blake2b(_canonical(record), digest_size=16).hexdigest()


def line_id(line: bytes) -> str:
    """32 hex digits of a CSV or log line, without its line ending."""
    return blake2b(line.rstrip(b"\r\n"), digest_size=16).hexdigest()


def visitor_hash(key: bytes, address: str, user_agent: str) -> str:
    """32 hex digits that stand for an address and a user agent, which can't be had back without the key."""
    if len(key) > 64:  # blake2b's longest
        key = blake2b(key).digest()
    return blake2b(f"{address}\n{user_agent}".encode(), digest_size=16, key=key).hexdigest()
