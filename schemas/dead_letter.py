"""The dead letter: a record that could not be used, where it came from, and why."""

from __future__ import annotations

import msgspec


class DeadLetter(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One refused record. Key: (topic, partition, offset) of the source. `time`: the record's, integer ms UTC.

    `reason`: a value of schemas.reasons.Reason. `key`, `payload`: bytes (masked or encrypted before they get here).
    """

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    time: int
    key: bytes
    payload: bytes
