"""Putting dead letters back into their source, once they can be used."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec

from schemas.dead_letter import DeadLetter
from schemas.decode import Decode, Format
from schemas.decode.framed import SchemaStore, schema_id
from schemas.errors import ConfigError, InvalidEvent
from schemas.event import HEARTBEAT
from schemas.privacy.sealing import Seal, is_sealed
from schemas.settings import Registry, Settings, Source
from sinks.kafka import BatchWriter, KeyValue
from streams.dead_letters.found import Found
from streams.decoding import source_decoder
from streams.engine.match import ID_OF
from streams.registry import SchemaRegistry

#: Why a letter can't be put back, beside the reasons of its record.
SEALED, GONE, NO_SOURCE = "sealed", "gone", "no_source"
MEANINGS = {
    SEALED: "sealed with a key that is not the one in privacy.dead_letter_key",
    GONE: "masked, and Kafka no longer keeps the source's record",
    NO_SOURCE: "of a topic that is no source in the settings",
}


class Original(msgspec.Struct, frozen=True):
    """A refused record as it came."""

    key: bytes | None
    payload: bytes | None


class Refusal(msgspec.Struct, frozen=True):
    """A letter that can't be put back, and why."""

    id: str
    reason: str
    detail: str


class Outcome(msgspec.Struct):
    """`back`: letters that were put back (or would be). `old`: those of them whose event is older than the lateness: they are stored, and
    move no funnel. `refused`: all others."""

    back: int = 0
    old: int = 0
    refused: list[Refusal] = []


class Reader:
    """Decodes letters as their sources' records are decoded now.

    `record_at(topic, partition, offset)`: the source's record, None if it is gone. `now`: ms.
    """

    def __init__(self, settings: Settings, record_at: Callable[[str, int, int], Any | None], now: int) -> None:
        secret = settings.privacy.dead_letter_key.reveal()
        self._seal = Seal(secret) if secret else None
        self._record_at, self._now = record_at, now
        self._schemas = SchemaStore()
        self._registry = settings.registry
        self._sources: Mapping[str, tuple[Source, Decode]] = {
            source.topic: (source, source_decoder(settings, source, self._schemas)) for source in settings.sources
        }

    def original(self, letter: DeadLetter) -> Original | Refusal:
        """The record as it came: unsealed, else from the source."""
        if is_sealed(letter):
            try:
                opened = None if self._seal is None else self._seal.open(letter)
            except ConfigError:
                opened = None
            if opened is None:
                return Refusal(letter.id, SEALED, MEANINGS[SEALED])
            # The record's own absence of a key can't be told from an empty one.
            return Original(opened.key or None, opened.payload)
        record = self._record_at(letter.topic, letter.partition, letter.offset)
        return Refusal(letter.id, GONE, MEANINGS[GONE]) if record is None else Original(record.key, record.value)

    def event_time(self, letter: DeadLetter, original: Original) -> int | Refusal:
        """The time (ms) of the event that the record now is, or why it is none."""
        known = self._sources.get(letter.topic)
        if known is None:
            return Refusal(letter.id, NO_SOURCE, MEANINGS[NO_SOURCE])
        source, decode = known
        number = schema_id(original.payload) if source.format is Format.CONFLUENT else None
        if number is not None and number not in self._schemas.readers and number not in self._schemas.refused:
            asyncio.run(learn(self._registry, self._schemas, number))
        try:
            event = decode(original.payload or b"", self._now)
        except InvalidEvent as error:
            return Refusal(letter.id, error.reason.value, error.detail)
        if source.keyed_by is not None and event.event != HEARTBEAT:
            own = ID_OF[source.keyed_by](event)
            if own is None or own.encode() != original.key:
                return Refusal(letter.id, "key_mismatch", "the record's key is not the id that keyed_by names")
        return event.ts


async def learn(settings: Registry, schemas: SchemaStore, number: int) -> None:
    """Fetches a schema, or the word that there is none. Raises RegistryFault: nothing is refused while it is away."""
    registry = SchemaRegistry(settings)
    registry.store = schemas
    try:
        await registry.fetch(number)
    finally:
        await registry.close()


#: Letters that are held in memory before they are written.
MOST_HELD = 2_000


class Batches:
    """Records by topic and partition, written together; the letters' places are emptied after them."""

    def __init__(self, letters_topic: str) -> None:
        self._letters_topic = letters_topic
        self.sources: dict[tuple[str, int], list[KeyValue]] = {}
        self.emptied: dict[tuple[str, int], list[KeyValue]] = {}
        self.count = 0

    def add(self, found: Found, original: Original) -> None:
        letter, self.count = found.letter, self.count + 1
        self.sources.setdefault((letter.topic, letter.partition), []).append((original.key, original.payload))
        self.emptied.setdefault((self._letters_topic, found.partition), []).append((letter.id.encode(), None))

    async def write(self, settings: Settings) -> None:
        """The records first: one that is put back twice, after a crash in between, counts once by its event_id."""
        writer = BatchWriter(settings.kafka)
        await writer.start()
        try:
            for batches in (self.sources, self.emptied):
                for (topic, partition), records in batches.items():
                    await writer.write(topic, partition, records)
        finally:
            await writer.stop()
        self.sources, self.emptied, self.count = {}, {}, 0


def put_back(
    settings: Settings,
    found: Iterable[Found],
    reader: Reader,
    letters_topic: str,
    lateness: int,
    now: int,
    *,
    dry: bool,
) -> Outcome:
    """Puts back the letters that can be used now, on the partition that they came from, and takes them out of the dead letters.

    `lateness`: ms. `dry`: nothing is written. Raises SinkError.
    """
    outcome, batches = Outcome(), Batches(letters_topic)
    for each in found:
        original = reader.original(each.letter)
        if isinstance(original, Refusal):
            outcome.refused.append(original)
            continue
        time = reader.event_time(each.letter, original)
        if isinstance(time, Refusal):
            outcome.refused.append(time)
            continue
        outcome.back += 1
        outcome.old += time < now - lateness
        if not dry:
            batches.add(each, original)
        if batches.count >= MOST_HELD:
            asyncio.run(batches.write(settings))
    if batches.count:
        asyncio.run(batches.write(settings))
    return outcome
