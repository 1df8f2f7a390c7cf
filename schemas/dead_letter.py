"""The dead letter: a record that could not be used, where it came from, and why."""

from __future__ import annotations

import msgspec


class DeadLetter(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """One refused record. Key: (topic, partition, offset) of the source. `time`: the record's, integer ms UTC.

    `reason`: a value of schemas.reasons.Reason. `key`, `payload`: bytes. At rest they are sealed or masked, and `detail` holds no
    values (schemas/privacy/sealing.py).
    """

    topic: str
    partition: int
    offset: int
    reason: str
    detail: str
    time: int
    key: bytes
    payload: bytes

    @property
    def id(self) -> str:
        """Its place in the source, which names it: "topic:partition:offset"."""
        return f"{self.topic}:{self.partition}:{self.offset}"
