"""The annotations topic as a worker knows it."""

from __future__ import annotations

import logging

import msgspec

from schemas.annotation import Annotation, newest, unpack
from schemas.settings import Kafka
from streams.whole_topic import WholeTopic

log = logging.getLogger("funnelwatch.annotations")


class Annotations:
    """What the topic holds, by name. Following `topic` keeps it up to date; nothing else depends on it."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self.topic = WholeTopic(kafka, topic, lambda record: self.take(record.key, record.value), log)
        self._known: dict[bytes, Annotation] = {}

    def newest(self) -> list[Annotation]:
        """Those to be shown."""
        return newest(self._known.values())

    def take(self, key: bytes | None, value: bytes | None) -> None:
        """One record; without a value it takes its name back. One that is no annotation is passed over."""
        name = key or b""
        if value is None:
            self._known.pop(name, None)
            return
        try:
            self._known[name] = unpack(value)
        except msgspec.DecodeError as error:
            log.warning("the topic of annotations holds a record that is none: %s", error)
