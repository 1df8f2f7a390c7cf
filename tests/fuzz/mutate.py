"""Changes of valid records: of their structure (JSON values, cells of a line, frames) and of their bytes."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from random import Random
from typing import Any

#: Values that programs have stumbled over.
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**53 + 1, 2**63, 2**64, -(2**63) - 1, 10**40, 0.1, -0.0, 1e308, 5e-324, 1e22, "", " ",
    "0", "-1", "NaN", "Infinity", "1e999999999", "9" * 400, "null", "true", "a" * 300, "a" * 5_000, "\x00", "\x1b[2J", "\u202e",
    "\ud800", "\U0001f600" * 40, "\u0130", "é" * 129, "%s%n{0}{}", "${x}", "../../etc", "'; DROP", "<script>", "2024-02-30T25:61:61Z",
    "0000-00-00", "9999-12-31T23:59:59.999999999999Z", "2024-01-01T00:00:00+99:99", "1970-01-01", "12345678901234567890", [],
    {}, [[]], [None], {"": ""}, {"a": {"b": {"c": {}}}}, [1, "a", None, {}], ["a"] * 300, {str(n): n for n in range(300)},
    "$heartbeat", "https://user:pw@[::1", "http://\x00/", "//?utm_source=%ff%fe&utm_medium", "?" + "utm_source=a&" * 50, "eur", "XXX",
)  # fmt: skip
#: Bytes that mean something to one of the parsers.
TOKENS = (
    b"\x00", b"\xff", b"\xc3\x28", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"{", b"}", b"[", b"]", b'"', b"\\", b"\\u0000", b"\\ud800",
    b"\t", b"\n", b"\r\n", b";", b",", b":", b"NaN", b"-Infinity", b"1e400", b"\x7f", b"\x80", b"\x1b[31m", b"\\u202e", b"[" * 2_000,
    b'{"a":' * 1_200, b"9" * 500, b"null", b'"event":"$heartbeat",', b"\x80" * 11, b"\x02" * 3_000,
)  # fmt: skip

Change = Callable[[Random, bytes], bytes]


def odd_value(rng: Random) -> Any:
    """One of them, to be changed further: a copy."""
    return deepcopy(rng.choice(ODD))


def mutated(rng: Random, seeds: Sequence[bytes]) -> bytes:
    """One of the seeds, changed once or several times; now and then nothing but noise, or nothing changed."""
    data = rng.choice(seeds)
    kind = rng.random()
    if kind < 0.03:
        return rng.randbytes(rng.choice((0, 1, 4, 5, 6, 40, 400)))
    if kind < 0.15:
        return data
    for _ in range(1 if kind < 0.8 else rng.randint(2, 5)):
        data = _change(rng, data, seeds)
    return data


def _change(rng: Random, data: bytes, seeds: Sequence[bytes]) -> bytes:
    if data[:1] == b"{" and rng.random() < 0.7:
        return json_change(rng, data)
    if data[:1] != b"\x00" and rng.random() < 0.6:
        return cell_change(rng, data)
    change: Change = rng.choice(_BYTES)
    return spliced(rng, data, rng.choice(seeds)) if rng.random() < 0.05 else change(rng, data)


def json_change(rng: Random, data: bytes) -> bytes:
    """Another value, a missing, a doubled or a new field, somewhere in an object."""
    try:
        record = json.loads(data)
    except (ValueError, RecursionError):
        return flipped(rng, data)
    if not isinstance(record, dict):
        return flipped(rng, data)
    place: Any = record
    while rng.random() < 0.4 and (
        inner := [v for v in (place.values() if isinstance(place, dict) else place) if v and isinstance(v, dict | list)]
    ):
        place = rng.choice(inner)
    keys: list[Any] = list(place) if isinstance(place, dict) else list(range(len(place)))
    if not keys:
        return data
    key, kind = rng.choice(keys), rng.random()
    if kind < 0.15:
        del place[key]
    elif kind < 0.3 and isinstance(place, dict):
        place[str(rng.choice(ODD))[:300]] = odd_value(rng)
    elif kind < 0.4:
        other = rng.choice(keys)
        place[key], place[other] = place[other], place[key]
    elif kind < 0.5 and isinstance(place[key], str):
        text = place[key]
        at = rng.randint(0, len(text))
        place[key] = text[:at] + str(rng.choice(ODD))[:200] + text[at:]
    else:
        place[key] = odd_value(rng)
    try:
        text = json.dumps(record, ensure_ascii=rng.random() < 0.5)
    except (ValueError, RecursionError):
        return data
    return text.encode("utf-8", "surrogatepass")


def cell_change(rng: Random, data: bytes) -> bytes:
    """Another value in a cell of a line; a cell more or less."""
    delimiter = max((b"\t", b";", b",", b'" "', b" "), key=data.count)
    cells = data.split(delimiter)
    at, kind = rng.randrange(len(cells)), rng.random()
    odd = odd_value(rng)
    said = odd if isinstance(odd, str) else json.dumps(odd)
    if kind < 0.1:
        del cells[at]
    elif kind < 0.2:
        cells.insert(at, said.encode("utf-8", "surrogatepass"))
    elif kind < 0.5 and cells[at][:1] == b"{":
        cells[at] = json_change(rng, cells[at])
    else:
        cells[at] = said.encode("utf-8", "surrogatepass")
    return delimiter.join(cells)


def flipped(rng: Random, data: bytes) -> bytes:
    if not data:
        return data
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def inserted(rng: Random, data: bytes) -> bytes:
    at = rng.randint(0, len(data))
    return data[:at] + rng.choice(TOKENS) + data[at:]


def overwritten(rng: Random, data: bytes) -> bytes:
    at, token = rng.randint(0, len(data)), rng.choice(TOKENS)
    return data[:at] + token + data[at + len(token) :]


def truncated(rng: Random, data: bytes) -> bytes:
    return data[: rng.randint(0, len(data))]


def repeated(rng: Random, data: bytes) -> bytes:
    start = rng.randint(0, len(data))
    end = rng.randint(start, min(len(data), start + 50))
    return data[:end] + data[start:end] * rng.choice((1, 2, 50, 1_000)) + data[end:]


def framed_change(rng: Random, data: bytes) -> bytes:
    """Another schema's number, or another magic byte."""
    return (
        bytes([rng.choice((0, 0, 0, 1, 255))]) + rng.choice((1, 2, 3, 11, 12, 13, 77, 2**32 - 1)).to_bytes(4) + data[5:]
    )


def spliced(rng: Random, data: bytes, other: bytes) -> bytes:
    return data[: rng.randint(0, len(data))] + other[rng.randint(0, len(other)) :]


_BYTES: tuple[Change, ...] = (flipped, flipped, inserted, overwritten, truncated, repeated, framed_change)
