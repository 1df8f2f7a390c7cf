"""Dead letters at rest. A refused record may hold anything, addresses included: it is encrypted, or masked where there is no key.

A sealed letter's `payload` is `fw1:`, eight hex digits that tell which key it was, and AES-SIV over key, bytes and detail, bound to the
record's place. AES-SIV needs no nonce: the same letter always has the same bytes, whoever writes it.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable
from functools import cached_property
from hashlib import blake2b
from typing import TYPE_CHECKING

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.errors import ConfigError
from schemas.event import FIELDS

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESSIV

#: What is done to a letter before it is written.
Protect = Callable[[DeadLetter], DeadLetter]

KEY_BYTES = 32
_MARK = b"fw1:"
_KEY_ID = 8
SETTING = "privacy.dead_letter_key"
REMEDY = "make one with `openssl rand -base64 32`"


class Contents(msgspec.Struct, frozen=True, array_like=True):
    """What is encrypted."""

    key: bytes
    payload: bytes
    detail: str


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Contents).decode


class Seal:
    """Closes and opens letters with one key. `secret`: 32 bytes in base64. Raises ConfigError for a key that is none."""

    def __init__(self, secret: str) -> None:
        try:
            key = base64.b64decode(secret, validate=True)
        except ValueError:
            key = b""
        if len(key) != KEY_BYTES:
            raise ConfigError(SETTING, f"is not {KEY_BYTES} bytes in base64", REMEDY)
        self._key = blake2b(key, digest_size=64, person=b"fw dead letters").digest()
        self.key_id = blake2b(self._key, digest_size=_KEY_ID // 2).hexdigest()

    @cached_property
    def _cipher(self) -> AESSIV:
        # 10 MB that a worker without refused records does not need.
        from cryptography.hazmat.primitives.ciphers.aead import AESSIV

        return AESSIV(self._key)

    def close(self, letter: DeadLetter) -> DeadLetter:
        """The letter with nothing of the record in clear; its detail tells the shape of values, not the values."""
        contents = _pack(Contents(letter.key, letter.payload, letter.detail))
        sealed = _MARK + self.key_id.encode() + self._cipher.encrypt(contents, [_place(letter)])
        return msgspec.structs.replace(letter, key=b"", payload=sealed, detail=mask_detail(letter.detail))

    def open(self, letter: DeadLetter) -> DeadLetter:
        """The letter as it came, byte for byte. Raises ConfigError if it was sealed with another key, or changed."""
        from cryptography.exceptions import InvalidTag

        at = len(_MARK) + _KEY_ID
        used = letter.payload[len(_MARK) : at].decode("ascii", "replace")
        if used != self.key_id:
            problem = f"is not the key of the letter {letter.id} (key {self.key_id}, needed {used})"
            raise ConfigError(SETTING, problem, f"give the former key: --set {SETTING}_file=…")
        try:
            contents = _unpack(self._cipher.decrypt(letter.payload[at:], [_place(letter)]))
        except (InvalidTag, ValueError, msgspec.DecodeError) as error:
            raise ConfigError(
                f"dead letter {letter.id}", "was changed since it was sealed", "it can't be opened"
            ) from error
        return msgspec.structs.replace(letter, key=contents.key, payload=contents.payload, detail=contents.detail)


def is_sealed(letter: DeadLetter) -> bool:
    """Whether the letter needs its key to be read."""
    return letter.payload.startswith(_MARK)


def letter_protection(secret: str) -> Protect:
    """Sealing with this key, or masking where it is empty. Raises ConfigError for a key that is none."""
    return Seal(secret).close if secret else mask_letter


def _place(letter: DeadLetter) -> bytes:
    return letter.id.encode()


# -- masking

#: Names that JSON records of all known formats use, and words that hold nothing.
_NAMES = "|".join((
    *FIELDS, "ts", "timestamp", "ip", "user_agent", "test", "type", "data", "specversion", "id", "time", "subject", "context", "traits",
    "name", "anonymousId", "userId", "messageId", "sentAt", "receivedAt", "originalTimestamp", "session", "aid", "page", "event_name",
)).encode()  # fmt: skip
_WORDS = rb"(?:true|false|null|NaN)\b"
_KEPT = re.compile(rb'("(?:' + _NAMES + rb')"\s*:(?:\s*' + _WORDS + rb")?|[:,\[]\s*" + _WORDS + rb")")
_SHAPE = bytes(
    ord("0") if chr(b).isdigit() and b < 128 else ord("x") if (chr(b).isalpha() and b < 128) or b >= 128 else b
    for b in range(256)
)  # fmt: skip
#: Quoted values, long numbers, and whatever an exception says.
_VALUES = re.compile(r"(?<=Error: ).*|(?<!\w)(?P<quote>['\"]).*(?P=quote)|\d{7,}|\d+(?:[.:]\d+){2,}", re.DOTALL)


def mask_letter(letter: DeadLetter) -> DeadLetter:
    """The letter with the record's shape alone: each letter an x, each digit a 0. Known names of fields stay."""
    return msgspec.structs.replace(
        letter, key=letter.key.translate(_SHAPE), payload=mask_record(letter.payload), detail=mask_detail(letter.detail)
    )


def mask_record(data: bytes) -> bytes:
    """The shape of a record."""
    parts = _KEPT.split(data)
    parts[::2] = [part.translate(_SHAPE) for part in parts[::2]]
    return b"".join(parts)


def mask_detail(detail: str) -> str:
    """A detail with the shape of the record's values instead of themselves."""
    return _VALUES.sub(lambda found: mask_shape(found.group()), detail)


def mask_shape(text: str) -> str:
    """Each letter as x, each digit as 0."""
    return "".join("x" if c.isalpha() else "0" if c.isdigit() else c for c in text)
