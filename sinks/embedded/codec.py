"""Compression of request and response bodies, by the names that HTTP and ClickHouse give the methods."""

from __future__ import annotations

from typing import Protocol

import cramjam

#: In the order in which they are preferred. `lz4` is the frame format; `deflate` is zlib's, as HTTP defines it.
METHODS = {"zstd": cramjam.zstd, "lz4": cramjam.lz4, "gzip": cramjam.gzip, "deflate": cramjam.zlib}
LEVEL = 1  # loopback: time matters, size hardly


class CodecError(Exception):
    """A body that can't be read: unknown method, or broken bytes."""


class Packer(Protocol):
    """Packs a response's body piece by piece; `last` ends it."""

    def pack(self, piece: bytes) -> bytes: ...
    def last(self) -> bytes: ...


class Plain:
    """No compression."""

    def pack(self, piece: bytes) -> bytes:
        return piece

    def last(self) -> bytes:
        return b""


class Compressed:
    """Each piece can be unpacked as soon as it arrives."""

    def __init__(self, method: str) -> None:
        self._compressor = METHODS[method].Compressor(LEVEL)

    def pack(self, piece: bytes) -> bytes:
        self._compressor.compress(piece)
        return bytes(self._compressor.flush())

    def last(self) -> bytes:
        return bytes(self._compressor.finish())


def packer(method: str) -> Packer:
    return Compressed(method) if method else Plain()


def decode(body: bytes, method: str) -> bytes:
    """A request's body, decompressed. Raises CodecError."""
    if method in {"", "identity"}:
        return body
    if method not in METHODS:
        raise CodecError(f"Unknown compression method: {method}")
    try:
        return bytes(METHODS[method].decompress(body))
    except cramjam.DecompressionError as error:
        raise CodecError(f"Cannot decompress a body as {method}: {error}") from error


def choose(accepted: str) -> str:
    """The best method that an Accept-Encoding header allows; "" for none."""
    offered = {part.partition(";")[0].strip().lower() for part in accepted.split(",")}
    return next((method for method in METHODS if method in offered), "")
