"""Pseudonyms: what stands for an id that must not be stored."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b

#: id → its pseudonym, 32 hex digits.
Pseudonym = Callable[[str], str]


def pseudonym(key: bytes) -> Pseudonym:
    """The keyed hash of ids: BLAKE2b of 128 bits. Equal ids have equal pseudonyms, whatever kind of id they are, so that a
    person remains one; without the key none can be computed from an id, or the other way round."""
    keyed = blake2b(digest_size=16, key=key if len(key) <= 64 else blake2b(key).digest(), person=b"funnelwatch id")

    def of(text: str) -> str:
        hashed = keyed.copy()
        hashed.update(text.encode())
        return hashed.hexdigest()

    return of
