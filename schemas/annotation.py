"""What people did at a moment: releases, campaigns, maintenance. Markers on dashboards, and a line in pages."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

import msgspec

#: How many a worker exports, the newest.
SHOWN = 10
LONGEST_NAME = 120


class Kind(StrEnum):
    RELEASE = "release"
    EXPERIMENT = "experiment"
    CAMPAIGN = "campaign"
    PRICE = "price"
    MAINTENANCE = "maintenance"
    OTHER = "other"


class Annotation(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened. `name`: its key, at most LONGEST_NAME characters. `at`, `until`: ms since 1970 UTC, None: no end."""

    name: str
    at: int
    kind: Kind = Kind.RELEASE
    until: int | None = None


class StoredAnnotation(msgspec.Struct, frozen=True):
    """A row of the table. `revision`: the record's offset, the highest of a name counts. `is_deleted`: it was taken back."""

    name: str
    at: int
    kind: str
    until: int | None
    revision: int
    is_deleted: int


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Annotation).decode


def pack(annotation: Annotation) -> tuple[bytes, bytes]:
    """Key and value of the record that carries it."""
    return annotation.name.encode(), _encode(annotation)


def unpack(value: bytes) -> Annotation:
    """The annotation in a record's value. Raises msgspec.DecodeError (ValidationError) for what is none."""
    return _decode(value)


def newest(annotations: Iterable[Annotation]) -> list[Annotation]:
    """The SHOWN newest by their time, newest first; ties by name."""
    return sorted(annotations, key=lambda one: (-one.at, one.name))[:SHOWN]
