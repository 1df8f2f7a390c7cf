"""Dead letters at rest: nothing of the record can be read, and who has the key has every byte."""

from __future__ import annotations

import base64

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.dead_letter import DeadLetter
from schemas.errors import ConfigError
from schemas.privacy.sealing import Seal, is_sealed, letter_protection, mask_letter

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(32)).decode()
PLANTED = b'{"event":"buy","timestamp":"soon","user_id":"jane.doe@example.com","ip":"203.0.113.77","bot":true}'
LETTER = DeadLetter(
    "clicks", 3, 17, "bad_timestamp", "timestamp 'jane.doe@example.com' is neither ISO 8601 nor a number", 5,
    b"jane.doe@example.com", PLANTED,
)  # fmt: skip


@given(st.binary(max_size=200), st.binary(max_size=2000), st.text(st.characters(codec="utf-8"), max_size=100))
def test_who_has_the_key_has_every_byte(key: bytes, payload: bytes, detail: str) -> None:
    letter = msgspec.structs.replace(LETTER, key=key, payload=payload, detail=detail)
    sealed = Seal(KEY).close(letter)
    assert is_sealed(sealed)
    assert Seal(KEY).open(sealed) == letter
    assert Seal(KEY).close(letter) == sealed  # a letter that is written again is the same letter


def test_a_sealed_letter_tells_its_place_and_reason_alone() -> None:
    sealed = Seal(KEY).close(LETTER)
    assert (sealed.topic, sealed.partition, sealed.offset, sealed.reason, sealed.time, sealed.key) == (
        "clicks", 3, 17, "bad_timestamp", 5, b"",
    )  # fmt: skip
    assert sealed.detail == "timestamp 'xxxx.xxx@xxxxxxx.xxx' is neither ISO 8601 nor a number"
    written = msgspec.msgpack.encode(sealed)
    assert not [part for part in (b"jane", b"example", b"203.0", b"buy") if part in written]


@pytest.mark.parametrize(
    "changed",
    [
        msgspec.structs.replace(Seal(KEY).close(LETTER), offset=18),
        msgspec.structs.replace(Seal(KEY).close(LETTER), payload=Seal(KEY).close(LETTER).payload[:-1] + b"\0"),
    ],
    ids=["at another place", "another byte"],
)
def test_a_letter_that_was_changed_is_not_opened(changed: DeadLetter) -> None:
    with pytest.raises(ConfigError, match="was changed since it was sealed"):
        Seal(KEY).open(changed)


def test_another_key_is_told_from_a_changed_letter() -> None:
    with pytest.raises(ConfigError, match=f"is not the key of the letter clicks:3:17 .*needed {Seal(KEY).key_id}"):
        Seal(OTHER).open(Seal(KEY).close(LETTER))


@pytest.mark.parametrize("secret", ["short", "A" * 44, base64.b64encode(bytes(31)).decode(), KEY + "x"])
def test_a_key_that_is_none_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(
        ConfigError, match="is not 32 bytes in base64; make one with `openssl rand -base64 32`"
    ) as error:
        letter_protection(secret)
    assert secret not in str(error.value)


def test_without_a_key_the_shape_is_left() -> None:
    masked = letter_protection("")(LETTER)
    assert masked.payload == (
        b'{"event":"xxx","timestamp":"xxxx","user_id":"xxxx.xxx@xxxxxxx.xxx","ip":"000.0.000.00","bot":true}'
    )
    assert masked.key == b"xxxx.xxx@xxxxxxx.xxx"
    assert masked.detail == "timestamp 'xxxx.xxx@xxxxxxx.xxx' is neither ISO 8601 nor a number"


@given(st.binary(max_size=300))
def test_no_letter_or_digit_of_a_record_without_known_names_is_left(payload: bytes) -> None:
    masked = mask_letter(msgspec.structs.replace(LETTER, payload=payload)).payload
    assert len(masked) == len(payload)
    if b'"' not in payload and b"NaN" not in payload and b"true" not in payload:
        assert not set(masked) & (
            set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwyz123456789") | set(range(128, 256))
        )


@pytest.mark.parametrize(
    ("detail", "masked"),
    [
        ("ValueError: invalid literal for jane@example.com", "ValueError: xxxxxxx xxxxxxx xxx xxxx@xxxxxxx.xxx"),
        ("timestamp is 491701234567", "timestamp is 000000000000"),
        ("7 cells, the header has 8 columns", "7 cells, the header has 8 columns"),
        ("203.0.113.7 is no currency", "000.0.000.0 is no currency"),
        ("the record's key is 'it\\'s \"jane\"', not the id", "the record's key is 'xx\\'x \"xxxx\"', not the id"),
        ("the record's key is \"jane's\", not the id", "the record's key is \"xxxx'x\", not the id"),
    ],
)
def test_details_hold_no_values(detail: str, masked: str) -> None:
    found = mask_letter(msgspec.structs.replace(LETTER, detail=detail)).detail
    assert found == masked
